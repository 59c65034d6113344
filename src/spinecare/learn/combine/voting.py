"""The mean of what the members say: the baseline that a stack must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spinecare.learn.combine.base import Joined
from spinecare.learn.combine.joined import Rule, in_order


@dataclass(frozen=True)
class Voting:
    """Soft voting; nothing is fitted."""

    about: ClassVar[str] = "mean of the members' probabilities"

    def fit(self, said: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int) -> Joined:
        """As `Combiner.fit`."""
        names = tuple(in_order(said))
        return Rule(names, _mean, {name: 1 / len(names) for name in names})


def _mean(said: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.mean(list(said.values()), axis=0)
