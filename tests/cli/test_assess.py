"""`spinecare assess` as other programs see it: lines, keys, exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from answers import some_assessment
from spinecare import assessor as way
from spinecare.cli import main as root
from spinecare.cli.assess import app
from spinecare.cli.page import print_answer


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A picture that can be read and is no spine."""
    path = tmp_path / "blank.png"
    cv2.imwrite(str(path), np.zeros((400, 300), dtype=np.uint8))
    return path


def run(bundle: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--bundle", str(bundle)])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_object_a_line_in_the_order_given(tiny_bundle: Path, blank: Path, idxa: Path) -> None:
    result = run(tiny_bundle, "--json", blank, idxa / "ap_spine.dcm", idxa / "left_femur.dcm", blank)
    told = lines(result)
    assert result.exit_code == 0
    assert [one["outcome"] for one in told] == ["refused", "assessed", "refused", "refused"]
    assert [Path(one["file"]).name for one in told] == [
        "blank.png", "ap_spine.dcm", "left_femur.dcm", "blank.png",
    ]  # fmt: skip
    for one in told:
        assert one["schema"] == "spinecare.assessment/1"
        assert one["sha256"] == hashlib.sha256(Path(one["file"]).read_bytes()).hexdigest()


def test_an_unreadable_file_has_its_line_and_exit_code_1_and_the_others_go_on(
    tiny_bundle: Path, blank: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture\n")
    result = run(tiny_bundle, "--json", text, tmp_path / "gone.dcm", tmp_path, blank)
    told = lines(result)
    assert result.exit_code == 1
    assert [one["outcome"] for one in told] == ["unreadable"] * 3 + ["refused"]
    assert told[0]["sha256"] == hashlib.sha256(b"no picture\n").hexdigest()
    assert (told[1]["code"], told[1]["sha256"]) == ("not_found", None)
    assert told[2]["sha256"] is None
    assert all(one["reason"] and one["hint"] for one in told)


def test_a_step_that_breaks_is_told_as_unreadable_and_never_as_a_label(
    tiny_bundle: Path, blank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(way, "find_levels", broken)
    result = run(tiny_bundle, "--json", blank)
    (told,) = lines(result)
    assert result.exit_code == 1
    assert (told["outcome"], told["code"]) == ("unreadable", "internal_error")
    assert "test_assess.py" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--json"], ["x.dcm", "--jsn"], ["x.dcm", "--bundle", "nowhere"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_bundle_that_was_changed_gives_no_line_and_exit_code_1(
    tiny_bundle: Path, blank: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "b"))
    with (folder / "card.md").open("a") as card:
        card.write("changed")
    result = run(folder, "--json", blank)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "card.md" in result.stderr


def test_the_page_says_the_same_in_words(tiny_bundle: Path, idxa: Path, blank: Path) -> None:
    result = run(tiny_bundle, idxa / "ap_spine.dcm", blank)
    assert result.exit_code == 0
    for words in ("low bone mass", "vgg16", "For research, not a diagnosis.", "virtual patients only"):
        assert words in result.stdout
    assert "blank.png: refused" in result.stdout


def test_terminal_escapes_in_a_file_name_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = some_assessment(warnings=("\x1b]0;owned\x07 [bold]not markup[/bold]",))
    print_answer(answer, "\x1b[31mred\x1b[0m.dcm")
    shown = capsys.readouterr().out
    assert "\x1b[31mred" not in shown
    assert "\x1b]0" not in shown
    assert "[bold]not markup[/bold]" in shown


def test_the_command_itself_prints_json_alone_on_stdout(tiny_bundle: Path, blank: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spinecare", "assess", "--json", "--bundle", tiny_bundle, blank],
        capture_output=True,
        check=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1"},
    )
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["outcome"] == "refused"


def test_the_command_imports_no_torch_and_help_no_numpy() -> None:
    program = (
        "import sys; from spinecare.cli.main import main; sys.argv = ['spinecare', 'assess', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'numpy' not in sys.modules, 'numpy'\n"
        "import spinecare.assessor\n"
        "heavy = {'torch', 'sklearn', 'pandas', 'matplotlib', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# The root of the command.


def root_run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["spinecare", *arguments])
    try:
        root.main()
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def test_help_names_every_command_and_no_command_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root_run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in root.COMMANDS)
    assert root_run(monkeypatch) == 2
    assert root_run(monkeypatch, "asess") == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "no command 'asess'" in streams.err


def test_a_missing_train_package_is_a_sentence_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    monkeypatch.setattr(root.importlib, "import_module", missing)
    assert root_run(monkeypatch, "train", "x") == 1
    assert "pip install 'spinecare[train]'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_sentence_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert root_run(monkeypatch, "phantom", "make", "--n", "1", "--out", str(tmp_path / "file")) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence == f"spinecare phantom: {tmp_path / 'file'}: File exists."
