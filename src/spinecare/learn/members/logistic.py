"""Ridge logistic regression on views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression

from spinecare.learn.members.frozen import OnViews, Table, Told, spread_out
from spinecare.learn.members.options import positive


@dataclass(frozen=True, kw_only=True)
class Logistic(OnViews):
    """Multinomial logistic regression.

    strength
        Inverse ridge penalty, for rows of mean squared length 1 and one scan's weight each. 1 is strong for a hundred
        scans: the same as C = 1 / columns on standardised columns.
    """

    strength: float = 1.0

    what: ClassVar[str] = "logistic regression"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(strength=self.strength)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`; `seed` changes nothing, the penalty has one lowest point."""
        reduce = self.reduction(table)
        x = reduce(table.x).reshape(len(table.labels) * table.copies, -1)
        model = fit_logistic(x, table.each_label, table.each_weight, self.strength)
        return lambda asked: spread_out(model.predict_proba(reduce(asked)), model.classes_)


def fit_logistic(x: np.ndarray, labels: np.ndarray, weights: np.ndarray, strength: float) -> LogisticRegression:
    """Multinomial logistic regression of rows x (n, columns) with weights (n,)."""
    model = LogisticRegression(C=strength, max_iter=2000, tol=1e-5)
    return model.fit(x, labels, sample_weight=weights)
