"""The member that can do nothing but recall, and the way to every other one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from spinecare.learn.material import Material
from spinecare.learn.members.base import Fitted, Member
from spinecare.scan import LABELS
from spinecare.study.claims_settings import ClaimMember

SIDE = 16  # of the thumbnails that `Nearest` compares


@dataclass(frozen=True)
class Nearest:
    """Says of a picture what the most alike picture was called: 16 x 16 thumbnails, each with mean 0 and norm 1.

    It learns nothing that holds for another patient, so what it gets right with a leak is what a leak gives away.
    """

    about: str = "the most alike picture's class (16 x 16 thumbnails); learns nothing"
    views: tuple[str, ...] = ()

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        """As `Member.fit`."""
        known, labels = _thumbnails(material, rows), np.asarray(material.labels[rows])
        certain = np.eye(len(LABELS))
        return lambda asked: certain[labels[np.argmax(_thumbnails(material, asked) @ known.T, axis=1)]]


def _thumbnails(material: Material, rows: np.ndarray) -> np.ndarray:
    pixels = np.asarray(material.pictures.images[rows])
    small = np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel() for one in pixels])
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


def claim_member(one: ClaimMember) -> Member:
    """The member of a row of the table. Raises TrainingError for an unknown kind or option."""
    if one.kind == "nearest":
        return Nearest(**one.options)
    from spinecare.learn.members import build_member

    return build_member(one.kind, dict(one.options))
