"""A support vector machine on views, its scores made probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from sklearn.svm import SVC

from spinecare.errors import TrainingError
from spinecare.learn.members.frozen import OnViews, Table, Told
from spinecare.learn.members.options import positive
from spinecare.learn.members.platt import Scores, calibrated

Kernel = Literal["rbf", "linear"]

# Rows up to which the whole kernel is kept in memory (130 MB).
LARGEST = 4000


@dataclass(frozen=True, kw_only=True)
class Svm(OnViews):
    """Support vector machine: one machine for each pair of classes, joined by a sigmoid on their three scores.

    strength
        C, of one scan.
    kernel, gamma
        "rbf" with exp(-gamma d²), or "linear". Rows have a mean squared length of 1, so that two of them lie at
        d² = 2 on average; gamma = 0.5 makes that one width.
    """

    strength: float = 1.0
    kernel: Kernel = "rbf"
    gamma: float = 0.5

    what: ClassVar[str] = "support vector machine"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(strength=self.strength, gamma=self.gamma)
        check_kernel(self.kernel)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`; `seed` draws the folds behind the sigmoid."""
        return calibrated(self._scores, table, seed)

    def _scores(self, table: Table, seed: int) -> Scores:
        reduce = self.reduction(table)
        x = reduce(table.x).reshape(len(table.labels) * table.copies, -1)
        machine = fit_machine(x, table.each_label, table.each_weight, self.strength, self.kernel, self.gamma)
        return lambda asked: machine(reduce(asked))


def check_kernel(kernel: str) -> None:
    """TrainingError unless it is a kernel of ours."""
    if kernel not in ("rbf", "linear"):
        raise TrainingError(f"There is no kernel {kernel!r}. Choose rbf or linear.")


def fit_machine(
    x: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    strength: float,
    kernel: Kernel,
    gamma: float,
) -> Scores:
    """Fit on rows x (n, columns) with weights (n,); then rows → scores (k, pairs of classes)."""
    if len(x) > LARGEST:
        told = SVC(C=strength, kernel=kernel, gamma=gamma, decision_function_shape="ovo")
        told.fit(x, labels, sample_weight=weights)
        return lambda asked: told.decision_function(asked).reshape(len(asked), -1)
    # The kernel by one matrix product: libsvm's own loop takes many times as long on a thousand columns.
    machine = SVC(C=strength, kernel="precomputed", decision_function_shape="ovo")
    machine.fit(_kernel(x, x, kernel, gamma), labels, sample_weight=weights)

    def scores(asked: np.ndarray) -> np.ndarray:
        said = machine.decision_function(_kernel(asked, x, kernel, gamma))
        return said.reshape(len(asked), -1)

    return scores


def _kernel(a: np.ndarray, b: np.ndarray, kernel: Kernel, gamma: float) -> np.ndarray:
    product = a @ b.T
    if kernel == "linear":
        return product
    apart = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * product
    return np.exp(-gamma * np.maximum(apart, 0.0))
