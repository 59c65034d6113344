from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from spinecare.cli.demo_train import app as demo_app
from spinecare.cli.train import again, app, without_out
from spinecare.learn.recipe import Step, TrainSettings

runner = CliRunner()


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spinecare.learn.train.train", interrupted)
    result = runner.invoke(app, ["m.csv", "--out", str(tmp_path / "run")])
    assert result.exit_code == 130
    assert "To go on" in result.output
    assert f"--out {tmp_path / 'run'}" in result.output


def test_wrong_wishes_are_a_sentence_and_exit_2(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing.csv")
    for arguments, sentence in (
        ([nothing], "no manifest"),
        ([nothing, "--members", "cnn,unet"], "no member 'unet'"),
        ([nothing, "--folds", "1"], "folds=1"),
    ):
        result = runner.invoke(app, [*arguments, "--out", str(tmp_path / "run")])
        assert result.exit_code == 2, result.output
        assert sentence in result.output
        assert "Traceback" not in result.output


def test_options_reach_the_recipe_and_progress_is_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainSettings] = []

    def stop(manifest: Path, out: Path, settings: TrainSettings, progress: object) -> None:
        seen.append(settings)
        progress(Step("cnn fold0", 1, 3, "validation log loss 0.9"))  # type: ignore[operator]
        raise KeyboardInterrupt

    monkeypatch.setattr("spinecare.learn.train.train", stop)
    result = runner.invoke(
        app,
        ["m.csv", "--out", str(tmp_path), "--members", "cnn,vgg16", "--epochs", "3", "--seed", "4",
         "--vgg-weights", "w.safetensors", "--folds", "0"],
    )  # fmt: skip
    (settings,) = seen
    assert [(m.name, m.fit.epochs) for m in settings.members] == [("cnn", 3), ("vgg16", 3)]
    assert settings.members[1].options == {"weights": "w.safetensors", "frozen": 2}
    assert (settings.seed, settings.folds) == (4, 0)
    assert "cnn fold0: 1 of 3, validation log loss 0.9" in result.output


def test_the_line_to_go_on_can_be_copied() -> None:
    assert without_out(["m.csv", "--out", "x y", "--seed", "1"]) == ["m.csv", "--seed", "1"]
    assert without_out(["m.csv", "--out=x"]) == ["m.csv"]
    assert again("train", "a b.csv", "--out", Path("run")) == "spinecare train 'a b.csv' --out run"


def test_too_few_virtual_patients_are_refused() -> None:
    assert runner.invoke(demo_app, ["--n", "5"]).exit_code == 2
