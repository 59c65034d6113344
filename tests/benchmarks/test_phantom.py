"""The evidence of the simulator: its page, what is kept of each topic, and how memory is measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.phantom import __main__ as evidence
from benchmarks.phantom import speed
from benchmarks.phantom.page import Topic, page, table
from benchmarks.phantom.row import Row

ROWS = (
    Row("one | two", "within 2 %", "1.3 %", True, "A note."),
    Row("three", "report", "7", None),
    Row("f", "x", "y", False),
)


def test_the_table_numbers_notes_and_marks_what_was_missed() -> None:
    lines = table([Topic("t", ROWS)]).splitlines()
    assert lines[2] == "| one \\| two (1) | within 2 % | 1.3 % | yes |"
    assert lines[3] == "| three | report | 7 |  |"
    assert lines[4] == "| f | x | y | **no** |"
    assert lines[-1] == "1. A note."


def test_the_page_has_further_tables_and_says_what_is_missing() -> None:
    text = page([Topic("t", ROWS, {"By cell": "| a |\n|---|"}, "today")], ["speed"], "how")
    assert "### By cell" in text
    assert "Not measured yet: speed." in text
    assert "- t: today" in text
    assert text.count("```") % 2 == 0


def test_one_topic_is_measured_anew_and_the_others_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def module(name: str) -> SimpleNamespace:
        def rows(n: int = 5) -> list[Row]:
            asked.append((name, n))
            return [Row(name, "report", f"n={n}", np.bool_(True))]  # type: ignore[arg-type]

        return SimpleNamespace(rows=rows)

    monkeypatch.setattr(evidence, "TOPICS", {"first": "first", "second": "second"})
    monkeypatch.setattr(evidence.importlib, "import_module", module)
    monkeypatch.setattr(evidence, "draw_sheet", lambda file: "sheet")
    out = ["--out", str(tmp_path / "phantom.md"), "--runs", str(tmp_path / "runs")]
    evidence.main(out)
    evidence.main([*out, "--only", "second", "--n", "second=9"])
    assert asked == [("first", 5), ("second", 5), ("second", 9)]
    text = (tmp_path / "phantom.md").read_text(encoding="utf-8")
    assert "n=5" in text
    assert "n=9" in text
    with pytest.raises(SystemExit):
        evidence.main([*out, "--only", "third"])


def test_a_topic_that_fails_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(name: str) -> list[Row]:
        if name == "bad":
            raise ZeroDivisionError
        return [Row(name, "report", "was measured", None)]

    monkeypatch.setattr(evidence, "TOPICS", {"bad": "bad", "good": "good"})
    monkeypatch.setattr(evidence.importlib, "import_module", lambda name: SimpleNamespace(rows=lambda: rows(name)))
    monkeypatch.setattr(evidence, "draw_sheet", lambda file: "sheet")
    with pytest.raises(SystemExit, match="bad"):
        evidence.main(["--out", str(tmp_path / "phantom.md"), "--runs", str(tmp_path / "runs")])
    text = (tmp_path / "phantom.md").read_text(encoding="utf-8")
    assert "was measured" in text
    assert "Not measured yet: bad." in text


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux' /proc")
def test_memory_counts_children() -> None:
    hold = "import time; block = bytearray(60_000_000); time.sleep(1.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}]); {hold}"
    seconds, resident, proportional = speed.watch([sys.executable, "-c", parent], dict(os.environ))
    assert seconds > 3
    # Parent and child hold their blocks one after the other: never both.
    assert 60e6 < proportional <= resident < 120e6
    together = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}; p.wait()"
    assert speed.watch([sys.executable, "-c", together], dict(os.environ))[1] > 120e6


def test_a_command_that_fails_is_said() -> None:
    with pytest.raises(RuntimeError, match="no such number"):
        speed.watch([sys.executable, "-c", "raise SystemExit('no such number')"], dict(os.environ))
