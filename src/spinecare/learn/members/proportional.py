"""Proportional odds: one score for the ordered classes, and where along it each class begins.

p(class <= k) = sigmoid(edge_k - score): McCullagh 1980, Regression models for ordinal data,
doi:10.1111/j.2517-6161.1980.tb01109.x. The score is linear in the columns, with a ridge on its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from spinecare.learn.members.frozen import spread_out


@dataclass(frozen=True, eq=False)
class ProportionalOdds:
    """`weights` (columns,), rising `edges` (classes - 1,), and the `classes` that training held, in order."""

    weights: np.ndarray
    edges: np.ndarray
    classes: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (k, 3) of rows x (k, columns)."""
        below = expit(self.edges[None] - (x @ self.weights)[:, None])
        p = np.diff(below, axis=1, prepend=0.0, append=1.0)
        return spread_out(np.maximum(p, 0.0), self.classes)


def fit_proportional(
    x: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray | None = None,
    not_negative: bool = False,
) -> ProportionalOdds:
    """The lowest point of weighted log loss + half of w' penalty w, which is the only one.

    Parameters
    ----------
    x, labels, weights
        Rows (n, columns), classes int (n,), how much each row counts (n,).
    penalty
        (columns, columns), positive semi-definite; edges are not penalised.
    start
        Weights (columns,) to begin from; zeros when None.
    not_negative
        Whether weights below 0 are forbidden.
    """
    classes, y = np.unique(labels, return_inverse=True)
    edges = len(classes) - 1
    share = np.cumsum(np.bincount(y, weights=weights))[:-1] / weights.sum()
    first = np.log(share / (1 - share))
    columns = x.shape[1]
    begin = np.concatenate([np.zeros(columns) if start is None else start, first[:1], np.log(np.diff(first))])

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        w, edge = free[:columns], _edges(free[columns:])
        score = x @ w
        # One edge far outside at each end: the lowest class has no lower edge, the highest no upper one.
        around = np.concatenate([[-np.inf], edge, [np.inf]])
        upper, lower = around[y + 1] - score, around[y] - score
        # log(sigmoid(u) - sigmoid(l)) without cancellation where both are near 0 or near 1.
        told = log_expit(upper) + log_expit(-lower) + np.log1p(-np.exp(np.minimum(lower - upper, -1e-12)))
        p = np.exp(told)
        d_upper = _slope(upper) / p * weights
        d_lower = _slope(lower) / p * weights
        pull = penalty @ w
        d_edges = np.array([d_lower[y == k + 1].sum() - d_upper[y == k].sum() for k in range(edges)])
        d_free = np.cumsum(d_edges[::-1])[::-1].copy()
        d_free[1:] *= np.diff(edge)
        gradient = np.concatenate([x.T @ (d_upper - d_lower) + pull, d_free])
        return float(-(weights * told).sum() + 0.5 * w @ pull), gradient

    bounds = [(0.0, None)] * columns + [(None, None)] * edges if not_negative else None
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000, "ftol": 1e-10})
    return ProportionalOdds(found.x[:columns], _edges(found.x[columns:]), classes)


def _edges(free: np.ndarray) -> np.ndarray:
    """The first edge, then each by the exponential of its distance to the one before: always in order."""
    return np.cumsum(np.concatenate([free[:1], np.exp(free[1:])]))


def _slope(at: np.ndarray) -> np.ndarray:
    """Derivative of the sigmoid, 0 far outside."""
    return expit(at) * expit(-at)
