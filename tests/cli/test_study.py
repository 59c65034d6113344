from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spinecare.cli.main import COMMANDS
from spinecare.cli.study import app
from spinecare.learn.recipe import Step
from spinecare.study.settings import StudySettings

runner = CliRunner()


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[StudySettings] = []

    def interrupted(manifest: Path, settings: StudySettings, out: Path, progress: object) -> None:
        seen.append(settings)
        progress(Step("folds", 1, 3, "repeat 1, fold 1: 12.0 s, 300 MB"))  # type: ignore[operator]
        raise KeyboardInterrupt

    monkeypatch.setattr("spinecare.study.engine.run_study", interrupted)
    result = runner.invoke(app, ["m.csv", "--quick", "--workers", "1", "--out", str(tmp_path / "run")])
    assert result.exit_code == 130
    assert "To go on from the last finished fold" in result.output
    assert f"--out {tmp_path / 'run'}" in result.output
    assert "folds: 1 of 3, repeat 1, fold 1" in result.output
    assert (seen[0].workers, seen[0].repeats, seen[0].folds) == (1, 1, 3)


def test_wrong_wishes_are_a_sentence_and_exit_2(tmp_path: Path) -> None:
    config = tmp_path / "study.toml"
    config.write_text("repeat = 3\n[members.a]\nkind = 'svm'\n")
    for arguments, sentence in (
        (["nothing.csv"], "There is no manifest at nothing.csv"),
        (["m.csv", "--config", str(config)], "repeat is no setting"),
        (["m.csv", "--config", str(tmp_path / "none.toml")], "cannot be read"),
        (["m.csv", "--ablate", "depth,luck"], "no ablation 'luck'"),
    ):
        result = runner.invoke(app, [*arguments, "--out", str(tmp_path / "run")])
        assert result.exit_code == 2, result.output
        assert sentence in result.output
        assert "Traceback" not in result.output


def test_the_commands_of_a_study_are_known() -> None:
    assert {"study", "claims", "tune"} <= set(COMMANDS)


def test_a_quick_study_of_virtual_patients_from_manifest_to_report(tmp_path: Path) -> None:
    from spinecare.phantom.cohort import make_cohort

    # Nine of each class and a few to spare: three folds inside three folds need nine.
    manifest = make_cohort(36, seed=5, out=tmp_path / "cohort", balance=True, workers=1)
    out = tmp_path / "run"
    result = runner.invoke(app, [str(manifest), "--quick", "--workers", "1", "--out", str(out)])
    assert result.exit_code == 0, result.output
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["headline"] == "stack"
    assert set(metrics["models"]) >= {"logistic", "stack", "voting", "prevalence", "thumbnail"}
    auc = metrics["models"]["stack"]["figures"]["auc"]
    assert auc["n"] == metrics["n"] <= 36
    assert auc["interval"]["low"] <= auc["value"] <= auc["interval"]["high"]
    assert "auc" in metrics["headline_minus_model"]["thumbnail"]["figures"]
    for name in ("report.html", "predictions.parquet", "answers.json"):
        assert (out / name).is_file()
    assert "stack: AUC, osteoporosis against the rest" in result.output
    assert str(out) in result.output
    # Once more: nothing is fitted again, and the numbers stay.
    again = runner.invoke(app, [str(manifest), "--quick", "--workers", "1", "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert "repeat 1, fold" not in again.output
    assert json.loads((out / "metrics.json").read_text()) == metrics
