"""The whole application as a clinic uses it: real workers, real files, Chromium, desktop and phone.

First start, sign in, upload of DICOM and pictures, result, reading, patient, directory, every other page, sign out.
Each page is judged by axe-core, fits its screen, and breaks no rule of the security policy.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import SIZES, chromium, file, fits, serving, tab, violations
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store import audit
from spinecare.store.invitations import first_link
from spinecare.store.site import Site, open_site
from spinecare.store.specialists import load_sample
from spinecare.store.workers import WorkerPool

DATA = Path(__file__).parents[3] / "shared" / "data"
PASSWORD = "a sentence nobody guesses"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    opened = WorkerPool(SiteSettings(data=tmp_path_factory.mktemp("pool")))
    yield opened
    opened.close()


class Kept:
    """The pool of another site's life: closing the site leaves it open."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def site(tmp_path: Path, pool: WorkerPool) -> Site:
    opened = open_site(SiteSettings(data=tmp_path / "data"), Kept(pool))  # type: ignore[arg-type]
    with opened.db.begin() as session:
        load_sample(session)
    return opened


def scans() -> list[tuple[str, bytes]]:
    """A DICOM file and a picture that are assessed, and a file that is none: real ones where there are some."""
    dicom, pictures = DATA / "idxa_dicom" / "ap_spine.dcm", sorted((DATA / "spine_dxa").rglob("*.png"))
    if dicom.exists() and pictures:
        return [("ap.dcm", dicom.read_bytes()), ("screen.png", pictures[0].read_bytes()), ("letter.txt", b"Dear all")]
    from PIL import Image

    from spinecare.phantom.cohort import draw_scan
    from spinecare.phantom.dicom import write_dicom

    virtual, shown = io.BytesIO(), io.BytesIO()
    write_dicom(draw_scan(7, 8, "idxa", balance=True)[0], virtual)
    Image.fromarray(draw_scan(7, 8, "hologic", balance=True)[0].colour).save(shown, "PNG")
    return [("ap.dcm", virtual.getvalue()), ("screen.png", shown.getvalue()), ("letter.txt", b"Dear all")]


def judge(page: Any) -> None:
    """What must hold on every page."""
    page.wait_for_load_state("networkidle")
    assert violations(page) == [], page.url
    assert fits(page), page.url


