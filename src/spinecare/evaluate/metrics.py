"""The metrics: validated first, then plain numpy.

Every metric takes `weights`, float (n,) or (replicates, n): how often each row counts. One set of weights
gives one number, many give one number a replicate, which is how the bootstrap gets its thousands at once.
What cannot be computed (a class is absent, nobody was called positive) is nan, never an invented number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError
from spinecare.scan import LABELS

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

CLASSES = len(LABELS)
LOGIT_CLIP = 1e-6


# ---------------------------------------------------------------- validation


def check_labels(y_true: npt.ArrayLike) -> Int:
    """`y_true` as int64 (n,), or EvaluationError unless every one is 0, 1 or 2 (the order of `LABELS`)."""
    y = np.asarray(y_true)
    if y.ndim != 1 or not len(y):
        raise EvaluationError(f"The true classes must be one row of numbers, and have shape {y.shape}.")
    whole = np.array_equal(y, y.astype(np.int64)) if np.issubdtype(y.dtype, np.number) else False
    if not whole or y.min() < 0 or y.max() >= CLASSES:
        names = ", ".join(f"{i} {label}" for i, label in enumerate(LABELS))
        raise EvaluationError(f"The true classes must be whole numbers in the order of LABELS ({names}).")
    return y.astype(np.int64)


def check_probabilities(probabilities: npt.ArrayLike, n: int, name: str = "the predictions") -> Float:
    """Probabilities as float64 (n, 3); EvaluationError unless in [0, 1] and summing to one (within 1e-3)."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (n, CLASSES):
        raise EvaluationError(f"Probabilities of {name} have shape {p.shape}; ({n}, {CLASSES}) is needed.")
    if not np.isfinite(p).all() or p.min() < -1e-6 or p.max() > 1 + 1e-6:
        raise EvaluationError(f"Probabilities of {name} must be finite and in [0, 1].")
    if np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise EvaluationError(f"The three probabilities of {name} must sum to one in every row.")
    clipped = np.clip(p, 0, 1)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True), dtype=np.float64)


def check_score(score: npt.ArrayLike, n: int, name: str = "the score") -> Float:
    """A score as float64 (n,), or EvaluationError unless finite and of that length."""
    s = np.asarray(score, dtype=np.float64)
    if s.shape != (n,) or not np.isfinite(s).all():
        raise EvaluationError(f"{name} must be {n} finite numbers, and has shape {s.shape}.")
    return s


def check_weights(weights: npt.ArrayLike | None, n: int) -> Float:
    """Weights as float64 (..., n), ones when None, or EvaluationError unless finite and not negative."""
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim < 1 or w.shape[-1] != n or not np.isfinite(w).all() or w.min() < 0:
        raise EvaluationError(f"Weights must be finite, not negative and {n} in a row; shape {w.shape}.")
    return w


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Float:
    """part / whole, nan where whole is 0."""
    a, b = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0), dtype=np.float64)


# ---------------------------------------------------------------- decisions


def categories(probabilities: Float, threshold: float) -> Int:
    """The product's category (n,): osteoporosis from `threshold` on, else the likelier of the other two."""
    yes = probabilities[:, 2] >= threshold
    return np.where(yes, 2, (probabilities[:, 1] > probabilities[:, 0]).astype(np.int64))


def confusion(true: Int, said: Int, classes: int, weights: npt.ArrayLike | None = None) -> Float:
    """Confusion matrix (..., classes, classes): true class by row, what was said by column."""
    w = check_weights(weights, len(true))
    cells = np.zeros((len(true), classes * classes))
    cells[np.arange(len(true)), true * classes + said] = 1
    return (w @ cells).reshape(*w.shape[:-1], classes, classes)


