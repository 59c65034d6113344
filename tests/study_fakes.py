"""Small scans and models for the tests of studies. In a module of their own: workers import them by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spinecare.errors import TrainingError
from spinecare.learn.combine.base import Joined
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.members.base import Fitted
from spinecare.scan import LABELS
from spinecare.study.settings import MemberSettings, StudySettings

HEIGHT, WIDTH = 16, 8


def draw(n: int = 72, seed: int = 0, spread: float = 0.05) -> Pictures:
    """n pictures, two of each group, whose class darkens a band; `group` holds the groups."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) // 2
    labels = (groups % 3).astype(np.int64)
    images = rng.normal(0.5, 0.05, (n, HEIGHT, WIDTH))
    images[:, :, 2:6] -= (0.1 * labels + rng.normal(0, spread, n))[:, None, None]
    rows = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(n)],
            "file": [f"/nowhere/{i}.png" for i in range(n)],
            "label": [str(LABELS[k]) for k in labels],
            "patient_id": "",
            "group": [f"g{g:03}" for g in groups],
            "sex": ["F" if i % 4 < 2 else "M" for i in range(n)],
        }
    )
    pixels = np.clip(images, 0, 1).astype(np.float32)
    units = ("group:" + rows["group"]).to_numpy().astype(str)
    return Pictures(rows, pixels, labels, units, rows.iloc[:0].assign(code=""), pixels.copy(), pixels.copy())


def settings(**changes: object) -> StudySettings:
    """Two repeats of three folds with one fake member and a voting."""
    told: dict[str, object] = {
        "repeats": 2, "folds": 3, "inner_folds": 3, "copies": 0, "workers": 1, "bootstrap": 20, "check": False,
        "members": (MemberSettings("band", "band"),),
    }  # fmt: skip
    return StudySettings(**(told | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Band:
    """Nearest class mean of the band's grey, softly. Its answers depend on `seed` a little, as a forest's do."""

    about: str = "the band's grey"
    views: tuple[str, ...] = ()

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        band = material.pictures.images[:, :, 2:6].mean(axis=(1, 2))
        means = np.array([band[rows][material.labels[rows] == k].mean() for k in range(3)])
        means += np.random.default_rng(seed).normal(0, 1e-3, 3)

        def answer(asked: np.ndarray) -> np.ndarray:
            p = np.exp(-((band[asked][:, None] - means) ** 2) / 0.005)
            return p / p.sum(axis=1, keepdims=True)

        return answer


@dataclass(frozen=True)
class Peeker:
    """Answers with the labels that it finds in the material it was fitted on; keeps what it could see in `log`."""

    log: list[tuple[np.ndarray, np.ndarray, Material]]
    about: str = "peeks"
    views: tuple[str, ...] = ()

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        self.log.append((rows, np.flatnonzero(material.labels >= 0), material))

        def answer(asked: np.ndarray) -> np.ndarray:
            found = material.labels[asked]
            return np.where(found[:, None] < 0, 1 / 3, np.eye(3)[found])

        return answer


@dataclass(frozen=True)
class Broken:
    """Raises, or answers what is no probability, or ends its process."""

    how: str
    about: str = "broken"
    views: tuple[str, ...] = ()

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        if self.how == "raises":
            raise TrainingError("there is nothing to learn.")
        if self.how == "dies":
            os._exit(9)
        return lambda asked: np.full((len(asked), 3), 1.0 if self.how == "sum" else np.nan)


@dataclass(frozen=True)
class Mean:
    """Mean of the members."""

    about: str = "mean"

    def fit(self, said: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int) -> Joined:
        return lambda told: np.mean(list(told.values()), axis=0)


FAKES = {"band": Band, "peeker": Peeker, "broken": Broken}


def build_fake(kind: str, options: Mapping[str, object]) -> object:
    """In the place of `build_member`."""
    return FAKES[kind](**options)


def write_scan(path: Path, seed: int, brightness: int = 0) -> None:
    """A picture of noise that no other looks like."""
    from PIL import Image

    grey = np.random.default_rng(seed).integers(0, 200, (24, 16)).repeat(8, 0).repeat(8, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((grey + brightness).astype(np.uint8)).save(path)
