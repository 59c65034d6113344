"""A fitted combiner: callable, and able to tell how much each member counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from spinecare.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Rule:
    """Members' probabilities to joined ones.

    names
        The members, sorted: the order in which they were named changes nothing.
    join
        name → (n, 3) to (n, 3).
    weights
        Name → share of the say, summing to 1; empty where a rule has no such thing.
    """

    names: tuple[str, ...]
    join: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    weights: Mapping[str, float]

    def __call__(self, said: Mapping[str, np.ndarray]) -> np.ndarray:
        """Joined probabilities float64 (m, 3), rows summing to 1."""
        missing = [name for name in self.names if name not in said]
        if missing:
            raise TrainingError(f"The combiner was fitted with {', '.join(missing)} and isn't told what they say.")
        p = self.join({name: np.asarray(said[name], dtype=np.float64) for name in self.names})
        return p / p.sum(axis=1, keepdims=True)


def shared(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as shares of their sum; equal ones where all are 0."""
    total = sum(weights.values())
    return {name: w / total if total > 0 else 1 / len(weights) for name, w in weights.items()}


def in_order(said: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What members say, by name; TrainingError when there is none."""
    if not said:
        raise TrainingError("There is no member to combine. Name at least one.")
    return {name: np.asarray(said[name], dtype=np.float64) for name in sorted(said)}
