"""Texture of the raw crops, as rows of a table."""

from __future__ import annotations

import numpy as np

from spinecare.measure.texture import TEXTURE_NAMES, texture_row
from spinecare.scan import Float32

NAMES = TEXTURE_NAMES


def radiomics(pixels: Float32) -> Float32:
    """`measure.texture` of each raw crop (m, height, width), float32 (m, 284), in the order of `TEXTURE_NAMES`.

    Raises
    ------
    AssessmentError
        For crops that are too small or not finite.
    """
    rows = [texture_row(raw) for raw in pixels]
    return np.array(rows, dtype=np.float32).reshape(len(pixels), len(NAMES))