def yes_no_rates(table: Float) -> dict[str, Float]:
    """Rates of a 2x2 table (..., 2, 2) of `confusion` (no, yes): recall is the sensitivity.

    Precision is nan when nobody was told yes, recall when nobody has it, specificity when everybody has it,
    NPV when nobody was told no, F1 when there is neither a true nor a said yes.
    """
    tn, fp, fn, tp = table[..., 0, 0], table[..., 0, 1], table[..., 1, 0], table[..., 1, 1]
    return {
        "accuracy": ratio(tp + tn, tp + tn + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "specificity": ratio(tn, tn + fp),
        "npv": ratio(tn, tn + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
    }


# ---------------------------------------------------------------- discrimination


def auc(positive: npt.ArrayLike, score: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Parameters
    ----------
    positive
        bool (n,).
    score
        float (n,), higher means more likely positive.
    weights
        (..., n). A row of weight 0 is left out, so a comparison of two classes gives the third weight 0.

    Returns
    -------
    float (...); nan where either side is absent.

    Notes
    -----
    Mann-Whitney form: Hanley and McNeil 1982, 10.1148/radiology.143.1.7063747.
    """
    yes = np.asarray(positive, dtype=bool)
    s = check_score(score, len(yes))
    w = check_weights(weights, len(yes))
    order = np.argsort(s, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(s[order]) > 0])
    w, yes = w[..., order], yes[order]
    # A sum over each run of equal scores; with few ties `reduceat` is cheaper than any loop.
    up = np.add.reduceat(w * yes, starts, axis=-1)
    down = np.add.reduceat(w * ~yes, starts, axis=-1)
    below = np.cumsum(down, axis=-1) - down / 2
    return ratio((up * below).sum(axis=-1), up.sum(axis=-1) * down.sum(axis=-1))


def roc_points(positive: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Float, Float, Float]:
    """False and true positive rates from (0, 0) to (1, 1), and the thresholds (yes is score >= threshold)."""
    yes = np.asarray(positive, dtype=bool)
    s = check_score(score, len(yes))
    order = np.argsort(-s, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(s[order]) < 0, True])
    tp, fp = np.cumsum(yes[order])[last], np.cumsum(~yes[order])[last]
    return (
        np.r_[0.0, ratio(fp, (~yes).sum())],
        np.r_[0.0, ratio(tp, yes.sum())],
        np.r_[np.inf, s[order][last]],
    )


# ---------------------------------------------------------------- probabilities


def brier(positive: npt.ArrayLike, p: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Float:
    """Mean squared error of the probability of one event, 0 to 1 (Brier 1950)."""
    yes = np.asarray(positive, dtype=bool)
    w = check_weights(weights, len(yes))
    return ratio(w @ (check_score(p, len(yes)) - yes) ** 2, w.sum(axis=-1))


def brier_multiclass(y_true: Int, p: Float, weights: npt.ArrayLike | None = None) -> Float:
    """Squared error summed over the three classes, 0 to 2 (Brier 1950, as first defined)."""
    w = check_weights(weights, len(y_true))
    return ratio(w @ ((p - np.eye(CLASSES)[y_true]) ** 2).sum(axis=1), w.sum(axis=-1))


def calibration(positive: npt.ArrayLike, p: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> tuple[Float, Float]:
    """Calibration slope and intercept of p (n,) for an event (n,).

    Slope: b of logit P(event) = a + b logit(p), 1 when right, below 1 when p is too extreme. Intercept: a of
    logit P(event) = a + logit(p), "in the large", 0 when right, above 0 when p is too low on average.
    nan where the event never or always happens, and the slope where p is constant or separates the classes.
    Logits are taken of p clipped to [1e-6, 1 - 1e-6].

    Source: Cox 1958, 10.1093/biomet/45.3-4.562; Van Calster et al. 2016, 10.1016/j.jclinepi.2015.12.005.
    """
    yes = np.asarray(positive, dtype=bool)
    w = check_weights(weights, len(yes))
    clipped = np.clip(check_score(p, len(yes)), LOGIT_CLIP, 1 - LOGIT_CLIP)
    x = np.log(clipped) - np.log1p(-clipped)
    rows = w.reshape(-1, len(yes))
    both = ((rows @ yes) > 0) & ((rows @ ~yes) > 0)
    slope = _newton(x[:, None], yes, rows, both, offset=np.zeros_like(x))[:, 1]
    large = _newton(np.zeros((len(x), 0)), yes, rows, both, offset=x)[:, 0]
    return slope.reshape(w.shape[:-1]), large.reshape(w.shape[:-1])


def _newton(x: Float, yes: Bool, weights: Float, usable: Bool, offset: Float) -> Float:
    """Logistic regression of many weightings at once: (replicates, 1 + columns), nan where unsettled."""
    n, k = x.shape
    scale = x.std(axis=0) if k else np.ones(0)
    result = np.full((len(weights), 1 + k), np.nan)
    if (scale < 1e-9).any():
        return result
    design = np.column_stack([np.ones(n), (x - x.mean(axis=0)) / scale])
    products = (design[:, :, None] * design[:, None, :]).reshape(n, -1)
    beta = np.zeros_like(result)
    going = usable.copy()
    for _ in range(40):
        i = np.flatnonzero(going)
        if not len(i):
            break
        mean = 1 / (1 + np.exp(-np.clip(beta[i] @ design.T + offset, -35, 35)))
        gradient = (weights[i] * (yes - mean)) @ design
        hessian = ((weights[i] * mean * (1 - mean)) @ products).reshape(-1, 1 + k, 1 + k)
        good = np.linalg.cond(hessian) < 1e12
        step = np.zeros_like(gradient)
        step[good] = np.linalg.solve(hessian[good], gradient[good][..., None])[..., 0]
        # A whole Newton step can overshoot when p is very wrong; separated classes walk away for ever.
        step = np.clip(step, -2, 2)
        beta[i] += step
        settled = good & (np.abs(step).max(axis=1) < 1e-9)
        result[i[settled]] = beta[i[settled]]
        going[i[settled | ~good | (np.abs(beta[i]).max(axis=1) > 50)]] = False
    result[:, 1:] /= scale
    if k:
        result[:, 0] -= (result[:, 1:] * x.mean(axis=0)).sum(axis=1)
    return result


def reliability(positive: npt.ArrayLike, p: npt.ArrayLike, bins: int = 10) -> dict[str, Any]:
    """Equal-width bins of p: `edges` (bins + 1), `count`, mean `predicted`, `observed` share (nan: empty)."""
    yes = np.asarray(positive, dtype=bool)
    s = check_score(p, len(yes))
    edges = np.linspace(0, 1, bins + 1)
    which = np.clip(np.digitize(s, edges[1:-1]), 0, bins - 1)
    count = np.bincount(which, minlength=bins)
    return {
        "edges": edges,
        "count": count,
        "predicted": ratio(np.bincount(which, s, bins), count),
        "observed": ratio(np.bincount(which, yes, bins), count),
    }
