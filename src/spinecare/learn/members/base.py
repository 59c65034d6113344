"""What every member of a study is: fitted on rows of the material, then asked about others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from spinecare.learn.material import Material

# Rows int (m,) of the same material → probabilities float64 (m, 3), each row summing to 1.
Fitted = Callable[[np.ndarray], np.ndarray]


class Member(Protocol):
    """One way of telling the classes apart.

    about
        A line for reports.
    views
        What it reads of `learn.views`; empty for one that reads the pictures themselves.
    """

    about: str
    views: tuple[str, ...]

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        """Fit on `rows` int (m,) and their augmented copies alone; the rest of the material is not to be looked at.

        The same material, rows and seed give the same answers.
        """
        ...
