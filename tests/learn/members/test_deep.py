from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from spinecare.errors import TrainingError
from spinecare.learn.checkpoint import save_tensors
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material, Sources
from spinecare.learn.members.deep import Deep
from spinecare.learn.networks import build
from spinecare.learn.recipe import AugmentSettings


def bands(n: int) -> Pictures:
    """n pictures whose class is the brightness of a band in the middle; two of each patient."""
    import pandas as pd

    rng = np.random.default_rng(0)
    patients = np.arange(n) // 2
    labels = (patients % 3).astype(np.int64)
    images = rng.normal(0.3, 0.05, (n, 64, 32))
    images[:, :, 10:22] += (0.4 - 0.15 * labels)[:, None, None]
    rows = pd.DataFrame({"path": [f"{i}.png" for i in range(n)]})
    return Pictures(rows, np.clip(images, 0, 1).astype(np.float32), labels, patients.astype(str), rows.iloc[:0])


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """48 scans, and a run on virtual patients beside them."""
    torch.manual_seed(1)
    folder = tmp_path / "virtual" / "work" / "cnn" / "holdout"
    folder.mkdir(parents=True)
    net = build("cnn", {"width": 4})
    save_tensors(net.state_dict(), folder / "best.safetensors")
    (tmp_path / "virtual" / "config.json").write_text(
        '{"settings": {"members": [{"name": "cnn", "options": {"width": 4}}]}}'
    )
    sources = Sources(virtual=str(tmp_path / "virtual"))
    return Material(bands(48), AugmentSettings(), 1, 0, tmp_path / "cache", sources)


QUICK = {"epochs": 8, "batch": 8, "learning_rate": 3e-3, "head_rate": 3.0}
ROWS, UNSEEN = np.arange(36), np.arange(36, 48)


def test_it_answers_about_scans_that_it_has_not_seen(material: Material) -> None:
    p = Deep("cnn", "virtual", **QUICK).fit(material, ROWS, 0)(UNSEEN)
    assert p.shape == (12, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == material.labels[UNSEEN]).mean() > 0.8  # chance: 1/3


def test_it_looks_at_its_rows_alone(material: Material) -> None:
    """Other scans' pictures and labels may be anything: the answers stay."""
    asked = UNSEEN[:2]
    before = Deep("cnn", "virtual", epochs=1).fit(material, ROWS, 0)(asked)
    material.pictures.images[UNSEEN[2:]] = 0.5
    material.pictures.labels[UNSEEN] = 0
    np.testing.assert_array_equal(Deep("cnn", "virtual", epochs=1).fit(material, ROWS, 0)(asked), before)


def test_more_fits_are_averaged_and_the_seed_decides(material: Material) -> None:
    one = Deep("cnn", "virtual", epochs=1).fit(material, ROWS, 4)(UNSEEN)
    other = Deep("cnn", "virtual", epochs=1).fit(material, ROWS, 4 + 7919)(UNSEEN)
    both = Deep("cnn", "virtual", epochs=1, fits=2).fit(material, ROWS, 4)(UNSEEN)
    assert np.abs(one - other).max() > 1e-6
    np.testing.assert_allclose(both, (one + other) / 2)


def test_a_forest_may_speak(material: Material) -> None:
    p = Deep("cnn", "virtual", forest=True, **QUICK).fit(material, ROWS, 0)(UNSEEN)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == material.labels[UNSEEN]).mean() > 0.8


def test_it_says_what_it_is() -> None:
    assert Deep("vgg16", "imagenet").about == "vgg16 fine-tuned from ImageNet, last stage, 6 epochs"
    assert Deep("cnn", depth="all", epochs=3).about == "cnn fine-tuned from virtual patients, every stage, 3 epochs"
    assert Deep("resnet", "none", depth=1, forest=True).about == (
        "resnet from nothing with a random forest on its features, 20 epochs"
    )
    assert Deep().views == ()


def test_a_start_that_is_not_there_is_said(material: Material) -> None:
    with pytest.raises(TrainingError, match="holds no weights of resnet"):
        Deep("resnet").fit(material, ROWS, 0)
