"""Everything in level 1 that is fitted: stack, temperature, operating threshold, conformal threshold.

What is done with these numbers is `runtime`'s; the same functions are used here, so training and serving agree.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from spinecare.bundle.schema import StackSpec
from spinecare.errors import TrainingError
from spinecare.runtime.calibrate import temperature_scale
from spinecare.runtime.stack import stack, stack_inputs
from spinecare.scan import LABELS

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Said = Mapping[str, npt.NDArray[np.float64]]

OSTEOPOROSIS = 2
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.2, 5.0


def fit_stack(said: Said, labels: Int, strength: float) -> StackSpec:
    """Multinomial logistic regression on the members' log probabilities.

    Parameters
    ----------
    said
        Member → probabilities (n, 3) on data that the member did not see.
    labels
        (n,), all three classes among them.
    strength
        Inverse of the ridge penalty.
    """
    order = tuple(said)
    model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(stack_inputs(said, order), labels)
    return StackSpec(
        inputs=order,
        coef=tuple(tuple(float(c) for c in row) for row in model.coef_),
        intercept=tuple(float(c) for c in model.intercept_),
    )


def unseen_by_stack(said: Said, labels: Int, patients: npt.ArrayLike, strength: float, seed: int) -> Float:
    """Stack probabilities (n, 3) of the stack's own data, each row by a stack fitted without its patient.

    Raises
    ------
    TrainingError
        When a class has fewer than two patients, so that none can be spared.
    """
    groups = np.asarray(patients)
    pieces = min(5, *(len(np.unique(groups[labels == k])) for k in range(len(LABELS))))
    if pieces < 2:
        raise TrainingError("The stack's data hold fewer than two patients of one class. Give more scans.")
    out = np.empty((len(labels), len(LABELS)))
    splitter = StratifiedGroupKFold(n_splits=pieces, shuffle=True, random_state=seed)
    for fit, rest in splitter.split(labels, labels, groups):
        spec = fit_stack({name: p[fit] for name, p in said.items()}, labels[fit], strength)
        out[rest] = stack({name: p[rest] for name, p in said.items()}, spec)
    return out


def fit_temperature(p: Float, labels: Int) -> float:
    """The temperature in [0.2, 5] with the least log loss on probabilities (n, 3)."""
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = temperature_scale(p, float(np.exp(log_temperature)))[rows, labels]
        return float(-np.log(np.clip(scaled, 1e-12, 1.0)).mean())

    bounds = (np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def shares(labels: Int) -> Float:
    """Share of each class (3,)."""
    return np.bincount(labels, minlength=len(LABELS)) / len(labels)


def operating_threshold(p: Float, labels: Int, sensitivity: float) -> float:
    """The highest threshold on p(osteoporosis) that still finds `sensitivity` of those who have it.

    It lies halfway to the next lower probability seen, so that it does not sit on a person's own value.
    """
    scores = np.sort(p[labels == OSTEOPOROSIS, OSTEOPOROSIS])[::-1]
    needed = max(1, int(np.ceil(sensitivity * len(scores) - 1e-9)))
    lowest = scores[needed - 1]
    below = p[p[:, OSTEOPOROSIS] < lowest, OSTEOPOROSIS]
    middle = (lowest + (below.max() if len(below) else 0.0)) / 2
    return float(np.clip(middle, 1e-6, 1 - 1e-6))


def conformal_threshold(p: Float, labels: Int, weights: npt.ArrayLike, coverage: float) -> float:
    """The threshold on 1 - p of the true class, for prediction sets that hold it with probability `coverage`.

    Least ambiguous set-valued classifier (Sadinle et al. 2019, doi:10.1080/01621459.2017.1395341), split conformal;
    rows weighted by assumed over training share of their class, as the answers are for another class mix
    (label shift: Podkopaev and Ramdas 2021, arXiv:2103.03323).

    Parameters
    ----------
    p
        (n, 3) final probabilities of data that neither members nor stack were fitted on.
    weights
        (n,), any scale.
    """
    scores = 1.0 - p[np.arange(len(labels)), labels]
    w = np.asarray(weights, dtype=np.float64)
    order = np.argsort(scores)
    # One more point of the largest weight at infinity: the new patient, in the worst case.
    mass = np.cumsum(w[order]) / (w.sum() + w.max())
    position = int(np.searchsorted(mass, coverage - 1e-12))
    return 1.0 if position >= len(scores) else float(scores[order][position])
