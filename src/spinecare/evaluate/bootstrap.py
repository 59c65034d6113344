"""The percentile bootstrap over patients: a patient's scans are drawn together or not at all.

A replicate is a row of weights, how often each scan was drawn, so that a metric sees many replicates at once.
Source: Efron 1979, 10.1214/aos/1176344552; clusters: Davison and Hinkley 1997, ch. 3.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

# Rows of weights at a time: 64 x 2,000 float64 stay inside a processor's cache.
CHUNK_CELLS = 128_000
# An interval from the replicates that are left would flatter when more than this share is undefined.
MAX_UNDEFINED = 0.1


@dataclass(frozen=True)
class Bounds:
    """An interval; nan when it cannot be given. `undefined`: share of replicates without a value."""

    low: float
    high: float
    undefined: float


def group_numbers(groups: Sequence[object] | npt.NDArray[np.generic], n: int) -> Int:
    """Groups of any hashable kind as int64 (n,), 0 ... k-1; EvaluationError unless n, and none empty."""
    names = list(np.asarray(groups).tolist()) if isinstance(groups, np.ndarray) else list(groups)
    if len(names) != n:
        raise EvaluationError(f"{len(names)} patients were given for {n} predictions; each row needs one.")
    if any(name is None or name == "" or name != name for name in names):
        raise EvaluationError("A prediction has no patient or group; intervals are over patients, so give it one.")
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], dtype=np.int64)


def replicates(groups: Int, n_boot: int, seed: int, strata: Int | None = None) -> Iterator[Float]:
    """Chunks (replicates, n) of weights that sum up to `n_boot` rows.

    Parameters
    ----------
    groups
        int (n,), 0 ... k-1, as `group_numbers` gives them.
    strata
        int (k,) or None: patients are drawn within each stratum, so that each keeps its number of patients.
    """
    k = int(groups.max()) + 1
    rng = np.random.default_rng(seed)
    kinds = np.zeros(k, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    size = max(1, min(n_boot, CHUNK_CELLS // len(groups)))
    for start in range(0, n_boot, size):
        rows = min(size, n_boot - start)
        counts = np.zeros((rows, k))
        for kind in range(int(kinds.max()) + 1):
            members = np.flatnonzero(kinds == kind)
            drawn = rng.integers(0, len(members), (rows, len(members)))
            cells = drawn + len(members) * np.arange(rows)[:, None]
            counts[:, members] = np.bincount(cells.ravel(), minlength=rows * len(members)).reshape(rows, -1)
        yield counts[:, groups]


def percentile_bounds(values: Float, level: float = 0.95) -> Bounds:
    """The middle `level` of replicate values (n_boot,), leaving out undefined ones; nan when too many are."""
    defined = np.isfinite(values)
    undefined = 1 - float(defined.mean())
    if undefined > MAX_UNDEFINED:
        return Bounds(float("nan"), float("nan"), undefined)
    low, high = np.quantile(values[defined], ((1 - level) / 2, (1 + level) / 2))
    return Bounds(float(low), float(high), undefined)


def draw(
    figures: Callable[[Float], Mapping[str, Float]],
    groups: Int,
    n_boot: int,
    seed: int,
    strata: Int | None = None,
) -> dict[str, Float]:
    """Every figure (n_boot,) of `figures(weights (replicates, n))` over the replicates, in their order.

    The same seed gives the same draws, so the difference of two models' values is a paired one.
    """
    parts = [figures(weights) for weights in replicates(groups, n_boot, seed, strata)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
