"""Takes the screenshots of the README, from virtual patients only: no real picture may appear in them.

Needs the dev extra and Chromium (`apt-get install chromium`):

    python docs/screens/make.py [--bundle DIR] [--out docs/screens] [--seed 7] [--index 8]

The same seed and bundle give the same pictures. The person is virtual, and so is what the page says of her.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from spinecare.assessor import load
from spinecare.phantom.cohort import draw_scan
from spinecare.phantom.dicom import write_dicom
from spinecare.server.app import create_app


def virtual_dicom(seed: int, index: int) -> bytes:
    """A virtual patient in the look of an iDXA, as a DICOM file."""
    scan, _, _ = draw_scan(seed, index, "idxa", balance=True)
    out = io.BytesIO()
    write_dicom(scan, out)
    return out.getvalue()


def virtual_picture(seed: int, index: int, upside_down: bool = False) -> bytes:
    """A virtual patient in the look of a Hologic screen, as a PNG."""
    scan, _, _ = draw_scan(seed, index, "hologic", balance=True)
    pixels = scan.colour if scan.colour is not None else (255 * scan.grey).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels[::-1] if upside_down else pixels).save(out, "PNG")
    return out.getvalue()


@contextmanager
def serving(bundle: Path | None) -> Iterator[str]:
    """The application on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(create_app(load(bundle)), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def shoot(browser: Browser, address: str, out: Path, size: tuple[int, int], scheme: Any, files: Any) -> None:
    """Upload `files` (none: stay on the first page) and write the whole page to `out`."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, device_scale_factor=1
    )
    page = context.new_page()
    page.goto(address)
    if files:
        page.set_input_files(
            "#file", [{"name": n, "mimeType": "application/octet-stream", "buffer": d} for n, d in files]
        )
        page.get_by_role("button", name="Assess").click()
        print(f"{out.name}: {page.locator('.big').first.inner_text().strip()}")
    page.screenshot(path=out, full_page=True)
    # A palette keeps the repository small, and nothing on these pages needs more.
    Image.open(out).convert("RGB").quantize(256).save(out, optimize=True)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--index", type=int, default=8, help="index %% 3 is the class: 2 is osteoporosis")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium on this machine: apt-get install chromium")
    scan = [("virtual-patient.dcm", virtual_dicom(given.seed, given.index))]
    screen = [("virtual-patient.png", virtual_picture(given.seed, given.index))]
    turned = [("upside-down.png", virtual_picture(given.seed, given.index, upside_down=True))]
    desktop, phone = (1280, 800), (390, 844)
    with serving(given.bundle) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shoot(browser, address, given.out / "home.png", desktop, "light", None)
        shoot(browser, address, given.out / "result.png", desktop, "light", scan)
        shoot(browser, address, given.out / "result-roi-dark.png", desktop, "dark", screen)
        shoot(browser, address, given.out / "result-phone.png", phone, "light", scan)
        shoot(browser, address, given.out / "refused.png", desktop, "light", turned)
        browser.close()


if __name__ == "__main__":
    main()
