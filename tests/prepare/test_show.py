"""The picture of every stage, and the command that draws it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spinecare.phantom.cohort import draw_scan
from spinecare.prepare.pipeline import find_levels, prepare
from spinecare.prepare.show import HEAD, PANEL, draw_stages, plain_letters
from spinecare.settings import PrepareSettings


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spinecare", "prepare", *arguments], capture_output=True, text=True, check=False
    )


def virtual(path: Path) -> Path:
    scan, _, _ = draw_scan(3, 0, style="hologic")
    assert scan.colour is not None
    Image.fromarray(scan.colour).save(path)
    return path


def test_captions_use_only_letters_that_the_font_has() -> None:
    assert plain_letters("192×96, L1–L4 … “Zoë”\n.dcm") == '192x96, L1-L4 ... "Zoe"?.dcm'
    assert plain_letters("脊椎\udcff") == "???"


def test_every_stage_is_drawn() -> None:
    scan, _, _ = draw_scan(3, 0, style="hologic")
    found, settings = find_levels(scan), PrepareSettings(denoise="nlm")
    sheet = np.asarray(draw_stages(scan, found, prepare(scan, settings, found), settings))
    band = sheet[HEAD + PANEL // 2 - 5 : HEAD + PANEL // 2 + 5]
    paper = np.all(band == sheet[0, 0], axis=2).all(axis=0)
    stages = int((np.diff(paper.astype(int)) == -1).sum())
    assert stages == 7


def test_refused_scan_is_drawn_without_crops() -> None:
    scan, _, _ = draw_scan(3, 0, style="idxa")
    found = find_levels(scan)
    empty = replace(found, located=replace(found.located, levels=()))
    settings = PrepareSettings()
    sheet = np.asarray(draw_stages(scan, empty, prepare(scan, settings, empty), settings))
    assert sheet.ndim == 3


def test_command_prints_the_levels_and_draws(tmp_path: Path) -> None:
    out = tmp_path / "stages.png"
    done = run(str(virtual(tmp_path / "scan.png")), "--show", str(out), "--denoise", "off")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:5]] == ["level", "L1", "L2", "L3", "L4"]
    assert Image.open(out).size[0] > 1000


@pytest.mark.parametrize(("arguments", "code"), [(["missing.png"], 1), ([], 2), (["a.png", "--denoise", "median"], 2)])
def test_exit_codes(arguments: list[str], code: int) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_show_wants_a_pictures_name(tmp_path: Path) -> None:
    done = run(str(virtual(tmp_path / "scan.png")), "--show", str(tmp_path / "stages.pdf"))
    assert done.returncode == 2
    assert "stages.pdf" in done.stderr
