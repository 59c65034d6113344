"""The page as a person uses it, in the Chromium of this machine; skipped, visibly, where there is none."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from spinecare.server.app import create_app

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}


@pytest.fixture
def address(fake_assessor: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(fake_assessor), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(params=list(SIZES))
def tab(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport=SIZES[request.param])
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda m: page.complaints.append(m.text) if "Content Security" in m.text else None)
    yield page
    assert page.complaints == []
    context.close()


def file(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def fits(tab: Any) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return bool(tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_upload_and_see_the_answer(tab: Any, address: str, png: bytes) -> None:
    tab.goto(address)
    assert fits(tab)
    tab.get_by_label("Choose a scan").set_input_files(file("yes.png", png))
    assert tab.locator("#chosen li").count() == 1
    tab.get_by_role("button", name="Assess").click()
    assert tab.get_by_role("heading", level=1).inner_text() == "yes.png"
    assert tab.locator(".big").inner_text().strip() == "Yes"
    assert fits(tab)
    box = tab.locator(".drawing .over").first.bounding_box()
    picture = tab.locator(".drawing").first.bounding_box()
    assert picture["x"] < box["x"] < box["x"] + box["width"] < picture["x"] + picture["width"]
    # The switch works without a script.
    tab.get_by_label("Show the levels").uncheck()
    assert not tab.locator(".drawing .over").first.is_visible()


def test_several_and_an_unreadable_one(tab: Any, address: str, png: bytes) -> None:
    tab.goto(address)
    tab.set_input_files("#file", [file("a.png", png), file("refuse.png", png), file("n.txt", b"Dear colleague")])
    tab.get_by_role("button", name="Assess 3 scans").click()
    assert tab.get_by_role("heading", level=1).inner_text() == "3 results"
    assert tab.locator("article").count() == 3
    assert fits(tab)


def test_dropping_a_file_chooses_it(tab: Any, address: str) -> None:
    tab.goto(address)
    transfer = tab.evaluate_handle(
        "() => { const d = new DataTransfer(); d.items.add(new File(['x'], 'dropped.dcm')); return d; }"
    )
    tab.dispatch_event("body", "drop", {"dataTransfer": transfer})
    assert "dropped.dcm" in tab.locator("#chosen").inner_text()


def test_a_file_that_is_too_large_is_told_before_it_is_sent(tab: Any, address: str) -> None:
    tab.goto(address)
    tab.evaluate(
        """() => { const d = new DataTransfer();
        d.items.add(new File([new Uint8Array(33 * 1024 * 1024)], 'big.dcm'));
        document.getElementById('file').files = d.files;
        document.getElementById('file').dispatchEvent(new Event('change')); }"""
    )
    assert "at most 32 MB" in tab.get_by_role("alert").inner_text()
    tab.get_by_role("button", name="Assess").click()
    assert tab.url.rstrip("/") == address


def test_everything_works_without_javascript(browser: Any, address: str, png: bytes) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.set_input_files("#file", [file("scan.png", png)])
    page.get_by_role("button", name="Assess").click()
    assert page.locator(".big").inner_text().strip() == "No"
    context.close()


def test_the_sentence_arrives_when_a_browser_sends_too_much(browser: Any, address: str, tmp_path: Path) -> None:
    # By its path: Playwright takes a minute to carry so many bytes itself.
    big = tmp_path / "big.dcm"
    big.write_bytes(bytes(40 * 1024 * 1024))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.set_input_files("#file", big)
    page.get_by_role("button", name="Assess").click()
    assert "at most 32 MB are read" in page.locator("main").inner_text()
    context.close()
