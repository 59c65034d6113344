"""From a machine's scores to probabilities, by scores of scans that the machine had not seen.

Platt 1999 (Probabilistic outputs for support vector machines) fits a sigmoid; with three classes it is a multinomial
logistic regression on the scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression

from spinecare.learn.folds import group_folds
from spinecare.learn.members.frozen import Table, Told, spread_out

# Rows (k, columns) → scores (k, scores).
Scores = Callable[[np.ndarray], np.ndarray]


def calibrated(fit: Callable[[Table, int], Scores], table: Table, seed: int, folds: int = 3) -> Told:
    """A machine fitted on the whole table, whose scores become probabilities as scans held out from it tell.

    Each fold's machine, scaling and selection included, sees no copy of the scans it is asked about, nor others of
    their group (`sklearn.svm.SVC(probability=True)` would put copies of one scan on both sides).
    """
    scores = None
    for learnt, unseen in group_folds(table.labels, table.groups, folds, seed):
        said = fit(table.take(learnt), seed)(table.x[unseen, 0])
        scores = np.empty((len(table.labels), said.shape[1])) if scores is None else scores
        scores[unseen] = said
    sigmoid = fit_sigmoid(scores, table.labels)
    machine = fit(table, seed)
    return lambda asked: sigmoid(machine(asked))


def fit_sigmoid(scores: np.ndarray, labels: np.ndarray) -> Told:
    """Scores (n, k) → probabilities (n, 3) by a logistic regression, its ridge only there against separable scores."""
    scale = np.maximum(scores.std(axis=0), 1e-9)
    model = LogisticRegression(C=10.0, max_iter=2000).fit(scores / scale, labels)
    return lambda asked: spread_out(model.predict_proba(asked / scale), model.classes_)
