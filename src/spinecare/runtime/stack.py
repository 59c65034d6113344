"""Level 1: the members' probabilities become one answer by multinomial logistic regression.

Wolpert, Stacked generalization, Neural Networks 5 (1992), doi:10.1016/S0893-6080(05)80023-1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spinecare.bundle.schema import StackSpec

Float64 = npt.NDArray[np.float64]

# The smallest probability that the stack is told: a forest says 0 where no tree voted.
LEAST_PROBABILITY = 1e-6


def softmax(scores: npt.ArrayLike) -> Float64:
    """Softmax over the last axis, in float64."""
    x = np.asarray(scores, dtype=np.float64)
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    p: Float64 = x / x.sum(axis=-1, keepdims=True)
    return p


def stack_inputs(members: Mapping[str, npt.ArrayLike], order: tuple[str, ...]) -> Float64:
    """log(clip(p, 1e-6, 1)) of each member in `order`, concatenated.

    Parameters
    ----------
    members
        Name -> probabilities (..., 3).

    Returns
    -------
    float64 (..., 3 x members).
    """
    p = np.concatenate([np.asarray(members[name], dtype=np.float64) for name in order], axis=-1)
    x: Float64 = np.log(np.clip(p, LEAST_PROBABILITY, 1.0))
    return x


def stack(members: Mapping[str, npt.ArrayLike], spec: StackSpec) -> Float64:
    """The stack's probabilities (..., 3): softmax(coef @ x + intercept)."""
    x = stack_inputs(members, spec.inputs)
    return softmax(x @ np.asarray(spec.coef, dtype=np.float64).T + np.asarray(spec.intercept))
