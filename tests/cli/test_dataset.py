"""`spinecare dataset`: exit codes, JSON, sentences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from spinecare.cli.dataset import app

RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine pictures in a folder per class, one of them twice."""
    for k, name in enumerate(("normal", "osteopenia", "osteoporosis") * 3):
        path = tmp_path / "scans" / name / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(k).integers(40, 255, (16, 14))
        Image.fromarray(np.kron(small, np.ones((8, 8))).astype(np.uint8)).save(path)
    (tmp_path / "scans" / "normal" / "again.png").write_bytes((tmp_path / "scans" / "normal" / "0.png").read_bytes())
    return tmp_path


def run(*arguments: object) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_make_check_split_check(folder: Path) -> None:
    made, parts = folder / "manifest.csv", folder / "split.csv"
    code, out, err = run("make", folder / "scans", "--out", made)
    assert code == 0
    assert "10 pictures" in out
    assert "one group" in err
    code, out, _ = run("check", made)
    assert code == 0
    assert "Nothing stands against training." in out
    code, out, err = run("split", made, "--out", parts, "--seed", 4)
    assert code == 0
    assert "neither patient nor group" in err
    code, out, _ = run("check", parts, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["ok"] is True
    assert report["n"] == 10
    assert report["groups"] == [["scans/normal/0.png", "scans/normal/again.png"]]


def test_an_error_in_the_dataset_is_exit_1(folder: Path) -> None:
    made = folder / "manifest.csv"
    run("make", folder / "scans", "--out", made, "--no-find-groups")
    code, out, _ = run("check", made)
    assert code == 1
    assert "Not fit for training." in out
    assert "the same file" in out
    code, out, _ = run("check", made, "--json")
    assert code == 1
    assert json.loads(out)["leaks"]


def test_a_manifest_that_is_wrong_is_one_sentence_and_exit_1(folder: Path) -> None:
    (folder / "bad.csv").write_text("path,label\nnone.png,weird\n")
    for command in (["check", folder / "bad.csv"], ["split", folder / "bad.csv", "--out", folder / "x.csv"]):
        code, out, err = run(*command)
        assert code == 1
        assert out == ""
        assert err.count("\n") == 1
        assert "line 2" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["check", "nowhere.csv"],
        ["make", "nowhere", "--out", "x.csv"],
        ["burn"],
        ["check", "--frobnicate"],
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_shares_that_do_not_add_up_are_wrong_usage(folder: Path) -> None:
    run("make", folder / "scans", "--out", folder / "m.csv")
    code, _, _ = run("split", folder / "m.csv", "--out", folder / "s.csv", "--fractions", 0.5, 0.1, 0.1)
    assert code == 2
