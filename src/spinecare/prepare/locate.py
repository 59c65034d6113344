"""L1-L4 from the image alone, by image processing: no network.

The spine is found as a band (`spine.py`), pulled straight, and covered with a chain of levels that look like a
vertebra (`vertebra.py`). Which four of them are L1-L4 is the harder half (`number.py`). How often it is right on real
scans: `benchmarks/levels.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.prepare.number import Numbering, number
from spinecare.prepare.spine import WORK_ROWS, Band, Float, find_band, working_picture
from spinecare.prepare.vertebra import NARROW, best_chain, level_out, place_four, responses, straighten
from spinecare.scan import LEVEL_NAMES, Bool, Float32, Level

# Half the width of a level's box, in half widths of the spine: the bodies and a little soft tissue.
BOX_HALF_WIDTH = 1.25


@dataclass(frozen=True, eq=False)
class Located:
    """What the image alone says about the spine. All coordinates in scan pixels.

    levels
        L1-L4, or () when no four levels could be found.
    centre, left, right
        float32 (rows,): columns of the spine's middle and edges in every row.
    boundaries
        float32 (5,): rows where the centre line meets L1's top, the three discs between and L4's bottom; empty
        without levels.
    chain
        float32 (n + 1,): rows of the boundaries of all levels seen, L1-L4 among them.
    fits
        float32 (n,): fit of each level of the chain to the pattern of a vertebra, -1 ... 1.
    contrast
        Grey of the spine above its brighter flank, in [-1, 1].
    confidence
        In [0, 1]: of the levels and their numbers.
    bone
        bool (rows, cols): the bone of L1-L4, where a network saw it; else None.
    """

    levels: tuple[Level, ...]
    centre: Float32
    left: Float32
    right: Float32
    boundaries: Float32
    chain: Float32
    fits: Float32
    contrast: float
    confidence: float
    notes: tuple[str, ...] = ()
    bone: Bool | None = None


# Grey float32 (rows, cols) and what was scanned, bool (rows, cols), to what the image says.
Locator = Callable[[Float32, Bool], Located]


def locate_levels(grey: Float32, valid: Bool) -> Located:
    """L1-L4 of an AP lumbar spine from its picture.

    Parameters
    ----------
    grey
        float32 (rows, cols) in [0, 1], overlays removed, bone bright.
    valid
        bool (rows, cols): False on unscanned margins.
    """
    rows, cols = grey.shape
    work = working_picture(grey, valid)
    band = find_band(work)
    seen = _see(work, band)
    row_scale, col_scale = rows / WORK_ROWS, cols / work.shape[1]

    def to_row(row: npt.NDArray[Any]) -> Float32:
        return np.asarray((row + 0.5) * row_scale - 0.5, dtype=np.float32)

    def to_col(col: npt.NDArray[Any]) -> Float32:
        return np.asarray((col + 0.5) * col_scale - 0.5, dtype=np.float32)

    at = np.arange(WORK_ROWS)
    levels: tuple[Level, ...] = ()
    boundaries = np.empty(0, np.float32)
    confidence = 0.0
    if seen.numbering is not None:
        first = seen.numbering.first
        start = seen.chain[first : first + 5]
        # A boundary at chain row r is the edge above pixel row r.
        cut = place_four(responses(seen.levelled, NARROW), start) - 0.5
        looks = float(np.clip((seen.fits[first : first + 4].mean() - 0.2) / 0.4, 0, 1))
        confidence = seen.numbering.share * looks
        boundaries = to_row(cut)
        centre, half, lean = (np.interp(cut, at, line) for line in (band.centre, seen.half_width, seen.slope))
        across = BOX_HALF_WIDTH * half / np.sqrt(1 + lean**2)
        left = np.stack([to_row(cut + across * lean), to_col(centre - across)], axis=1)
        right = np.stack([to_row(cut - across * lean), to_col(centre + across)], axis=1)
        levels = tuple(
            Level(name, np.stack([left[i], right[i], right[i + 1], left[i + 1]]), "image_processing", confidence)
            for i, name in enumerate(LEVEL_NAMES)
        )
    every = (np.arange(rows) + 0.5) / row_scale - 0.5
    return Located(
        levels=levels,
        centre=to_col(np.interp(every, at, band.centre)),
        left=to_col(np.interp(every, at, band.left)),
        right=to_col(np.interp(every, at, band.right)),
        boundaries=boundaries,
        chain=to_row(seen.chain - 0.5),
        fits=seen.fits.astype(np.float32),
        contrast=band.contrast,
        confidence=confidence,
        notes=() if levels else ("The image shows fewer than four levels in a row.",),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """The vertebrae in a working picture."""

    levelled: Float32
    half_width: Float
    slope: Float
    chain: npt.NDArray[np.intp]
    fits: Float
    numbering: Numbering | None


def _see(work: Float32, band: Band) -> _Seen:
    """Find the chain of vertebrae along a band and number it."""
    strip, half_width, slope = straighten(work, band)
    levelled = level_out(strip)
    chain, fits, _ = best_chain(responses(levelled))
    numbering = number(work, band, strip, half_width, chain, fits)
    return _Seen(levelled, half_width, slope, chain, fits, numbering)
