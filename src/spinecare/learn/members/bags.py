"""Bags: scans drawn with replacement, some copies of each, and a part of the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.members.forest import draw_groups
from spinecare.learn.members.frozen import Table
from spinecare.learn.members.options import positive


@dataclass(frozen=True, eq=False)
class Bag:
    """One draw: `rows` (m,) with repeats, `copies` (m, k) of each of them, `columns` (c,), `unseen` rows."""

    rows: np.ndarray
    copies: np.ndarray
    columns: np.ndarray
    unseen: np.ndarray

    def of(self, x: np.ndarray) -> np.ndarray:
        """Its rows of x (n, copies, columns), (m * k, c)."""
        return x[self.rows[:, None, None], self.copies[:, :, None], self.columns].reshape(-1, len(self.columns))

    def each(self, values: np.ndarray) -> np.ndarray:
        """One value (n,) for each row of `of`."""
        return np.repeat(values[self.rows], self.copies.shape[1])

    @property
    def weights(self) -> np.ndarray:
        """Of the rows of `of`: a scan weighs 1 each time that it was drawn."""
        return np.full(self.copies.size, 1 / self.copies.shape[1])


@dataclass(frozen=True)
class Bags:
    """How bags are drawn.

    bags
        How many.
    share
        Of the columns, drawn without replacement (random subspaces: Ho 1998, doi:10.1109/34.709601).
    copies
        Of each scan, drawn without replacement: fewer make the bags differ more, and fit faster.
    """

    bags: int
    share: float
    copies: int

    def __post_init__(self) -> None:
        positive(bags=self.bags, share=self.share, copies=self.copies)
        if self.share > 1:
            raise TrainingError(f"The option share is {self.share}; it can't be above 1.")

    def draw(self, table: Table, columns: int, seed: int) -> Iterator[Bag]:
        """The bags of a table whose reduced rows have so many columns."""
        rng = np.random.default_rng(seed)
        taken = max(1, round(self.share * columns))
        some = min(self.copies, table.copies)
        for _ in range(self.bags):
            rows = draw_groups(table.groups, table.labels, rng)
            copies = np.argsort(rng.random((len(rows), table.copies)), axis=1)[:, :some]
            chosen = np.sort(rng.permutation(columns)[:taken])
            yield Bag(rows, copies, chosen, np.setdiff1d(np.arange(len(table.labels)), rows))
