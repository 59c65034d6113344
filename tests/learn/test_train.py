from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from make_bundle import TINY_LEVELS, level_network
from spinecare.bundle.read import open_bundle
from spinecare.errors import DatasetError, TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.recipe import Step, TrainSettings
from spinecare.learn.train import train
from spinecare.runtime.members import member_probabilities
from spinecare.runtime.predict import combine
from spinecare.scan import LABELS


def answers(path: Path, name: str) -> np.ndarray:
    table = pd.read_parquet(path)
    return table[[f"{name}.{label}" for label in LABELS]].to_numpy()


def test_a_run_ends_with_a_bundle_that_says_what_the_run_says(
    manifest: Path, tmp_path: Path, tiny: TrainSettings, pictures: Pictures
) -> None:
    assumed = {"normal": 0.65, "low_bone_mass": 0.28, "osteoporosis": 0.07}
    out = tmp_path / "run"
    run = train(manifest, out, replace(tiny, assumed_prevalence=assumed))

    bundle = open_bundle(run.bundle)  # every hash is verified here
    assert [m.name for m in bundle.spec.members] == ["cnn", "vgg16", "resnet"]
    assert bundle.spec.assumed_prevalence == assumed
    assert bundle.spec.prevalence == pytest.approx(dict.fromkeys(map(str, LABELS), 1 / 3), abs=0.1)
    assert bundle.heads["cnn.weight"].shape == (3, 32)

    # The serving code, one picture at a time, gives the run's numbers for the test part.
    test = pictures.part("test")
    shown = answers(out / "test.parquet", "shown")
    for row, expected in list(zip(test, shown, strict=True))[:6]:
        said = member_probabilities(bundle, pictures.images[row])
        np.testing.assert_allclose(combine(said, bundle.spec), expected, atol=2e-3)

    # Nobody whom the stack learnt from, and nobody of the test part, was fitted by a member.
    unseen = pd.read_parquet(out / "unseen.parquet")
    split = pd.read_csv(out / "split.csv")
    assert set(unseen["split"]) == {"train"}
    assert not set(unseen["patient"]) & set(split.loc[split["split"] != "train", "patient"])
    assert 0 < len(unseen) < (split["split"] == "train").sum() / 2

    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["models"]) == {"cnn", "vgg16", "resnet", "stack", "as shown"}
    assert metrics["models"]["stack"]["figures"]["auc"]["interval"]
    assert set(metrics["drift"]) == {"cnn", "vgg16", "resnet"}
    assert run.report.is_file()
    card = (run.bundle / "card.md").read_text()
    assert "synthetic bands" in card
    assert "not a diagnosis" in card.lower()
    assert str(tmp_path) not in "".join(p.read_text() for p in (run.bundle / "bundle.json", run.bundle / "card.md"))


def test_an_interrupted_run_ends_with_the_numbers_of_an_uninterrupted_one(
    manifest: Path, tmp_path: Path, tiny: TrainSettings
) -> None:
    quick = replace(tiny, members=tiny.members[::2], folds=2, int8=False)

    def interrupt(step: Step) -> None:
        if step.stage == "resnet fold1" and step.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(manifest, tmp_path / "broken", quick, interrupt)
    assert not (tmp_path / "broken" / "bundle").exists()
    train(manifest, tmp_path / "broken", quick)
    train(manifest, tmp_path / "whole", quick)
    for table in ("unseen.parquet", "test.parquet"):
        a, b = (pd.read_parquet(tmp_path / run / table) for run in ("broken", "whole"))
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    documents = []
    for run in ("broken", "whole"):
        document = json.loads((tmp_path / run / "metrics.json").read_text())
        documents.append(document)
    assert documents[0] == documents[1]
    # With folds the stack learns from the whole training part.
    unseen = pd.read_parquet(tmp_path / "whole" / "unseen.parquet")
    split = pd.read_csv(tmp_path / "whole" / "split.csv")
    assert sorted(unseen["path"]) == sorted(split.loc[split["split"] == "train", "path"])


def test_another_run_in_the_same_folder_is_refused(manifest: Path, tmp_path: Path, tiny: TrainSettings) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps({"settings": {}}))
    with pytest.raises(TrainingError, match="holds another run"):
        train(manifest, tmp_path / "run", tiny)


def test_a_missing_manifest_is_said(tmp_path: Path, tiny: TrainSettings) -> None:
    with pytest.raises(DatasetError, match="no manifest"):
        train(tmp_path / "nothing.csv", tmp_path / "run", tiny)


def test_nothing_is_trained_on_a_dataset_that_fails_its_check(
    manifest: Path, tmp_path: Path, tiny: TrainSettings
) -> None:
    # The files of this manifest are no pictures.
    with pytest.raises(DatasetError, match="Nothing was trained"):
        train(manifest, tmp_path / "run", replace(tiny, check=True))


def test_nonsense_settings_are_said() -> None:
    with pytest.raises(TrainingError, match="folds=1"):
        TrainSettings(folds=1)
    with pytest.raises(TrainingError, match="sum to 1"):
        TrainSettings(assumed_prevalence={"normal": 1.0, "low_bone_mass": 1.0, "osteoporosis": 0.0})


def test_the_level_network_travels_in_the_bundle(manifest: Path, tmp_path: Path, tiny: TrainSettings) -> None:
    levels = tmp_path / "levels"
    levels.mkdir()
    onnx.save(level_network(TINY_LEVELS.rows, TINY_LEVELS.cols), levels / "levels.onnx")
    (levels / "levels.json").write_text(json.dumps(asdict(TINY_LEVELS)))
    run = train(manifest, tmp_path / "run", replace(tiny, members=tiny.members[:1], levels=str(levels)))
    bundle = open_bundle(run.bundle)
    assert bundle.spec.levels == TINY_LEVELS
    assert bundle.levels is not None
    assert (run.bundle / "levels.onnx").read_bytes() == (levels / "levels.onnx").read_bytes()
