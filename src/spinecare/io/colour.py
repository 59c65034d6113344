"""Colour pictures to grey."""

from __future__ import annotations

import numpy as np

from spinecare.scan import Float32, UInt8


def split_colour(rgb: UInt8) -> tuple[Float32, UInt8 | None]:
    """Grey levels of an RGB picture, and its colour when it really has some.

    Parameters
    ----------
    rgb
        uint8 (rows, cols, 3).

    Returns
    -------
    tuple
        float32 (rows, cols) luma in 0 ... 255 after ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B), and `rgb`
        itself, or None when the three channels are equal everywhere: then the luma is exactly that channel.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red.astype(np.float32), None
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return rgb.astype(np.float32) @ weights, np.ascontiguousarray(rgb)
