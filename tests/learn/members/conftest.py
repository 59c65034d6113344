"""Scans that are rows of numbers: one hidden strength of bone, seen in some of the columns of the view `thumbnail`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings
from spinecare.learn.views import VIEWS, View

VIEW = "thumbnail"

Make = Callable[..., Material]


@pytest.fixture
def material_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """x (n, 1 + copies, columns) and labels (n,) → a material whose view `thumbnail` is x; two scans to a group."""
    made = 0

    def make(x: np.ndarray, labels: np.ndarray) -> Material:
        nonlocal made
        made += 1
        n = len(labels)
        monkeypatch.setitem(VIEWS, VIEW, View("numbers of a test", lambda material: x))
        pictures = Pictures(
            rows=pd.DataFrame(index=range(n)),
            images=np.zeros((n, 4, 2), np.float32),
            labels=labels,
            patients=np.array([f"g{i // 2}" for i in range(n)]),
            refused=pd.DataFrame(),
        )
        material = Material(pictures, AugmentSettings(), x.shape[1] - 1, 0, tmp_path / str(made))
        material.view(VIEW)  # made now, before another material takes the name
        return material

    return make


def draw(n: int = 90, columns: int = 12, copies: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """x float32 (n, 1 + copies, columns), labels (n,): every third column tells of the class, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 3)
    x = rng.normal(size=(n, 1, columns)) + 0.2 * rng.normal(size=(n, 1 + copies, columns))
    x[:, :, ::3] += 1.2 * (labels[:, None, None] - 1)
    return (5 + 3 * x).astype(np.float32), labels
