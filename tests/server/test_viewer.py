"""The result and patient pages in a browser: the viewer, the switches without a script, and axe on every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from browser import SIZES, chromium, fits, serving, tab, violations
from spinecare.server.app import create_app
from spinecare.store import readings
from spinecare.store.actor import DEMO
from spinecare.store.models import State
from spinecare.store.site import Site
from stored import put_assessment, put_patient


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in demo mode whose queue stands still."""
    return make_site(consumers=False)


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    with serving(create_app(site)) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def box(page: Any) -> list[float]:
    """The part of the picture that is seen: left, top, width, height."""
    return [float(v) for v in page.locator(".stage > svg").get_attribute("viewBox").split()]


def test_zoom_and_pan_by_buttons_wheel_keys_and_dragging(browser: Any, address: str, site: Site) -> None:
    key = put_assessment(site, "yes")
    with tab(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(f"{address}/assessments/{key}")
        whole = box(page)
        page.get_by_role("button", name="Zoom in").click()
        assert box(page)[2] == pytest.approx(whole[2] / 1.4)
        page.get_by_role("button", name="Show the whole scan").click()
        assert box(page) == pytest.approx(whole)

        stage = page.locator(".stage")
        spot = stage.bounding_box()
        x, y = spot["x"] + spot["width"] * 0.75, spot["y"] + spot["height"] * 0.25
        page.evaluate("document.activeElement.blur()")
        page.mouse.move(x, y)
        page.mouse.wheel(0, 120)
        page.wait_for_timeout(200)
        assert box(page) == pytest.approx(whole)  # nobody works in it yet: the page scrolled
        page.evaluate("scrollTo(0, 0)")
        page.mouse.click(x, y)
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(200)
        near = box(page)
        assert near[2] == pytest.approx(whole[2] / 2.718, rel=0.01)
        # What lay under the pointer still does.
        for part, at in ((0, 0.75), (1, 0.25)):
            assert near[part] + at * near[part + 2] == pytest.approx(whole[part] + at * whole[part + 2], abs=0.2)

        page.keyboard.press("ArrowLeft")
        assert box(page)[0] < near[0]
        page.mouse.move(x - 200, y + 200)
        page.mouse.down()
        page.mouse.move(x - 260, y + 170, steps=3)
        page.mouse.up()
        assert box(page)[0] > near[0] - 1
        page.keyboard.press("0")
        assert box(page) == pytest.approx(whole)
        page.mouse.dblclick(x, y)
        assert box(page)[2] == pytest.approx(whole[2] / 3)
        assert page.locator(".zoom-say").inner_text() == "300 %"


def test_two_fingers_zoom_the_scan(browser: Any, address: str, site: Site) -> None:
    key = put_assessment(site, "yes")
    with tab(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        page.goto(f"{address}/assessments/{key}")
        page.locator(".stage").scroll_into_view_if_needed()
        whole, spot = box(page), page.locator(".stage").bounding_box()
        x, y = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2
        device = page.context.new_cdp_session(page)

        def touch(kind: str, *apart: float) -> None:
            points = [{"x": x + d, "y": y, "id": i} for d in apart for i in (0 if d < 0 else 1,)]
            device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", -40, 40)
        for d in (60, 80, 100, 120):
            touch("touchMove", -d, d)
        touch("touchEnd")
        assert box(page)[2] == pytest.approx(whole[2] / 3, rel=0.1)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_window_and_strength_of_the_map(browser: Any, address: str, site: Site) -> None:
    key = put_assessment(site, "yes")
    with tab(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(f"{address}/assessments/{key}")
        scan = page.locator(".stage .scan")
        assert scan.get_attribute("filter") is None
        page.get_by_label("Contrast").fill("80")
        red = page.locator("#window feFuncR")
        assert scan.get_attribute("filter") == "url(#window)"
        assert float(red.get_attribute("slope")) == pytest.approx(4)
        assert float(red.get_attribute("intercept")) == pytest.approx(-1.5)  # mid grey stays
        page.get_by_label("Contrast").fill("0")
        page.get_by_label("Invert").check()
        assert [float(red.get_attribute(name)) for name in ("slope", "intercept")] == [-1, 1]
        page.get_by_role("button", name="Reset").click()
        assert scan.get_attribute("filter") is None
        assert not page.get_by_label("Map strength").is_visible()
        page.get_by_label("VGG16").check()
        assert page.locator(".overlay:visible").count() == 1
        page.get_by_label("Map strength").fill("30")
        assert page.locator(".overlays").get_attribute("opacity") == "0.3"


def test_everything_essential_works_without_javascript(browser: Any, address: str, site: Site) -> None:
    key = put_assessment(site, "yes")
    with tab(browser, java_script_enabled=False) as page:
        page.goto(f"{address}/assessments/{key}")
        assert page.locator(".stage .levels").is_visible()
        page.get_by_label("In use").uncheck()
        assert not page.locator(".stage .levels").is_visible()
        assert page.locator(".overlay:visible").count() == 0
        page.get_by_label("CNN").check()
        assert page.locator(".overlay-2").is_visible()
        assert not page.get_by_role("button", name="Zoom in").is_visible()
        page.get_by_label("Correct: it is another class").check()
        page.get_by_label("Right class").select_option("normal")
        page.get_by_label("Reason").fill("The report says T −0.6.")
        page.get_by_role("button", name="Save reading").click()
        assert "Corrects: normal" in page.locator("#readings").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_any_state(browser: Any, address: str, site: Site, scheme: str, size: str) -> None:
    patient = put_patient(site)
    pages = {}
    for i, kind in enumerate(("yes", "no", "abstain", "refuse", "unreadable")):
        day = date(2015 + i, 2, 2)
        pages[kind] = f"/assessments/{put_assessment(site, kind, seed=i, patient=patient, acquired=day)}"
    for i, state in enumerate((State.QUEUED, State.RUNNING, State.FAILED)):
        pages[state] = f"/assessments/{put_assessment(site, seed=10 + i, state=state)}"
    readings.add(site, pages["yes"].rsplit("/", 1)[1], "correct", "normal", "Scoliosis.", DEMO)
    pages |= {"print": pages["yes"] + "?print", "patient": f"/patients/{patient}", "deleted": "/deleted?what=scan"}
    found = {}
    # Colours in the middle of an animation are nobody's.
    with tab(browser, viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce") as page:
        for name, path in pages.items():
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('main details').forEach((one) => (one.open = true))")
            assert fits(page), name
            found[name] = violations(page)
    assert {name: lines for name, lines in found.items() if lines} == {}
