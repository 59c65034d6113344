"""`spinecare phantom` on the command line."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from spinecare.cli.phantom import app


def test_make_writes_a_cohort_and_prints_its_manifest(tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    result = CliRunner().invoke(app, ["make", "--n", "2", "--seed", "3", "--out", str(out), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert str(out / "manifest.csv") in result.stdout.replace("\n", "")
    assert len(list((out / "images").glob("*.png"))) == len(list((out / "masks").glob("*.png"))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_with_a_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out, n = tmp_path / "cohort", 400
    run = [sys.executable, "-m", "spinecare", "phantom", "make", "--n", str(n), "--out", str(out), "--workers", "2"]
    # A group of its own: Ctrl-C reaches every process of a terminal's group.
    process = subprocess.Popen(
        run,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where the tests run in a shell's background, SIGINT would be ignored from the start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    journal = out / "people.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopped. The same command goes on from here." in said
    assert "Traceback" not in said
    assert not list(out.rglob("*.part"))
    kept = len(journal.read_text(encoding="utf-8").splitlines())
    assert 1 <= kept < n
    result = CliRunner().invoke(app, ["make", "--n", str(kept), "--out", str(out), "--workers", "1"])
    assert result.exit_code == 0, result.output
    with (out / "truth.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == kept


def test_show_writes_a_contact_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    result = CliRunner().invoke(app, ["show", "--n", "2", "--truth", "--out", str(sheet)])
    assert result.exit_code == 0, result.output
    assert Image.open(sheet).size == (456, 228)


def test_an_unknown_style_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["make", "--style", "lunar", "--out", str(tmp_path)])
    assert result.exit_code == 2


def test_a_folder_of_another_cohort_exits_2_with_a_sentence(tmp_path: Path) -> None:
    run = ["make", "--n", "1", "--truth-only", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, [*run, "--seed", "1"]).exit_code == 0
    result = CliRunner().invoke(app, [*run, "--seed", "2"])
    assert result.exit_code == 2
    assert "other settings" in result.output


@pytest.mark.parametrize("name", ["sheet.xyz", "nowhere/sheet.png"])
def test_a_sheet_that_cannot_be_written_is_wrong_usage(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["show", "--n", "1", "--out", str(tmp_path / name)])
    assert result.exit_code == 2
