"""Cuts by group for what is fitted inside a training part: as many folds as the rarest class allows."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from spinecare.errors import TrainingError
from spinecare.scan import LABELS


def group_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """At most `folds` pairs of positions (to fit on, unseen); the unseen ones together are all rows, once each.

    Parameters
    ----------
    labels
        int (n,), positions in `LABELS`; not all three need be there.
    groups
        (n,), the key that no cut may divide.

    Raises
    ------
    TrainingError
        When a class has fewer than two groups, so that none can be spared.
    """
    rarest, count = min(((k, len(np.unique(groups[labels == k]))) for k in np.unique(labels)), key=lambda pair: pair[1])
    if count < 2:
        raise TrainingError(
            f"There is only one patient or group of class {LABELS[int(rarest)]}, so that none can be held out. "
            "Give more scans."
        )
    splitter = StratifiedGroupKFold(n_splits=min(folds, count), shuffle=True, random_state=seed)
    return list(splitter.split(labels, labels, groups))
