"""What the members on frozen views share: the table they are fitted on, and how its columns are made few and alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.material import Material
from spinecare.learn.members.base import Fitted
from spinecare.learn.members.options import positive
from spinecare.scan import LABELS

# Rows (k, columns) of a view → probabilities (k, 3).
Told = Callable[[np.ndarray], np.ndarray]
Reduced = Callable[[np.ndarray], np.ndarray]

# Standard deviations from the mean beyond which a number tells no more: texture measures have long tails.
FARTHEST = 5.0


@dataclass(frozen=True, eq=False)
class Table:
    """Training rows: `x` float32 (n, copies, columns), `labels` int (n,), `groups` str (n,) that no cut may divide."""

    x: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> Table:
        """Some of the rows."""
        return Table(self.x[rows], self.labels[rows], self.groups[rows])

    @property
    def copies(self) -> int:
        """Copies of each scan, itself among them."""
        return self.x.shape[1]

    @property
    def each_label(self) -> np.ndarray:
        """The label of each copy, (n * copies,)."""
        return np.repeat(self.labels, self.copies)

    @property
    def each_weight(self) -> np.ndarray:
        """The weight of each copy, (n * copies,): all copies of a scan weigh as much as one scan."""
        return np.full(len(self.labels) * self.copies, 1 / self.copies)


def take(material: Material, views: tuple[str, ...], rows: np.ndarray, copies: bool) -> np.ndarray:
    """The joined columns of some rows, float32 (m, 1 + copies or 1, columns).

    Raises
    ------
    TrainingError
        When a view holds what is no number.
    """
    seen = [material.view(name)[rows][:, : None if copies else 1] for name in views]
    for name, x in zip(views, seen, strict=True):
        if not np.isfinite(x).all():
            raise TrainingError(f"The view {name} holds values that are no numbers. Leave it out, or mend it.")
    return np.concatenate(seen, axis=2)


def fit_reduction(table: Table, select: int | None, components: int | None) -> Reduced:
    """Standardise, choose and turn the columns, by the training rows alone.

    Each column is scaled by mean and standard deviation over scans and copies, so that what mere noise or a small shift
    changes much counts less. Then the `select` columns that differ most between the classes (analysis of variance, of
    the scans' means over their copies), then the `components` first principal components of those means. At the end all
    is divided by one number, so that a row's mean squared length is 1: a ridge or a kernel width then means the same
    for fourteen columns and for fourteen hundred.
    """
    x = table.x
    mean = x.mean(axis=(0, 1), dtype=np.float64)
    spread = x.std(axis=(0, 1), dtype=np.float64)
    # A column that does not vary here would be anything on another scan.
    kept = np.flatnonzero(spread > 1e-6 * np.abs(mean) + 1e-12)
    if not len(kept):
        raise TrainingError("No column of this view varies among the training scans. Choose another view.")
    standard = partial(_standardise, columns=kept, mean=mean[kept], spread=spread[kept])
    z = standard(x).mean(axis=1)
    if select is not None and select < len(kept):
        best = np.sort(np.argsort(-_between_classes(z, table.labels), kind="stable")[:select])
        kept = kept[best]
        standard = partial(_standardise, columns=kept, mean=mean[kept], spread=spread[kept])
        z = z[:, best]
    axes = None if components is None else _principal(z, components)
    turned = partial(_turn, standard=standard, axes=axes)
    length = float(np.sqrt((turned(x) ** 2).sum(axis=-1).mean()))
    return partial(_scaled, turned=turned, length=length)


def _standardise(x: np.ndarray, columns: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.clip((x[..., columns] - mean) / spread, -FARTHEST, FARTHEST)


def _turn(x: np.ndarray, standard: Reduced, axes: np.ndarray | None) -> np.ndarray:
    z = standard(x)
    return z if axes is None else z @ axes


def _scaled(x: np.ndarray, turned: Reduced, length: float) -> np.ndarray:
    return turned(x) / length


def _between_classes(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """F ratio of each column, (columns,)."""
    from sklearn.feature_selection import f_classif

    with np.errstate(all="ignore"):
        f, _ = f_classif(z, labels)
    return np.nan_to_num(f, nan=0.0)


def _principal(z: np.ndarray, components: int) -> np.ndarray:
    """The first principal axes of z (n, columns), float64 (columns, at most components), by the smaller Gram matrix."""
    centred = z - z.mean(axis=0)
    n, columns = centred.shape
    if columns <= n:
        values, axes = np.linalg.eigh(centred.T @ centred)
    else:
        values, left = np.linalg.eigh(centred @ centred.T)
        axes = centred.T @ left / np.sqrt(np.maximum(values, 1e-12))
    real = np.flatnonzero(values > 1e-9 * max(float(values[-1]), 1e-12))[::-1]
    return axes[:, real[:components]]


def spread_out(p: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probabilities (k, classes seen) as (k, 3): a class that training did not hold gets 0."""
    out = np.zeros((len(p), len(LABELS)))
    out[:, np.asarray(classes, dtype=np.int64)] = p
    return out


def as_views(view: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (view,) if isinstance(view, str) else tuple(view)


@dataclass(frozen=True, kw_only=True)
class OnViews(ABC):
    """A member that is fitted on one or more frozen views, side by side.

    view
        Name or names in `learn.views.VIEWS`.
    select, components
        As in `fit_reduction`; None keeps all.
    use_copies
        Whether to learn from the scans' augmented copies too, each scan weighing the same.
    tta
        Whether an answer is the mean over a scan's copies; else it is about the scan itself.
    """

    view: str | list[str] | tuple[str, ...] = "radiomics"
    select: int | None = None
    components: int | None = None
    use_copies: bool = True
    tta: bool = False

    what: ClassVar[str]

    def __post_init__(self) -> None:
        from spinecare.learn.views import VIEWS

        positive(select=self.select, components=self.components)
        unknown = [name for name in self.views if name not in VIEWS]
        if unknown or not self.views:
            raise TrainingError(
                f"There is no view {', '.join(unknown) or '(none named)'}. Choose from {', '.join(VIEWS)}."
            )

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views."""
        return as_views(self.view)

    @property
    def about(self) -> str:
        """A line for reports."""
        steps = [f"the {self.select} columns that differ most"] if self.select else []
        steps += [f"{self.components} principal components"] if self.components else []
        return f"{self.what} on {' + '.join(self.views)}" + (f" ({', '.join(steps)})" if steps else "")

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        """As `Member.fit`."""
        rows = np.asarray(rows)
        table = Table(
            take(material, self.views, rows, self.use_copies), material.labels[rows], material.groups[rows].astype(str)
        )
        if len(np.unique(table.labels)) < 2:
            raise TrainingError(f"The {len(rows)} training scans are all of one class. Give scans of at least two.")
        told = self.learn(table, seed)

        def answer(asked: np.ndarray) -> np.ndarray:
            x = take(material, self.views, np.asarray(asked), self.tta)
            p = told(x.reshape(-1, x.shape[2])).reshape(*x.shape[:2], -1).mean(axis=1)
            return p / p.sum(axis=1, keepdims=True)

        return answer

    def reduction(self, table: Table) -> Reduced:
        """The columns' reduction, fitted on the table."""
        return fit_reduction(table, self.select, self.components)

    @abstractmethod
    def learn(self, table: Table, seed: int) -> Told:
        """Fit on a table."""
