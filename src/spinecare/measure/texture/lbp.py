"""Local binary patterns: which neighbours on a circle are at least as bright as the middle.

Ojala T, Pietikainen M, Maenpaa T. Multiresolution gray-scale and rotation invariant texture classification with local
binary patterns. IEEE Trans Pattern Anal Mach Intell 2002;24:971-987. doi:10.1109/TPAMI.2002.1017623. Patterns are
made by scikit-image.
"""

from __future__ import annotations

import numpy as np
from skimage.feature import local_binary_pattern

from spinecare.measure.texture.regions import Float64, Window
from spinecare.scan import Float32

# (points, radius in pixels).
CIRCLES = ((8, 1), (16, 3))
NAMES = tuple(f"r{radius}_{i}" for points, radius in CIRCLES for i in range(points + 2))


def lbp(raw: Float32, window: Window) -> Float64:
    """float64 (28,), as `NAMES`: for each circle the share of each uniform, rotation-invariant pattern.

    Pattern i of a circle of p points has i bright neighbours next to each other; pattern p + 1 is any with more
    than two changes around the circle.

    Parameters
    ----------
    raw
        float32 (rows, cols) in [0, 1]; pixels around the window are looked at, as far as there are some.
    """
    # In 256 steps, as most files store it: below that, differences are made by resampling alone.
    grey = np.rint(np.clip(raw, 0.0, 1.0) * 255.0).astype(np.uint8)
    found = []
    for points, radius in CIRCLES:
        top, left = max(window.top - radius, 0), max(window.left - radius, 0)
        around = grey[top : window.bottom + radius, left : window.right + radius]
        patterns = local_binary_pattern(around, points, radius, "uniform").astype(np.intp)
        # Beyond the picture's edge scikit-image sees black: such pixels are left out.
        first, last = max(window.top, radius), min(window.bottom, raw.shape[0] - radius)
        inside = patterns[first - top : last - top, window.left - left : window.right - left]
        found.append(np.bincount(inside.ravel(), minlength=points + 2) / inside.size)
    return np.concatenate(found)
