"""Many ridge logistic regressions, each on scans drawn anew and on a part of the columns; their answers' mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spinecare.learn.members.bags import Bags
from spinecare.learn.members.frozen import OnViews, Table, Told, spread_out
from spinecare.learn.members.logistic import fit_logistic
from spinecare.learn.members.options import positive


@dataclass(frozen=True, kw_only=True)
class BaggedLogistic(OnViews):
    """Bagged logistic regression (Breiman 1996, doi:10.1007/BF00058655).

    strength
        As in `Logistic`, of each.
    bags, share, copies
        As in `Bags`.
    """

    strength: float = 3.0
    bags: int = 25
    share: float = 0.5
    copies: int = 3

    what: ClassVar[str] = "bagged logistic regression"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(strength=self.strength)
        Bags(self.bags, self.share, self.copies)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`."""
        reduce = self.reduction(table)
        x = reduce(table.x)
        fitted = []
        for bag in Bags(self.bags, self.share, self.copies).draw(table, x.shape[2], seed):
            model = fit_logistic(bag.of(x), bag.each(table.labels), bag.weights, self.strength)
            fitted.append((bag.columns, model))

        def told(asked: np.ndarray) -> np.ndarray:
            seen = reduce(asked)
            said = [spread_out(model.predict_proba(seen[:, columns]), model.classes_) for columns, model in fitted]
            return np.mean(said, axis=0)

        return told
