"""Fewer rows of a training part: whole groups, class shares kept, and a smaller part always inside a larger one."""

from __future__ import annotations

import numpy as np

from spinecare.errors import TrainingError
from spinecare.scan import LABELS


def thinned(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, share: float, seed: int, at_least: int = 1
) -> np.ndarray:
    """The rows of a share of the groups of each class.

    Parameters
    ----------
    rows
        Positions, int (m,).
    labels, groups
        Of all rows, (n,): positions in `LABELS`, and the unit that is kept or left out whole. A group counts for the
        highest class in it.
    share
        Of each class's groups, 0 < share <= 1, rounded to the nearest whole one. With the same seed the rows of a
        smaller share are among those of a larger one, so that a learning curve compares sizes and not draws.
    at_least
        Groups of each class that stay, whatever the share: as many as there are folds to be cut.

    Returns
    -------
    int, sorted.

    Raises
    ------
    TrainingError
        For a share outside (0, 1], or a class with fewer groups than `at_least`.
    """
    if not 0 < share <= 1:
        raise TrainingError(f"A share of {share} of the training part makes no sense: give one above 0, up to 1.")
    units, where = np.unique(groups[rows], return_inverse=True)
    highest = np.full(len(units), -1)
    np.maximum.at(highest, where, labels[rows])
    # One order for all shares; each class takes its first ones.
    order = np.random.default_rng(seed).permutation(len(units))
    kept = np.zeros(len(units), dtype=bool)
    for number, label in enumerate(LABELS):
        mine = order[highest[order] == number]
        if len(mine) < at_least:
            raise TrainingError(
                f"The training part has {len(mine)} groups of class {label}, and {at_least} must stay. Give more scans."
            )
        kept[mine[: max(at_least, round(share * len(mine)))]] = True
    return np.sort(rows[kept[where]])
