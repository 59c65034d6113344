"""What every page has: frame, policy, problems, menus; on desktop and phone, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from browser import chromium, fits, serving, tab, violations
from spinecare.server.app import create_app
from spinecare.server.render import templates
from spinecare.server.security.headers import HEADERS
from spinecare.store.actor import ROLE_MAY, Actor, Role
from spinecare.store.site import Site
from stored import put_assessment

PAGES = ["/", "/worklist", "/specialists", "/faq", "/treatment", "/about", "/docs", "/nowhere"]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_script_or_style_or_loads_from_elsewhere(client: TestClient, site: Site, path: str) -> None:
    put_assessment(site)
    text = client.get(path, headers={"Accept": "text/html"}).text
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", text)
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?:https?:)?//", text)
    assert "For research, not a diagnosis." in text
    assert text.count('id="main"') == 1
    assert text.count("<h1") == 1


@pytest.mark.parametrize("path", [*PAGES, "/static/app.css", "/healthz"])
def test_security_headers_are_everywhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_where_one_is_is_said(client: TestClient) -> None:
    text = client.get("/worklist").text
    assert text.count('<a href="/worklist" aria-current="page">') == 2, "in the wide and in the folded menu"
    assert text.count("aria-current") == 2


def test_wrong_addresses_get_a_page(client: TestClient) -> None:
    answer = client.get("/nowhere", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text
    assert "Back to the first page" in answer.text


@pytest.mark.parametrize(("role", "admin"), [(Role.ADMINISTRATOR, True), (Role.CLINICIAN, False), (None, False)])
def test_the_menu_is_for_who_looks(role: Role | None, admin: bool) -> None:
    actor = Actor("k", "Dr. <Weiss>", role, ROLE_MAY[role], "session") if role else None
    problem = type("P", (), {"status": 403, "title": "No", "reason": "No.", "hint": "Ask."})
    text = templates.get_template("problem.html").render(path="/", csrf="t", actor=actor, demo=False, problem=problem)
    assert ('href="/admin"' in text) is admin
    assert ('action="/sign-out"' in text) is (role is not None)
    assert ('href="/sign-in"' in text) is (role is None)
    assert "<Weiss>" not in text
    assert "no accounts" not in text
    if role:
        assert '<input type="hidden" name="csrf" value="t">' in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 360])
def test_pages_fit_and_are_for_everybody(site: Site, browser: Any, width: int, scheme: str) -> None:
    with (
        serving(create_app(site)) as address,
        tab(browser, viewport={"width": width, "height": 780}, color_scheme=scheme, base_url=address) as page,
    ):
        for path in ("/", "/worklist", "/nowhere"):
            page.goto(path)
            assert violations(page) == [], path
            assert fits(page), path


@pytest.mark.parametrize("script", [True, False])
def test_the_menu_folds_on_a_phone_without_a_script(site: Site, browser: Any, script: bool) -> None:
    size = {"width": 360, "height": 780}
    with (
        serving(create_app(site)) as address,
        tab(browser, viewport=size, base_url=address, java_script_enabled=script) as page,
    ):
        page.goto("/")
        assert not page.get_by_role("link", name="Worklist").is_visible()
        page.locator("summary", has_text="Menu").click()
        if script:
            assert violations(page) == []
            page.keyboard.press("Escape")
            assert not page.get_by_role("link", name="Worklist").is_visible()
            page.locator("summary", has_text="Menu").click()
        page.get_by_role("link", name="Worklist").click()
        page.get_by_role("heading", name="Worklist").wait_for()


def test_the_skip_link_comes_first(site: Site, browser: Any) -> None:
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/faq")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
