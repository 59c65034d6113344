"""The soft tissue beside the spine, and the baseline that a densitometer draws through it."""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.phantom.maps import Float, Plane, Projection
from spinecare.scan import Bool, Float32

# The soft tissue that the baseline comes from: this far from the spine's edge, mm.
BESIDE_MM = (3.0, 40.0)
# The baseline is found line by line and smoothed over this length (SD, mm): real exports keep the haze of the liver
# and the dark between loops of bowel, so it can't follow single lines.
SMOOTH_MM = 40.0


def beside(projection: Projection, plane: Plane) -> Bool:
    """bool (rows, cols): soft tissue within some cm of L1-L4, without ribs, pelvis and processes."""
    near, far = (2 * round(mm / plane.mm) + 1 for mm in BESIDE_MM)
    out = np.zeros(projection.column.shape, np.bool_)
    rows = np.flatnonzero(projection.masks.any(axis=(0, 2)))
    if not len(rows):
        return out
    part = slice(rows[0], rows[-1] + 1)
    column = projection.column[part].astype(np.uint8)
    wide = cv2.dilate(column, np.ones((1, far), np.uint8))
    bony = (projection.bone[part] + projection.added[part] > 0.03).astype(np.uint8) | column
    out[part] = (wide > 0) & (cv2.dilate(bony, np.ones((near, near), np.uint8)) == 0)
    return out


def baseline(signal: Float32, soft: Bool, column: Bool, plane: Plane) -> Float32:
    """What soft tissue alone would read behind the spine, line by line.

    The mean of each line left and right of the spine, smoothed along it; above L1 and below L4 it stays what it was at
    the end.

    Parameters
    ----------
    signal
        float32 (rows, cols): what soft tissue makes more or less of.
    soft
        bool (rows, cols), from `beside`.
    column
        bool (rows, cols): the spine.

    Returns
    -------
    float32 (rows, 1)
        Zeros where no soft tissue is in sight.
    """
    weight = column.sum(axis=1)
    place = np.arange(plane.cols, dtype=np.float32)
    centre = np.where(weight > 0, (column @ place) / np.maximum(weight, 1), plane.col0)
    right = soft & (place[None, :] > centre[:, None])
    masked = np.where(soft, signal, np.float32(0))
    everything, n_both = masked.sum(axis=1, dtype=np.float64), soft.sum(axis=1).astype(np.float64)
    a, n = np.where(right, masked, np.float32(0)).sum(axis=1, dtype=np.float64), right.sum(axis=1).astype(np.float64)
    a, n, b, m = (_along(v, SMOOTH_MM / plane.mm) for v in (a, n, everything - a, n_both - n))
    both = np.minimum(n, m) > 0.15 * np.maximum(n, m)
    mean = np.where(both, 0.5 * (a / np.maximum(n, 1e-9) + b / np.maximum(m, 1e-9)), (a + b) / np.maximum(n + m, 1e-9))
    known = np.flatnonzero(n_both > 0)
    if not len(known):
        return np.zeros((plane.rows, 1), np.float32)
    return np.interp(np.arange(plane.rows), known, mean[known]).astype(np.float32)[:, None]


def _along(values: Float, sigma: float) -> Float:
    blurred = cv2.GaussianBlur(values[:, None], (1, 0), sigmaX=1, sigmaY=sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred[:, 0])
