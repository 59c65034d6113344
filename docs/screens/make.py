"""Takes the screenshots of every page, from virtual patients only: no real picture may appear in them.

Needs the dev extra and Chromium (`apt-get install chromium`):

    python docs/screens/make.py [--bundle DIR] [--out docs/screens] [--seed 7]

Starts an installation of its own in a temporary folder, makes an administrator by the one-time link, and uploads. The
same seed and bundle give the same scans. The people are virtual, and so is what the pages say of them.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from spinecare.phantom.cohort import draw_scan
from spinecare.phantom.dicom import write_dicom
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.invitations import first_link
from spinecare.store.site import Site, open_site
from spinecare.store.specialists import load_sample

DESKTOP, PHONE = (1280, 800), (390, 844)
PASSWORD = "a sentence nobody guesses"


def virtual_dicom(seed: int, index: int, visit: int = 0, day: date = date(2026, 3, 2)) -> bytes:
    """A virtual patient in the look of an iDXA, as a DICOM file; another `visit` is the same person, scanned anew."""
    scan, _, _ = draw_scan(seed, index, "idxa", balance=True, visit=visit)
    out = io.BytesIO()
    # Another key gives another SOPInstanceUID: the person is told by PatientID, which is set below.
    write_dicom(replace(scan, patient=replace(scan.patient, key=f"{scan.patient.key}-{visit}")), out)
    data = pydicom.dcmread(io.BytesIO(out.getvalue()))
    data.PatientID, data.PatientName = f"V-{seed:02}{index:02}", f"Virtual^Person {index}"
    data.AcquisitionDate = data.StudyDate = day.strftime("%Y%m%d")
    age = float(scan.patient.age_years or 0) + visit
    data.PatientAge = f"{int(age):03}Y"
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def virtual_picture(seed: int, index: int, upside_down: bool = False) -> bytes:
    """A virtual patient in the look of a Hologic screen, as a PNG."""
    scan, _, _ = draw_scan(seed, index, "hologic", balance=True)
    pixels = scan.colour if scan.colour is not None else (255 * scan.grey).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels[::-1] if upside_down else pixels).save(out, "PNG")
    return out.getvalue()


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """The application on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(create_app(site), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Camera:
    """Walks through the pages in one browser context after the other, signed in as the same person."""

    def __init__(self, browser: Browser, address: str, out: Path) -> None:
        self.browser, self.address, self.out = browser, address, out
        self.state: Any = None

    def page(self, size: tuple[int, int] = DESKTOP, scheme: Any = "light") -> Page:
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            storage_state=self.state,
            base_url=self.address,
            reduced_motion="reduce",
        )
        return context.new_page()

    def shoot(self, page: Page, name: str) -> None:
        """The whole page, as a small PNG."""
        path = self.out / f"{name}.png"
        page.wait_for_load_state("networkidle")
        page.screenshot(path=path, full_page=True)
        # A palette keeps the repository small, and nothing on these pages needs more.
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
        print(path.name)

    def visit(self, path: str, name: str, size: tuple[int, int] = DESKTOP, scheme: Any = "light") -> None:
        """One page by its address."""
        page = self.page(size, scheme)
        page.goto(path)
        self.shoot(page, name)
        page.context.close()


def send(page: Page, files: list[tuple[str, bytes]]) -> None:
    """Choose files on the first page and send them."""
    page.goto("/")
    page.set_input_files("#file", [{"name": n, "mimeType": "application/octet-stream", "buffer": d} for n, d in files])
    page.get_by_role("button", name="Assess").click()


def walk(camera: Camera, link: str, seed: int) -> None:
    """First start to every page."""
    page = camera.page()
    page.goto(link)
    camera.shoot(page, "first-start")
    page.get_by_label("Your name").fill("Dr. Ada Example")
    page.get_by_label("Login").fill("ada")
    page.locator("#password").fill(PASSWORD)
    page.locator("#again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    page.wait_for_url("**/")
    camera.state = page.context.storage_state()
    camera.shoot(page, "home")

    years = [(0, date(2021, 3, 9)), (1, date(2022, 9, 14)), (2, date(2024, 4, 3)), (3, date(2026, 3, 2))]
    send(page, [(f"visit-{day.year}.dcm", virtual_dicom(seed, 8, visit, day)) for visit, day in years])
    page.get_by_text("4 of 4 scans assessed").wait_for(timeout=120_000)
    camera.shoot(page, "home-sent")
    others = [(f"virtual-{index}.dcm", virtual_dicom(seed, index)) for index in (0, 1, 3, 5, 6, 9, 10)]
    send(page, [*others, ("report.pdf", b"%PDF-1.7 not a scan"), ("upside-down.png", virtual_picture(seed, 8, True))])
    page.get_by_text("9 of 9 ").wait_for(timeout=120_000)
    send(page, [("virtual-screen.png", virtual_picture(seed, 8))])
    page.wait_for_url("**/assessments/*", timeout=60_000)
    picture = page.url
    page.goto("/worklist")
    camera.shoot(page, "worklist")
    refused = page.locator("tr", has_text="upside-down").locator("a.to").get_attribute("href")
    unreadable = page.locator("tr", has_text="report.pdf").locator("a.to").get_attribute("href")
    latest = page.locator("tr", has_text="visit-2026.dcm").locator("a.to").get_attribute("href")

    page.goto(latest)
    page.get_by_label("Correct", exact=False).check()
    page.locator("#reading-label").select_option("low_bone_mass")
    page.locator("#reading-reason").fill("Osteophytes at L3 and L4 on the report.")
    page.get_by_role("button", name="Save reading").click()
    page.locator(".said").first.wait_for()
    patient = page.locator("a[href^='/patients/']").first.get_attribute("href")
    page.goto(latest)
    camera.shoot(page, "result")
    if page.locator(".pick-1").count():  # a bundle whose members are explained
        page.locator(".pick-1").check()
    camera.shoot(page, "result-map")
    page.close()

    camera.visit(latest, "result-phone", PHONE)
    camera.visit(f"{latest}?print", "result-print")
    camera.visit(picture, "result-roi-dark", scheme="dark")
    camera.visit(refused, "refused")
    camera.visit(unreadable, "unreadable")
    camera.visit(patient, "patient")
    camera.visit(patient, "patient-phone", PHONE)
    camera.visit("/", "home-phone", PHONE)
    camera.visit("/worklist", "worklist-phone", PHONE)
    camera.visit("/worklist", "worklist-dark", scheme="dark")
    for path in ("faq", "treatment", "specialists", "about", "account", "admin", "docs"):
        camera.visit(f"/{path}", path)
    camera.visit("/treatment", "treatment-phone", PHONE)
    camera.visit("/specialists?near=Berlin", "specialists-phone", PHONE)
    for part in ("accounts", "audit", "jobs", "retention"):
        camera.visit(f"/admin/{part}", f"admin-{part}")
    camera.state = None
    camera.visit("/sign-in", "sign-in")
    camera.visit("/sign-in", "sign-in-phone", PHONE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium on this machine: apt-get install chromium")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        site = open_site(SiteSettings(data=Path(folder), bundle=given.bundle))
        with site.db.begin() as session:
            load_sample(session)
        link = first_link(site.db)
        with serving(site) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            walk(Camera(browser, address, given.out), str(link), given.seed)
            browser.close()


if __name__ == "__main__":
    main()
