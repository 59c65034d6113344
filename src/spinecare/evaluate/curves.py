"""Curves of repeated answers on the same scans, averaged over repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.evaluate import metrics as m
from spinecare.evaluate.metrics import Float


def mean_roc(positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Float, Float]:
    """The mean over repeats of ROC curves of the same scans, as corners of a line; its area is the mean AUC.

    Parameters
    ----------
    positive
        bool (n,).
    scores
        float (repeats, n).

    Returns
    -------
    False and true positive rates from (0, 0) to (1, 1): the mean true positive rate between each two neighbouring
    false positive rates (vertical averaging, Fawcett 2006, 10.1016/j.patrec.2005.10.010). nan where a side is absent.
    """
    yes, s = np.asarray(positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    negatives = int((~yes).sum())
    if not negatives or not yes.any():
        return np.array([0.0, np.nan, 1.0]), np.array([0.0, np.nan, 1.0])
    edges = np.arange(negatives + 1) / negatives
    # Every curve is straight between two neighbouring rates, so its middle there is its mean.
    middle = (edges[:-1] + edges[1:]) / 2
    height = np.mean([np.interp(middle, *m.roc_points(yes, row)[:2]) for row in s], axis=0)
    return np.r_[0.0, np.repeat(edges, 2)[1:-1], 1.0], np.r_[0.0, np.repeat(height, 2), 1.0]


def mean_reliability(positive: npt.ArrayLike, p: npt.ArrayLike, bins: int = 10) -> dict[str, Any]:
    """As `metrics.reliability` of p (repeats, n), over all repeats; `count` is the mean of one repeat."""
    values = np.asarray(p, dtype=np.float64)
    found = m.reliability(np.tile(np.asarray(positive, dtype=bool), len(values)), values.ravel(), bins)
    return found | {"count": found["count"] / len(values)}
