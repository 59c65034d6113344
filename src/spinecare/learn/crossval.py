"""Cuts of the training part by patient: folds, or one cut into a part for the members and one for the stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from spinecare.errors import TrainingError
from spinecare.scan import LABELS


@dataclass(frozen=True, eq=False)
class Cut:
    """Positions (into all rows) that a member is fitted on, and those it then speaks about without having seen."""

    name: str
    fit: np.ndarray
    unseen: np.ndarray


def cuts(
    train: np.ndarray, labels: np.ndarray, patients: np.ndarray, folds: int, stack_share: float, seed: int
) -> list[Cut]:
    """Cut the training part so that no patient is on both sides of a cut.

    Parameters
    ----------
    train
        Positions of the training part, int (n,).
    labels, patients
        Of all rows: positions in `LABELS`, and the key that no cut may divide.
    folds
        K cuts whose unseen parts together are the training part; 0 makes one cut.
    stack_share
        The unseen share of that one cut.

    Raises
    ------
    TrainingError
        When a class has fewer patients than cuts need.
    """
    pieces = folds or max(2, round(1 / stack_share))
    for number, label in enumerate(LABELS):
        n = len(np.unique(patients[train][labels[train] == number]))
        if n < pieces:
            raise TrainingError(
                f"The training part has {n} patients of class {label}; {pieces} pieces need at least as many. "
                "Give more scans or fewer folds."
            )
    splitter = StratifiedGroupKFold(n_splits=pieces, shuffle=True, random_state=seed)
    found = [
        Cut(f"fold{i}" if folds else "holdout", train[np.sort(fit)], train[np.sort(unseen)])
        for i, (fit, unseen) in enumerate(splitter.split(train, labels[train], patients[train]))
    ]
    return found if folds else found[:1]
