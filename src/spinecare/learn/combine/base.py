"""What joins the members' answers into one: fitted on answers to scans that the members had not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

# Member → probabilities (m, 3) to joined probabilities float64 (m, 3).
Joined = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Combiner(Protocol):
    """One way of joining members.

    about
        A line for reports.
    """

    about: str

    def fit(self, said: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int) -> Joined:
        """Fit on out-of-fold answers: member → (n, 3), labels int (n,), groups str (n,)."""
        ...
