"""Synthetic prepared pictures and tiny members: every test of this room runs in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinecare.learn.data import Pictures
from spinecare.learn.recipe import AugmentSettings, FitSettings, MemberRecipe, TrainSettings
from spinecare.scan import LABELS
from spinecare.settings import PrepareSettings

HEIGHT, WIDTH = 64, 32
PARTS = ("train", "train", "train", "train", "train", "train", "train", "val", "test", "test")


def draw(n: int, seed: int = 0, spread: float = 0.02) -> Pictures:
    """n prepared pictures whose class is the brightness of a band in the middle: separable, with some noise.

    Two scans of each patient; patients go 70/10/20 to train, val and test.
    """
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // 2
    labels = (patients % 3).astype(np.int64)
    images = rng.normal(0.3, 0.05, (n, HEIGHT, WIDTH))
    images[:, :, 10:22] += (0.4 - 0.15 * labels + rng.normal(0, spread, n))[:, None, None]
    rows = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(n)],
            "label": [str(LABELS[k]) for k in labels],
            "patient_id": [f"p{p}" for p in patients],
            # Parts go by whole rounds of the three classes, so that each holds all of them.
            "split": [PARTS[p // 3 % 10] for p in patients],
        }
    )
    return Pictures(
        rows=rows,
        images=np.clip(images, 0, 1).astype(np.float32),
        labels=labels,
        patients=rows["patient_id"].to_numpy().astype(str),
        refused=rows.iloc[:0].assign(code=""),
    )


@pytest.fixture
def pictures() -> Pictures:
    """120 pictures: 84 train, 12 val, 24 test."""
    return draw(120)


TINY = (
    MemberRecipe("cnn", {"width": 4}, FitSettings(epochs=2, batch=16, learning_rate=5e-3)),
    MemberRecipe("vgg16", {"width": 4}, FitSettings(epochs=1, batch=16)),
    MemberRecipe("resnet", {"width": 8, "blocks": (1, 1, 1, 1)}, FitSettings(epochs=2, batch=16)),
)


@pytest.fixture
def tiny() -> TrainSettings:
    """All three members, tiny, one hold-out cut."""
    return TrainSettings(
        name="tiny",
        members=TINY,
        folds=0,
        prepare=PrepareSettings(HEIGHT, WIDTH),
        trained_on="synthetic bands",
        check=False,
        bootstrap=50,
        threads=1,
    )


@pytest.fixture
def no_change() -> AugmentSettings:
    """Augmentation that changes nothing."""
    return AugmentSettings(0, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def manifest(tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of the synthetic pictures; preparing them is replaced by looking them up."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in pictures.rows["path"]:
        (folder / name).write_bytes(name.encode())
    pictures.rows.to_csv(folder / "manifest.csv", index=False)
    give: Callable[..., Pictures] = lambda *_, **__: pictures  # noqa: E731
    monkeypatch.setattr("spinecare.learn.train.load_pictures", give)
    return folder / "manifest.csv"
