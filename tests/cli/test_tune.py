from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from spinecare.cli.main import main
from spinecare.learn.tune import Tuned

SEARCH = 'headline = "a"\n[members.a]\nkind = "svm"\nstrength = {low = 0.1, high = 10.0, log = true}\n'


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["spinecare", "tune", *arguments])
    try:
        main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def test_the_outcome_is_told_with_what_it_is_worth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {}

    def tuned(manifest: Path, out: Path, search: Any, trials: int, storage: str, virtual: bool, progress: Any) -> Tuned:
        given.update(headline=search.headline, trials=trials, storage=storage, virtual=virtual)
        return Tuned(0.8765, 7, 3, 0, out / "tuned.toml", {})

    monkeypatch.setattr("spinecare.learn.tune.tune", tuned)
    (tmp_path / "search.toml").write_text(SEARCH)
    arguments = ["--config", str(tmp_path / "search.toml"), "--out", str(tmp_path), "--trials", "10", "--virtual"]
    assert call(monkeypatch, "m.csv", *arguments, "--storage", "sqlite:///x.db") == 0
    assert given == {"headline": "a", "trials": 10, "storage": "sqlite:///x.db", "virtual": True}
    said = capsys.readouterr().out
    assert "0.8765, best of 10 trials (3 pruned). This flatters" in said
    assert str(tmp_path / "tuned.toml") in said


def test_a_search_that_cannot_be_is_a_sentence_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "search.toml").write_text(SEARCH.replace("headline", "hedline"))
    assert call(monkeypatch, "m.csv", "--config", str(tmp_path / "search.toml"), "--out", str(tmp_path)) == 2
    assert "'hedline'" in capsys.readouterr().err
