from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from spinecare.cli.claims import app
from spinecare.learn.recipe import Step
from spinecare.study.claims_settings import ClaimsSettings

runner = CliRunner()


def test_options_reach_the_settings_and_the_end_names_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ClaimsSettings] = []

    def run(manifest: Path, out: Path, settings: ClaimsSettings, progress: object) -> SimpleNamespace:
        seen.append(settings)
        progress(Step("claims", 1, 2, "leak-s0-nearest-three"))  # type: ignore[operator]
        side = {"accuracy": {"mean": 0.5}}
        table = {"nearest": {"three": {"leak": side, "honest": side}}}
        return SimpleNamespace(document={"table": table}, page=out / "claims.md")

    monkeypatch.setattr("spinecare.study.claims.run_claims", run)
    result = runner.invoke(
        app,
        ["m.csv", "--out", str(tmp_path), "--splits", "4", "--cnn-splits", "1", "--pictures", "whole-with-drawing",
         "--members", "cnn, nearest", "--vgg-weights", "w.safetensors", "--seed", "7", "--workers", "1"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (settings,) = seen
    assert list(settings.members) == ["cnn", "nearest"]
    assert settings.members["cnn"].splits == 1
    assert (settings.splits, settings.shown, settings.seed, settings.workers) == (4, "whole-with-drawing", 7, 1)
    assert settings.sources.imagenet == "w.safetensors"
    assert "nearest: three classes 50.0% with the leak, 50.0% honest" in result.output
    assert str(tmp_path / "claims.md") in result.output


def test_wrong_wishes_are_a_sentence_and_exit_2(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing.csv")
    for arguments, sentence in (
        ([nothing], "no manifest"),
        ([nothing, "--members", "unet"], "no member 'unet'"),
        ([nothing, "--pictures", "raw"], "no pictures 'raw'"),
    ):
        result = runner.invoke(app, [*arguments, "--out", str(tmp_path / "run")])
        assert result.exit_code == 2, result.output
        assert sentence in result.output
        assert "Traceback" not in result.output


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spinecare.study.claims.run_claims", interrupted)
    result = runner.invoke(app, ["m.csv", "--out", str(tmp_path / "run")])
    assert result.exit_code == 130
    assert f"--out {tmp_path / 'run'}" in result.output
