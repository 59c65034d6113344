"""A stack by a shallow net: several small ones from other starting weights, averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spinecare.learn.combine.base import Joined
from spinecare.learn.combine.joined import Rule, in_order
from spinecare.learn.combine.stack import LEAST
from spinecare.learn.members.mlp import fit_nets, mean_answer
from spinecare.learn.members.options import positive


@dataclass(frozen=True)
class StackNet:
    """One hidden layer on the members' log probabilities, each of mean 0 and variance 1 on the scans of the fit.

    hidden
        Units.
    decay
        Ridge penalty on all weights.
    nets
        How many are averaged.
    """

    hidden: int = 4
    decay: float = 10.0
    nets: int = 5

    about: ClassVar[str] = "shallow nets on the members' log probabilities, averaged"

    def __post_init__(self) -> None:
        positive(hidden=self.hidden, decay=self.decay, nets=self.nets)

    def fit(self, said: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int) -> Joined:
        """As `Combiner.fit`."""
        told = in_order(said)
        x = _logs(told)
        mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        nets = fit_nets((x - mean) / spread, labels, self.hidden, self.decay, self.nets, seed)
        return Rule(tuple(told), lambda asked: mean_answer(nets, (_logs(asked) - mean) / spread), {})


def _logs(said: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.log(np.clip(np.concatenate(list(said.values()), axis=1), LEAST, 1.0))