@pytest.mark.parametrize("size", list(SIZES))
def test_a_day_at_the_clinic(site: Site, browser: Any, size: str) -> None:
    link = first_link(site.db)
    with serving(create_app(site)) as address, tab(browser, viewport=SIZES[size], base_url=address) as page:
        phone = size == "phone"

        # Nobody is signed in: patients' pages lead to the sign-in, general ones are open.
        page.goto("/worklist")
        assert "/sign-in?next=/worklist" in page.url
        judge(page)

        # First start.
        page.goto(link)
        judge(page)
        page.get_by_label("Your name").fill("Dr. Ada Example")
        page.get_by_label("Login").fill("ada")
        page.locator("#password").fill(PASSWORD)
        page.locator("#again").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        page.wait_for_url(re.compile(r"/$"))
        page.goto(link)
        assert page.get_by_label("Your name").count() == 0  # once
        sign_out(page, phone)

        # Sign in: wrong, then right.
        page.goto("/sign-in")
        for word in ("not the password", PASSWORD):
            page.get_by_label("Login").fill("ada")
            page.get_by_label("Password").fill(word)
            page.get_by_role("button", name="Sign in").last.click()
        page.wait_for_url(re.compile(r"/$"))
        judge(page)

        # Upload.
        page.set_input_files("#file", [file(name, data) for name, data in scans()])
        page.get_by_text("About the patient").click()
        page.get_by_role("button", name="Assess").click()
        page.get_by_text("3 of 3").wait_for(timeout=60_000)
        judge(page)
        page.get_by_role("link", name="See them in the worklist").click()
        page.get_by_role("heading", name="Worklist").wait_for()
        judge(page)

        # Result.
        page.locator("tr", has_text="ap.dcm").locator("a.to").click()
        page.wait_for_url(re.compile(r"/assessments/[0-9a-f]{16}"))
        result = page.url
        assert page.locator(".viewer image.scan").count() == 1
        assert page.locator(".viewer .levels polygon").count() >= 4
        judge(page)
        page.locator(".pick-1").check()
        assert page.locator(".overlay-1").is_visible()
        page.get_by_label("Map strength").fill("30")
        page.locator(".pick-levels").first.uncheck()
        assert not page.locator(".viewer .levels polygon").first.is_visible()
        page.get_by_role("button", name="Zoom in").click()

        # A reader corrects it.
        page.locator("input[name=verdict][value=correct]").check()
        page.locator("#reading-label").select_option(index=1)
        page.locator("#reading-reason").fill("Osteophytes at L3.")
        page.get_by_role("button", name="Save reading").click()
        page.locator(".said", has_text="Osteophytes at L3.").wait_for()
        assert "Dr. Ada Example" in page.locator(".said").inner_text()
        judge(page)
        for kind, start in ((".pdf", b"%PDF"), (".json", b"{")):
            answer = page.request.get(result.split("?")[0].split("#")[0] + kind)
            assert answer.ok
            assert answer.body().startswith(start)
        page.goto(result.split("#")[0].split("?")[0] + "?print")
        judge(page)

        # The patient of the DICOM file.
        page.goto(result)
        page.locator("a[href^='/patients/']").first.click()
        page.wait_for_url(re.compile(r"/patients/[0-9a-f]{16}"))
        assert page.locator(".film li").count() == 1
        judge(page)

        # Unreadable: its sentence, no answer.
        page.goto("/worklist")
        page.locator("tr", has_text="letter.txt").locator("a.to").click()
        page.get_by_text("a text file").first.wait_for()
        judge(page)

        # The directory, and every other page.
        page.goto("/specialists")
        page.get_by_label("Near").fill("Hamburg")
        page.get_by_role("button", name="Search").click()
        assert "Hamburg" in page.locator(".person").first.inner_text()
        judge(page)
        for path in (
            "/specialists/new",
            "/specialists/import",
            "/faq",
            "/treatment",
            "/about",
            "/docs",
            "/account",
            "/admin",
            "/admin/accounts",
            "/admin/audit",
            "/admin/jobs",
            "/admin/retention",
            "/nothing-here",
        ):
            page.goto(path)
            judge(page)

        page.goto("/")
        sign_out(page, phone)
        page.goto(result)
        assert "/sign-in" in page.url
        done = [entry.action for entry in entries(site)]
        assert audit.check(site.db) is None
        for action in ("sign_in_failed", "sign_in", "upload", "see", "reading", "export", "sign_out"):
            assert action in done


def entries(site: Site) -> list[Any]:
    from spinecare.store.models import AuditEntry

    with site.db.read() as session:
        return session.query(AuditEntry).order_by(AuditEntry.id).all()


def sign_out(page: Any, phone: bool) -> None:
    page.locator(".narrow-nav > summary" if phone else ".mine summary").click()
    page.locator("button:visible", has_text="Sign out").click()
    page.wait_for_load_state("networkidle")


def test_the_main_path_without_javascript(site: Site, browser: Any) -> None:
    link = first_link(site.db)
    with (
        serving(create_app(site)) as address,
        tab(browser, viewport=SIZES["desktop"], base_url=address, java_script_enabled=False) as page,
    ):
        page.goto(link)
        page.get_by_label("Your name").fill("Dr. Ada Example")
        page.get_by_label("Login").fill("ada")
        page.locator("#password").fill(PASSWORD)
        page.locator("#again").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        name, data = scans()[1]
        page.set_input_files("#file", [file(name, data)])
        page.get_by_role("button", name="Assess").click()
        page.wait_for_url(re.compile(r"/assessments/[0-9a-f]{16}"))
        page.locator(".viewer image.scan").wait_for(timeout=20_000)
        page.locator("input[name=verdict][value=not_usable]").check()
        page.locator("#reading-reason").fill("Cut off at L4.")
        page.get_by_role("button", name="Save reading").click()
        assert "Cut off at L4." in page.locator(".said").inner_text()
        page.get_by_role("link", name="Worklist").first.click()
        assert page.locator("tr", has_text=name).count() == 1
