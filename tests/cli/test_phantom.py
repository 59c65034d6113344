"""`spinecare phantom` on the command line."""

from __future__ import annotations

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
    assert len(list((out / "images").glob("*.png"))) == 2


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
