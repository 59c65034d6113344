"""`spinecare levels-train`, and the level network in `default-train`: one command each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from make_bundle import TINY_LEVELS
from spinecare.cli.default_train import app as default_app
from spinecare.cli.levels_train import app
from spinecare.learn.levels import LevelsSettings
from spinecare.learn.recipe import TrainSettings

runner = CliRunner()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "cohort" / "images").mkdir(parents=True)
    for i in range(20):
        (tmp_path / "cohort" / "images" / f"v{i}.png").write_bytes(b"a picture")
    lines = ["path,label,patient_id", *(f"images/v{i}.png,normal,v{i}" for i in range(20))]
    (tmp_path / "cohort" / "manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cohort" / "manifest.csv"


def test_a_cohort_is_split_and_fitted_and_the_numbers_are_told(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def fitted(frame: Any, out: Path, settings: LevelsSettings, progress: object) -> Any:
        given.extend([frame, out, settings])
        return type(TINY_LEVELS)(**{**vars(TINY_LEVELS), "metrics": {"scans": 4, "told": 0.75, "drift": {}}})

    monkeypatch.setattr("spinecare.learn.levels.train_levels", fitted)
    result = runner.invoke(app, ["--cohort", str(manifest.parent), "--out", str(tmp_path / "run"), "--epochs", "3"])
    assert result.exit_code == 0, result.output
    frame, out, settings = given
    assert set(frame["split"]) == {"train", "val", "test"}
    assert out == tmp_path / "run"
    assert settings.epochs == 3
    assert "n=20" in settings.trained_on
    assert "4 scans: told 0.750" in result.output


def test_a_cohort_without_label_maps_is_a_sentence_and_exit_2(manifest: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["--cohort", str(manifest), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "no label map" in result.output
    assert "Traceback" not in result.output


def test_default_train_fits_the_level_network_first_and_trains_with_it(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[Any] = []
    monkeypatch.setattr("spinecare.learn.virtual.make_virtual_cohort", lambda *_: manifest)

    def levels(frame: Any, out: Path, settings: LevelsSettings, progress: object) -> None:
        order.append(("levels", out, settings.epochs, settings.seed))

    def train(manifest: Path, out: Path, settings: TrainSettings, progress: object) -> None:
        order.append(("members", settings.levels))
        raise KeyboardInterrupt

    monkeypatch.setattr("spinecare.learn.levels.train_levels", levels)
    monkeypatch.setattr("spinecare.learn.train.train", train)
    out = tmp_path / "run"
    runner.invoke(default_app, ["--out", str(out), "--n", "60", "--seed", "3", "--epochs-scale", "0.25"])
    epochs = round(LevelsSettings().epochs * 0.25)
    assert order == [("levels", out / "levels", epochs, 3), ("members", str(out / "levels"))]
