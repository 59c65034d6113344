"""From the level network's probabilities to five boundaries: the one order of the spine that agrees best with them.

The network tells which level is which, but on real scans it is softer about where one ends; the pattern of a vertebra
(`vertebra.py`) tells where discs are, but not which. The cut is searched for that suits both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.prepare.spine import WORK_ROWS, Band, Float, smoothed
from spinecare.prepare.vertebra import GROWTH, HEIGHTS, NARROW, level_out, place_four, responses, straighten
from spinecare.scan import Bool, Float32

# Down the spine: the classes above L1, L1-L4, below L4. Class 0 is everything that is not spine.
DOWN = (5, 1, 2, 3, 4, 6)
# Across the spine it is read to this share of half its width, at this many places.
ACROSS = np.linspace(-0.85, 0.85, 15)
# Added to probabilities before the logarithm: a class that is not thought of at all is still possible.
EPSILON = 0.02
# What counts against what, chosen on the development half of spine_dxa (benchmarks/levels.py): the fit to the pattern
# against the mean log probability of a level of usual height (USUAL rows), and uneven heights, per squared log ratio.
PATTERN, EVENNESS, USUAL = 2.0, 25.0, 35.0
# Least share of the picture that is spine, least share of rows that it runs through.
LEAST_AREA, LEAST_ROWS = 0.04, 0.5
# Widest row of the column, in usual widths of the spine.
WIDEST = 1.35


@dataclass(frozen=True, eq=False)
class Column:
    """The spine in the network's pixels.

    `centre`, `half_width`, `slope` (columns per row): float64 (rows,). `bone`: float32 (rows, cols), the probability
    of being spine, 0 off its largest piece.
    """

    centre: Float
    half_width: Float
    slope: Float
    bone: Float32


@dataclass(frozen=True, eq=False)
class Reading:
    """What the probabilities say.

    column
        The spine, in the network's pixels.
    cut
        float64 (5,): where the boundaries meet the spine's centre line, in rows of WORK_ROWS.
    slope
        float64 (5,): rows per column of each boundary, in the network's pixels.
    agree
        float64 (4,): mean probability, inside the spine, of the class that each level was given.
    """

    column: Column
    cut: Float
    slope: Float
    agree: Float


def find_column(parts: Float32) -> Column | None:
    """The spine's course in probabilities float32 (7, rows, cols); None when there is hardly any spine."""
    bone = 1.0 - parts[0]
    rows, cols = bone.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats((bone > 0.5).astype(np.uint8), connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    inside = labels == largest
    width = inside.sum(axis=1)
    if stats[largest, cv2.CC_STAT_AREA] < LEAST_AREA * inside.size or (width >= 0.04 * cols).mean() < LEAST_ROWS:
        return None
    # The sacrum is far wider than the spine: it is followed no further to the sides than the spine would reach.
    spine = inside & (parts[DOWN[-1]] < bone / 2)
    usual = float(np.median(spine.sum(axis=1)[spine.any(axis=1)])) if spine.any() else float(np.median(width))
    at = np.flatnonzero(spine.sum(axis=1) >= 0.5 * usual)
    if not len(at):
        return None
    line = _middle(spine, at, rows)
    near = inside & (np.abs(np.arange(cols)[None] - line[:, None]) <= WIDEST * usual / 2)
    at = np.flatnonzero(near.sum(axis=1) >= 0.4 * usual)
    # Processes to the sides of the bodies pull a row's mean outward: smoothed along the spine.
    centre = smoothed(_middle(near, at, rows), rows / 20)
    half = smoothed(np.interp(np.arange(rows), at, near.sum(axis=1)[at] / 2), rows / 20)
    slope = smoothed(np.gradient(centre), rows / 20)
    return Column(centre, half, slope, np.where(inside, bone, 0.0).astype(np.float32))


def _middle(mask: Bool, at: npt.NDArray[np.intp], rows: int) -> Float:
    """Mean column of a mask in the rows `at`, and between and beyond them."""
    mean = (mask[at] * np.arange(mask.shape[1])).sum(axis=1) / mask[at].sum(axis=1)
    return np.asarray(np.interp(np.arange(rows), at, mean))


def along(parts: Float32, column: Column) -> Float:
    """Shares of the classes DOWN the spine, float64 (WORK_ROWS, 6), read across it; each row adds up to nearly 1."""
    rows = len(column.centre)
    at = (np.arange(WORK_ROWS) + 0.5) * rows / WORK_ROWS - 0.5
    lines = (column.centre, column.half_width, column.slope)
    centre, half, slope = (np.interp(at, np.arange(rows), line) for line in lines)
    across = ACROSS[None] * (half / np.sqrt(1 + slope**2))[:, None]
    col = (centre[:, None] + across).astype(np.float32)
    row = (at[:, None] - across * slope[:, None]).astype(np.float32)
    read = [cv2.remap(parts[k], col, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for k in DOWN]
    means = np.stack(read, axis=1).mean(axis=2, dtype=np.float64)
    return np.asarray(means / (means.sum(axis=1, keepdims=True) + 1e-3))


def best_cut(shares: Float, fit: Float32 | None = None) -> npt.NDArray[np.intp] | None:
    """The five rows that cut the spine best into above, L1, L2, L3, L4, below; None when four levels do not fit in.

    Exact, by dynamic programming over the place and height of each level. A cut scores the log shares of the classes
    that it gives, and the fit of its four levels to the pattern, less the price of uneven heights.

    Parameters
    ----------
    shares
        (WORK_ROWS, 6), as `along` returns it.
    fit
        (len(HEIGHTS), WORK_ROWS + 1), as `vertebra.responses` returns it; None to go by the shares alone.
    """
    rows, every = len(shares), np.arange(len(HEIGHTS))
    until = np.concatenate([np.zeros((1, 6)), np.cumsum(np.log(shares + EPSILON), axis=0)]) / USUAL
    tall = np.log(HEIGHTS)
    price = (EVENNESS * (tall[:, None] - tall[None] - GROWTH) ** 2).astype(np.float32)  # [this level, the one above]
    end = np.arange(rows + 1)[:, None]
    start = end - HEIGHTS
    inside, first = start >= 0, np.maximum(start, 0)
    pattern = 0.0 if fit is None else PATTERN * fit[every, first] * HEIGHTS / USUAL

    def gain(level: int) -> Float:
        return np.asarray(until[end, level] - until[first, level] + pattern)

    best = np.where(inside, until[first, 0] + gain(1), -np.inf)
    choices = []
    for level in (2, 3, 4):
        joined = best.astype(np.float32)[:, None, :] - price
        choice = joined.argmax(axis=2)
        choices.append(choice)
        reached = np.take_along_axis(joined, choice[..., None], axis=2)[..., 0]
        best = np.where(inside, gain(level) + reached[first, every], -np.inf)
    best = best + (until[-1, 5] - until[:, 5])[:, None]
    if not np.isfinite(best).any():
        return None
    row, k = (int(i) for i in np.unravel_index(int(best.argmax()), best.shape))
    cut = [row]
    for choice in reversed(choices):
        cut.append(cut[-1] - int(HEIGHTS[k]))
        k = int(choice[cut[-1], k])
    cut.append(cut[-1] - int(HEIGHTS[k]))
    return np.array(cut[::-1])


def read_parts(parts: Float32, work: Float32 | None = None) -> Reading | None:
    """Five boundaries; None when there is no spine with four levels.

    Parameters
    ----------
    parts
        float32 (7, rows, cols): probabilities.
    work
        `spine.working_picture` of the same scan; None to go by the probabilities alone.
    """
    column = find_column(parts)
    if column is None:
        return None
    shares = along(parts, column)
    levelled = None if work is None else level_out(straighten(work, _band(column, work))[0])
    cut = best_cut(shares, None if levelled is None else responses(levelled))
    if cut is None:
        return None
    # A boundary at row r of a cut is the edge above pixel row r.
    fine = cut.astype(np.float64) if levelled is None else place_four(responses(levelled, NARROW), cut)
    fine = fine - 0.5
    at = (fine + 0.5) * len(column.centre) / WORK_ROWS - 0.5
    slope = [_slope(parts, column, k, at) for k in range(5)]
    return Reading(column, fine, np.array(slope), _agreement(shares, fine))


def agreement(parts: Float32, reading: Reading) -> Float:
    """What `Reading.agree` would be by other probabilities of the same scan: float64 (4,)."""
    return _agreement(along(parts, reading.column), reading.cut)


def _agreement(shares: Float, cut: Float) -> Float:
    edges = np.clip(np.rint(cut + 0.5).astype(int), 0, len(shares))
    return np.array([shares[a : max(b, a + 1), k + 1].mean() for k, (a, b) in enumerate(pairwise(edges))])


def _band(column: Column, work: Float32) -> Band:
    """The column in a working picture's pixels."""
    (rows, cols), every = column.bone.shape, np.arange(len(column.centre))
    at = (np.arange(WORK_ROWS) + 0.5) * rows / WORK_ROWS - 0.5
    scale = work.shape[1] / cols
    centre = (np.interp(at, every, column.centre) + 0.5) * scale - 0.5
    half = np.interp(at, every, column.half_width) * scale
    return Band(centre, centre - half, centre + half, 0.0)


def _slope(parts: Float32, column: Column, k: int, at: Float) -> float:
    """Slope of boundary k, rows per column, fitted across the spine.

    In every column the rows that belong above are counted, each by its probability: their number is where the
    boundary lies there, finer than a pixel. What is surely background says nothing.
    """
    rows, cols = column.bone.shape
    height = float(np.diff(at).mean())
    middle = float(np.interp(at[k], np.arange(rows), column.centre))
    half = float(np.interp(at[k], np.arange(rows), column.half_width))
    lean = float(np.interp(at[k], np.arange(rows), column.slope))
    col = np.arange(max(0, int(np.ceil(middle - 0.9 * half))), min(cols - 1, int(middle + 0.9 * half)) + 1)
    if len(col) < 3:
        return -lean
    # The window follows the normal of the centre line.
    normal = at[k] - lean * (col - middle)
    reach = np.arange(-round(0.45 * height), round(0.45 * height) + 1)
    row = np.rint(normal).astype(int)[None] + reach[:, None]
    there = (row >= 0) & (row < rows)
    window = parts[:, np.clip(row, 0, rows - 1), col[None]]
    upper, lower = window[list(DOWN[: k + 1])].sum(axis=0), window[list(DOWN[k + 1 :])].sum(axis=0)
    bone = upper + lower
    # Beyond the picture it is above at the top and below at the bottom.
    share = np.where(there, (upper + 1e-4) / (bone + 2e-4), np.where(row < 0, 1.0, 0.0))
    found = row[0] - 0.5 + share.sum(axis=0)
    weight = np.where(there, bone, 0.0).mean(axis=0) + 1e-6
    x = col - middle
    trust = weight.copy()
    b = -lean
    for _ in range(3):  # a column off the line by a quarter level counts half
        mean_x, mean_row = (trust @ x) / trust.sum(), (trust @ found) / trust.sum()
        spread = float(trust @ (x - mean_x) ** 2)
        b = float(trust @ ((x - mean_x) * (found - mean_row))) / max(spread, 1e-6)
        trust = weight / (1 + ((found - mean_row - b * (x - mean_x)) / (0.25 * height)) ** 2)
    return float(np.clip(b, -0.6, 0.6))
