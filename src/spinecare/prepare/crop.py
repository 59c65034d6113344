"""Cut the lumbar box out of a scan, at one size, and bring its grey to [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from spinecare.scan import Bool, Float32, Level, Mapping
from spinecare.settings import PrepareSettings

# Beyond L1's top and L4's bottom, as a share of their distance: a little of the discs beside.
MARGIN = 0.03
# Width of the crop in widths of the spine: the spine, and as much soft tissue again.
SPINE_WIDTHS = 2.0
# Grey levels that become 0 and 1.
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0
# What lies outside the picture takes the tone of soft tissue: this percentile of the scan.
SOFT_TISSUE_PERCENTILE = 20.0


@dataclass(frozen=True)
class SpineBand:
    """Where the spine runs between L1 and L4: its middle column and its width, in scan pixels."""

    centre_col: float
    width_col: float


def row_at(left: Float32, right: Float32, col: float) -> float:
    """The row where the line from `left` to `right`, both (row, col), passes the column `col`."""
    across = float(right[1] - left[1])
    share = (col - float(left[1])) / across if across else 0.5
    return float(left[0]) + share * float(right[0] - left[0])


def crop_mapping(levels: Sequence[Level], spine: SpineBand, settings: PrepareSettings) -> Mapping:
    """The map from a scan to its prepared picture.

    From L1's top to L4's bottom where they cross the spine's middle, and one spine width to either side
    of that middle. The width follows the spine and not the operator's box, whose width is a habit of the
    operator and would tell a model who scanned; and every spine comes out equally wide, since screen crops
    have lost their aspect ratio anyway.

    Parameters
    ----------
    levels
        L1 to L4, boxes of four corners.
    """
    first, last = levels[0].polygon, levels[-1].polygon
    top = row_at(first[0], first[1], spine.centre_col)
    bottom = row_at(last[3], last[2], spine.centre_col)
    margin = MARGIN * (bottom - top)
    height, width = bottom - top + 2.0 * margin, SPINE_WIDTHS * spine.width_col
    row_scale, col_scale = settings.height / max(height, 1.0), settings.width / max(width, 1.0)
    left = spine.centre_col - 0.5 * width
    # The first pixel's centre lies half an image pixel inside the box.
    return Mapping(
        np.array([[row_scale, 0.0, -(top - margin) * row_scale - 0.5], [0.0, col_scale, -left * col_scale - 0.5]])
    )


def crop(grey: Float32, mapping: Mapping, settings: PrepareSettings, valid: Bool | None = None) -> Float32:
    """Cut and resize: float32 (height, width) in the grey of the scan.

    Where the picture shrinks it is blurred first, so that noise is averaged and not aliased. What lies
    outside the picture, or was not scanned, takes the tone of soft tissue.

    Parameters
    ----------
    grey
        float32 (rows, cols).
    valid
        bool (rows, cols): False where nothing was scanned.
    """
    scanned = np.ones(grey.shape, dtype=np.bool_) if valid is None else valid
    sample = grey[::3, ::3][scanned[::3, ::3]]
    soft_tissue = float(np.percentile(sample, SOFT_TISSUE_PERCENTILE)) if sample.size else 0.0
    source = grey if scanned.all() else np.where(scanned, grey, np.float32(soft_tissue))
    shrink = 1.0 / np.abs(np.diag(mapping.matrix[:, :2]))
    # A box of one image pixel has a variance of shrink^2 / 12; linear interpolation gives 1/12 of it or more.
    sigma_row, sigma_col = np.sqrt(np.maximum(shrink**2 - 1.0, 0.0) / 12.0)
    if max(sigma_row, sigma_col) > 0.2:
        source = cv2.GaussianBlur(source, (0, 0), max(float(sigma_col), 0.01), sigmaY=max(float(sigma_row), 0.01))
    inverse = np.linalg.inv(mapping.matrix[:, :2])
    offset = -inverse @ mapping.matrix[:, 2]
    # OpenCV counts (x, y) where we count (row, col).
    to_source = np.array([[inverse[1, 1], inverse[1, 0], offset[1]], [inverse[0, 1], inverse[0, 0], offset[0]]])
    image = cv2.warpAffine(
        source,
        to_source,
        (settings.width, settings.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=soft_tissue,
    )
    return np.asarray(image, dtype=np.float32)


def normalise(image: Float32) -> Float32:
    """Stretch the grey so that the 1st percentile becomes 0 and the 99th becomes 1.

    Display pictures have been windowed by whoever made them: their absolute grey says nothing. A picture
    without contrast becomes all 0.
    """
    low, high = np.percentile(image, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high - low < 1e-6:
        return np.zeros_like(image)
    return np.asarray(np.clip((image - low) / (high - low), 0.0, 1.0), dtype=np.float32)
