"""Where on a crop texture is measured, and the grey levels it is measured in.

A crop (`prepare.crop`) runs from L1's top to L4's bottom and is centred on the spine, two spine widths wide. So the
regions lie at fixed shares of it, and need no levels to be found again:

- the spine band: all rows, the middle 5/12 of the columns (the spine is the middle half; its edges stay outside);
- a level's core: the middle 5/6 of each quarter of the rows, in the band. Levels are not all of one height: a quarter
  is the level's place within a few rows, and its core is nearly all bone, seldom disc;
- soft tissue: the outer sixth of the columns on either side.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from spinecare.errors import AssessmentError
from spinecare.scan import Float32, UInt8

Float64 = npt.NDArray[np.float64]
Pixel = TypeVar("Pixel", bound=np.generic)

LEVELS = 4
# Texture of fewer pixels than this says nothing (and lags of eight pixels must fit in a level's core).
LEAST_ROWS, LEAST_COLS = 96, 48
# Grey below and above these percentiles of the band counts as the first and the last grey level: one bright spot
# must not squeeze all others into a few levels.
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0
GREY_LEVELS = 32


class Window(NamedTuple):
    """Rows and columns of a region, half open."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, picture: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """The part of `picture` in this window (a view)."""
        return picture[self.top : self.bottom, self.left : self.right]


def spine_band(shape: tuple[int, ...]) -> Window:
    """The window of the spine in a crop of this shape (192 x 96: columns 28 ... 67)."""
    rows, cols = shape[0], shape[1]
    half = round(cols * 5 / 24)
    return Window(0, rows, cols // 2 - half, cols // 2 + half)


def level_cores(shape: tuple[int, ...]) -> tuple[Window, ...]:
    """The windows of L1 ... L4, in a crop of 192 x 96 of 40 x 40 pixels each."""
    band, quarter = spine_band(shape), shape[0] // LEVELS
    inset = round(quarter / 12)
    return tuple(Window(i * quarter + inset, (i + 1) * quarter - inset, band.left, band.right) for i in range(LEVELS))


def soft_tissue(raw: Float32) -> Float32:
    """float32 (rows, cols / 3): the outer sixth of the crop on either side, set beside each other."""
    side = raw.shape[1] // 6
    return np.concatenate([raw[:, :side], raw[:, -side:]], axis=1)


def checked(raw: Float32) -> Float32:
    """`raw` as float32 (rows, cols), contiguous.

    Raises
    ------
    AssessmentError
        When it is no picture, too small for texture, or not finite everywhere.
    """
    if raw.ndim != 2 or raw.shape[0] < LEAST_ROWS or raw.shape[1] < LEAST_COLS:
        raise AssessmentError(
            f"Texture wants one crop of at least {LEAST_ROWS} x {LEAST_COLS} pixels, not {raw.shape}.",
            "Give it `Prepared.raw` as the prepare settings make it.",
        )
    if not np.isfinite(raw).all():
        raise AssessmentError("The crop has pixels that are no numbers.", "Read the file again; it may be damaged.")
    return np.ascontiguousarray(raw, dtype=np.float32)


def in_grey_levels(raw: Float32, levels: int = GREY_LEVELS) -> UInt8:
    """The whole crop in `levels` equal steps between the 1st and the 99th percentile of its spine band.

    So texture does not change with the gain and offset of a display; how bright the bone is stands in the first-order
    numbers instead. All 0 for a band without contrast.
    """
    low, high = np.percentile(spine_band(raw.shape).of(raw), (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high - low < 1e-6:
        return np.zeros(raw.shape, dtype=np.uint8)
    steps = np.floor((raw - low) * (levels / (high - low)))
    return np.asarray(np.clip(steps, 0, levels - 1), dtype=np.uint8)
