"""Every address of the application, whoever wrote it: strangers stay out, and no form works without its token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from fastapi.routing import APIRoute

from accounts import make_client, put_account, signed_in, with_csrf
from spinecare.server.app import ROUTERS
from spinecare.store.actor import Role
from spinecare.store.site import Site
from stored import put_assessment, put_patient

# What somebody may see who has not signed in: nothing about a patient, and nothing that costs an assessment.
PUBLIC = {
    ("GET", "/"),
    ("GET", "/specialists"),
    ("GET", "/specialists/template.csv"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/welcome/{secret}"),
    ("POST", "/welcome/{secret}"),
    ("GET", "/oidc/start"),
    ("GET", "/oidc/callback"),
    ("GET", "/faq"),
    ("GET", "/treatment"),
    ("GET", "/about"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
}


def inside(router: Any) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        else:  # FastAPI keeps an included router as it is; ours are included without a prefix
            assert route.include_context.prefix == ""
            yield from inside(route.original_router)


def routes() -> list[tuple[str, str]]:
    """Method and template of every route; of the modules, as an application hides those of included routers."""
    found = [("GET", "/openapi.json")]
    for name in ROUTERS:
        for route in inside(import_module(f"spinecare.server.{name}").router):
            found += [(method, route.path) for method in sorted(route.methods - {"HEAD", "OPTIONS"})]
    return found


def test_the_list_is_whole() -> None:
    found = set(routes())

    assert found >= PUBLIC
    assert {("POST", "/assessments"), ("GET", "/worklist"), ("GET", "/patients/{key}"), ("GET", "/admin")} <= found
    assert any(path.startswith("/api/v1/") for _, path in found)
    assert len(found) > 50


@pytest.fixture(autouse=True)
def doors() -> None:
    """Not here: the application as it is."""


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", "0123456789abcdef", path)


def test_strangers_stay_out(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    put_account(site, Role.ADMINISTRATOR)
    client = with_csrf(make_client(site))
    client.headers["X-Forwarded-For"] = "127.0.0.1"
    let_in = []
    for method, path in routes():
        if (method, path) in PUBLIC:
            continue
        answer = client.request(method, filled(path))
        to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        if not to_sign_in and answer.status_code not in {401, 403}:
            let_in.append((method, path, answer.status_code))
    assert not let_in, let_in


def test_what_strangers_see_tells_of_nobody(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    put_account(site, Role.ADMINISTRATOR, name="Secret Admin")
    key = put_assessment(site, patient=put_patient(site, "CLINIC-77", "Secret^Person"), file_name="secret.dcm")
    client = make_client(site)
    for method, path in PUBLIC:
        if method == "GET":
            page = client.get(filled(path)).text
            assert not [word for word in (key, "Secret", "secret.dcm", "CLINIC-77") if word in page], path


def test_viewers_change_nothing_but_what_is_theirs(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    client = signed_in(site, Role.VIEWER)
    let_in = []
    for method, path in routes():
        # A search is sent as a form, because names belong in no address.
        if method == "GET" or path == "/worklist" or path.startswith(("/account/", "/sign-", "/welcome/")):
            continue
        answer = client.request(method, filled(path))
        if answer.status_code != 403:
            let_in.append((method, path, answer.status_code))
    assert not let_in, let_in


@pytest.mark.parametrize("demo", [False, True])
def test_no_form_works_without_its_token(make_site: Callable[..., Site], demo: bool) -> None:
    site = make_site(demo=demo)
    client = make_client(site) if demo else signed_in(site, Role.ADMINISTRATOR)
    client.headers.pop("X-CSRF-Token", None)
    worked = []
    for method, path in routes():
        # In the demo the interface takes programs without a token: there Origin and Host are the walls.
        if method == "GET" or (demo and path.startswith("/api/")):
            continue
        for sent in ({"data": {"a": "b"}}, {"files": {"file": ("a.png", b"x")}}):
            answer = client.request(method, filled(path), **sent)  # type: ignore[arg-type]
            if answer.status_code not in {403, 415}:
                worked.append((method, path, answer.status_code))
    assert not worked, worked


@pytest.mark.parametrize("demo", [False, True])
def test_nothing_is_changed_for_another_site(make_site: Callable[..., Site], demo: bool) -> None:
    site = make_site(demo=demo)
    client = with_csrf(make_client(site)) if demo else signed_in(site, Role.ADMINISTRATOR)
    for method, path in routes():
        if method != "GET":
            answer = client.request(method, filled(path), headers={"Origin": "https://evil.example"})
            assert (answer.status_code, path) == (403, path)
