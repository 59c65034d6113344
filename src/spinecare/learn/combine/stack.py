"""Stacks by regression: multinomial on all that the members say, or ordinal on one score of each.

Wolpert 1992, Stacked generalization, doi:10.1016/S0893-6080(05)80023-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.combine.base import Joined
from spinecare.learn.combine.joined import Rule, in_order, shared
from spinecare.learn.members.options import positive
from spinecare.learn.members.proportional import fit_proportional
from spinecare.learn.stack import fit_stack
from spinecare.runtime.stack import stack
from spinecare.scan import LABELS

# The smallest probability that a score is made from: on a hundred scans, a forest's 0 means "none of mine".
LEAST = 1e-3
# Ridge on the members' common slope, so that it stays finite where the classes can be parted without error.
SLOPE = 0.01


@dataclass(frozen=True)
class Stack:
    """Multinomial logistic regression on the members' log probabilities, as in a bundle (`learn.stack.fit_stack`).

    strength
        Inverse ridge penalty. Towards 0 the members count for nothing, and everyone gets the class shares.
    """

    strength: float = 0.1

    about: ClassVar[str] = "multinomial logistic regression on the members' log probabilities"

    def __post_init__(self) -> None:
        positive(strength=self.strength)

    def fit(self, said: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int) -> Joined:
        """As `Combiner.fit`."""
        told = in_order(said)
        if len(np.unique(labels)) < len(LABELS):
            raise TrainingError("The stack's data lack a class. Give scans of all three.")
        spec = fit_stack(told, labels, self.strength)
        coef = np.abs(np.array(spec.coef)).reshape(len(LABELS), len(told), len(LABELS)).sum(axis=(0, 2))
        return Rule(tuple(told), partial(stack, spec=spec), shared(dict(zip(told, coef.tolist(), strict=True))))


@dataclass(frozen=True)
class StackOrdinal:
    """Proportional odds on one weighted score, its weights drawn towards being equal.

    A member's score is the mean of the log odds of "low bone mass or worse" and "osteoporosis", which gives a member
    that is a proportional-odds model back its own score; made of mean 0 and variance 1 on the scans of the fit. No
    weight is below 0 (Breiman 1996, Stacked regressions, doi:10.1007/BF00117832).

    strength
        Inverse penalty on differences between weights; towards 0 all are equal. What they have in common, and the
        edges of the classes, are not penalised.
    """

    strength: float = 0.1

    about: ClassVar[str] = "proportional odds on the members' log odds, weights drawn towards being equal"

    def __post_init__(self) -> None:
        positive(strength=self.strength)

    def fit(self, said: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, seed: int) -> Joined:
        """As `Combiner.fit`."""
        told = in_order(said)
        if len(np.unique(labels)) < 2:
            raise TrainingError("The stack's data are all of one class. Give scans of at least two.")
        scores = np.stack([score(p) for p in told.values()], axis=1)
        mean, spread = scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-6)
        m = len(told)
        common = np.full((m, m), 1 / m)
        penalty = (np.eye(m) - common) / self.strength + SLOPE * common
        model = fit_proportional(
            (scores - mean) / spread, labels, np.ones(len(labels)), penalty, np.full(m, 1 / m), not_negative=True
        )

        def join(asked: Mapping[str, np.ndarray]) -> np.ndarray:
            seen = np.stack([score(asked[name]) for name in told], axis=1)
            return model((seen - mean) / spread)

        return Rule(tuple(told), join, shared(dict(zip(told, model.weights.tolist(), strict=True))))


def score(p: np.ndarray) -> np.ndarray:
    """How ill a member finds each scan: mean log odds of the two edges between the classes, (n,), from p (n, 3)."""
    affected = np.clip(p[:, 1] + p[:, 2], LEAST, 1 - LEAST)
    osteoporosis = np.clip(p[:, 2], LEAST, 1 - LEAST)
    return 0.5 * (np.log(affected / (1 - affected)) + np.log(osteoporosis / (1 - osteoporosis)))
