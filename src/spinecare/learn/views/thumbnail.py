"""Pictures too small to show texture: what any model must beat before it may speak of texture."""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.scan import Float32

SIDE = 14


def thumbnail(pixels: Float32) -> Float32:
    """Each picture (m, height, width) averaged down to 14 x 14, row after row: float32 (m, 196).

    The same for prepared pictures, raw crops and whole scans; nothing is normalised, so brightness is in it.
    """
    small = [cv2.resize(np.asarray(p, np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel() for p in pixels]
    return np.array(small, dtype=np.float32).reshape(len(pixels), SIDE * SIDE)
