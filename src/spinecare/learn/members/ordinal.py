"""Proportional odds on views: weakening bone has an order, so every scan helps to place both edges between classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spinecare.learn.members.frozen import OnViews, Table, Told
from spinecare.learn.members.options import positive
from spinecare.learn.members.proportional import fit_proportional


@dataclass(frozen=True, kw_only=True)
class Ordinal(OnViews):
    """Ridge proportional-odds regression: one direction for all classes, so a third of the weights of `Logistic`.

    strength
        Inverse ridge penalty, as in `Logistic`.
    """

    strength: float = 2.0

    what: ClassVar[str] = "proportional odds"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(strength=self.strength)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`; `seed` changes nothing, the penalty has one lowest point."""
        reduce = self.reduction(table)
        x = reduce(table.x).reshape(len(table.labels) * table.copies, -1)
        penalty = np.eye(x.shape[1]) / self.strength
        model = fit_proportional(x, table.each_label, table.each_weight, penalty)
        return lambda asked: model(reduce(asked))
