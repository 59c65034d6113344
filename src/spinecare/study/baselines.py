"""The trivial models that stand beside every result (DESIGN 5.4): what a member must beat to have seen bone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spinecare.learn.material import Material
from spinecare.learn.members.base import Fitted, Member
from spinecare.scan import LABELS

THUMBNAIL = 14  # side of the thumbnail, as in `learn.baselines`
THUMBNAIL_STRENGTH = 0.01  # inverse ridge penalty


@dataclass(frozen=True)
class Prevalence:
    """The class shares of the training part, for everybody."""

    about: str = "class shares of the training part"
    views: tuple[str, ...] = ()

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        """As `Member.fit`."""
        shares = np.bincount(material.labels[rows], minlength=len(LABELS)) / len(rows)
        return lambda asked: np.tile(shares, (len(asked), 1))


@dataclass(frozen=True)
class Few:
    """A logistic regression on a few plain numbers of each scan; `numbers` gives float (n, k) for rows."""

    about: str
    numbers: Callable[[Material, np.ndarray], np.ndarray]
    views: tuple[str, ...] = ()
    strength: float = 1.0

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        """As `Member.fit`."""
        model = make_pipeline(StandardScaler(), LogisticRegression(C=self.strength, max_iter=2000))
        model.fit(self.numbers(material, rows), material.labels[rows])
        return lambda asked: model.predict_proba(self.numbers(material, asked))


def brightness(material: Material, rows: np.ndarray) -> np.ndarray:
    """Mean grey of each crop before normalising, float64 (m, 1)."""
    return _pixels(material, rows).mean(axis=(1, 2), dtype=np.float64)[:, None]


def noise(material: Material, rows: np.ndarray) -> np.ndarray:
    """Logarithm of each crop's noise, float64 (m, 1).

    Standard deviation of the noise by Immerkaer's second-difference mask: Fast noise variance estimation, Computer
    Vision and Image Understanding 64 (1996), doi:10.1006/cviu.1996.0060, equation 2.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    # The mask's squares add up to 36; E|x| of a normal x is sqrt(2 / pi) of its standard deviation.
    found = [
        np.abs(cv2.filter2D(p, -1, mask)[1:-1, 1:-1]).mean() * np.sqrt(np.pi / 2) / 6 for p in _pixels(material, rows)
    ]
    return np.log(np.maximum(found, 1e-6))[:, None]


def thumbnail(material: Material, rows: np.ndarray) -> np.ndarray:
    """14 x 14 thumbnails of the prepared pictures, float32 (m, 196)."""
    sizes = (THUMBNAIL, THUMBNAIL)
    pixels = np.asarray(material.pictures.images[rows])
    return np.stack([cv2.resize(p, sizes, interpolation=cv2.INTER_AREA).ravel() for p in pixels])


def geometry(material: Material, rows: np.ndarray) -> np.ndarray:
    """The view `geometry` of the scans themselves, float32 (m, numbers)."""
    return np.asarray(material.view("geometry")[rows, 0])


def baselines() -> dict[str, Member]:
    """Name -> baseline, in the order of `settings.BASELINES`; geometry only where its view is there."""
    from spinecare.learn.views import VIEWS

    found: dict[str, Member] = {
        "prevalence": Prevalence(),
        "brightness": Few("logistic regression on the crop's mean grey", brightness),
        "noise": Few("logistic regression on the crop's noise", noise),
        "geometry": Few("logistic regression on where the drawing lies and its size", geometry, ("geometry",), 0.1),
        "thumbnail": Few("logistic regression on a 14 x 14 thumbnail", thumbnail, (), THUMBNAIL_STRENGTH),
    }
    return {name: one for name, one in found.items() if set(one.views) <= set(VIEWS)}


def _pixels(material: Material, rows: np.ndarray) -> np.ndarray:
    kept = material.pictures.raws if material.pictures.raws is not None else material.pictures.images
    return np.asarray(kept[rows])
