"""The cuts of a study: repeated outer folds, and inner folds inside each training part, never through a group."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from spinecare.errors import TrainingError
from spinecare.scan import LABELS


@dataclass(frozen=True, eq=False)
class OuterFold:
    """One outer fold: everything is fitted on `train`, and then asked about `test`, once.

    train, test
        Rows, int64, sorted; no group is in both.
    inner
        (fit, unseen) rows inside `train`; the unseen parts together are `train`.
    """

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    inner: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def name(self) -> str:
        """`r0f3`: repeat 0, fold 3."""
        return f"r{self.repeat}f{self.fold}"


def seed_of(*what: object) -> int:
    """A seed from words and numbers: the same on every machine, whatever is fitted before or beside."""
    told = "\x1f".join(map(str, what)).encode()
    # 22 bits: a model may number a thousand parts of its own (1000 x seed + part) and stay below sklearn's 2**32.
    return int.from_bytes(hashlib.sha256(told).digest()[:4], "big") >> 10


def study_folds(
    labels: np.ndarray,
    groups: np.ndarray,
    repeats: int,
    folds: int,
    inner_folds: int,
    seed: int,
    share: float = 1.0,
) -> list[OuterFold]:
    """Repeated stratified k-fold cross-validation by group, nested.

    Parameters
    ----------
    labels
        int (n,), positions in `LABELS`.
    groups
        str (n,): what no cut may divide.
    repeats
        Each repeat divides the scans anew, by its own seed.
    share
        Of each training part's groups, stratified, that are used; smaller shares lie inside larger ones, and the
        test parts stay the same.

    Returns
    -------
    repeats x folds outer folds, in their order.

    Raises
    ------
    TrainingError
        When a class has too few groups for the folds.
    """
    everything = np.arange(len(labels))
    found = []
    for repeat in range(repeats):
        outer = _cut(everything, labels, groups, folds, seed_of(seed, "outer", repeat), "The manifest")
        for fold, (train, test) in enumerate(outer):
            kept = _share(train, labels, groups, share, seed_of(seed, "share", repeat, fold))
            cuts = _cut(kept, labels, groups, inner_folds, seed_of(seed, "inner", repeat, fold), "A training part")
            found.append(OuterFold(repeat, fold, kept, test, tuple(cuts)))
    return found


def _cut(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int, who: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    for number, label in enumerate(LABELS):
        n = len(np.unique(groups[rows][labels[rows] == number]))
        if n < folds:
            raise TrainingError(
                f"{who} has {n} groups of class {label}; {folds} folds need at least as many. "
                "Give more scans or fewer folds."
            )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    cuts = [
        (rows[np.sort(fit)], rows[np.sort(unseen)]) for fit, unseen in splitter.split(rows, labels[rows], groups[rows])
    ]
    for fit, unseen in cuts:
        # Groups of several classes and sizes can leave a fold empty or a class out, though there are enough of them.
        if not len(unseen) or len(np.unique(labels[fit])) < len(LABELS):
            raise TrainingError(f"{who} cannot be cut into {folds} folds that keep every class. Give fewer folds.")
    return cuts


def _share(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    if share >= 1:
        return rows
    rng = np.random.default_rng(seed)
    kept: list[str] = []
    named, first = np.unique(groups[rows], return_index=True)
    for number in range(len(LABELS)):
        # A group counts as the class of its first scan; the order is drawn once, so that shares lie in each other.
        order = rng.permutation(named[labels[rows][first] == number])
        kept += list(order[: max(1, round(share * len(order)))])
    return rows[np.isin(groups[rows], kept)]
