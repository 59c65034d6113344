"""Many support vector machines, each on scans drawn anew and on a part of the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.members.bags import Bags
from spinecare.learn.members.frozen import OnViews, Table, Told
from spinecare.learn.members.options import positive
from spinecare.learn.members.platt import fit_sigmoid
from spinecare.learn.members.svm import Kernel, check_kernel, fit_machine


@dataclass(frozen=True, kw_only=True)
class BaggedSvm(OnViews):
    """Bagged support vector machines (Breiman 1996, doi:10.1007/BF00058655).

    The bags' scores are averaged. The sigmoid that makes them probabilities learns from each scan's mean score over
    the bags that did not hold its group.

    strength, kernel, gamma
        As in `Svm`, of each.
    bags, share, copies
        As in `Bags`.
    """

    strength: float = 4.0
    kernel: Kernel = "rbf"
    gamma: float = 0.5
    bags: int = 25
    share: float = 0.5
    copies: int = 3

    what: ClassVar[str] = "bagged support vector machines"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(strength=self.strength, gamma=self.gamma)
        check_kernel(self.kernel)
        Bags(self.bags, self.share, self.copies)

    def learn(self, table: Table, seed: int) -> Told:
        """As `OnViews.learn`."""
        reduce = self.reduction(table)
        x = reduce(table.x)
        machines, totals, times = [], 0.0, np.zeros(len(x))
        for bag in Bags(self.bags, self.share, self.copies).draw(table, x.shape[2], seed):
            # A part of the columns is that much shorter; made 1 again, so that gamma means the same.
            longer = np.sqrt(x.shape[2] / len(bag.columns))
            machine = fit_machine(
                bag.of(x) * longer, bag.each(table.labels), bag.weights, self.strength, self.kernel, self.gamma
            )
            machines.append((bag.columns, longer, machine))
            said = machine(x[:, 0][:, bag.columns] * longer)
            outside = np.isin(np.arange(len(x)), bag.unseen)
            totals = totals + np.where(outside[:, None], said, 0.0)
            times += outside
        heard = times > 0
        if len(np.unique(table.labels[heard])) < len(np.unique(table.labels)):
            raise TrainingError(f"{self.bags} bags left no scan of some class out. Ask for more bags.")
        sigmoid = fit_sigmoid(totals[heard] / times[heard, None], table.labels[heard])

        def told(asked: np.ndarray) -> np.ndarray:
            seen = reduce(asked)
            return sigmoid(np.mean([machine(seen[:, c] * longer) for c, longer, machine in machines], axis=0))

        return told
