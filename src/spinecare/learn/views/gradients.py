"""Histograms of oriented gradients: where edges lie and which way they run.

Dalal N, Triggs B. Histograms of oriented gradients for human detection. Proc CVPR 2005:886-893.
doi:10.1109/CVPR.2005.177. Computed by scikit-image.
"""

from __future__ import annotations

import numpy as np

from spinecare.scan import Float32

DIRECTIONS = 9
# Cells from top to bottom; cells are square. In the crop of L1 to L4 a vertebra is two cells high.
CELLS_DOWN = 8
BLOCK = 2


def hog(pixels: Float32) -> Float32:
    """HOG of each picture (m, height, width), float32 (m, numbers), the same for crops and for whole scans.

    Nine directions without sign in square cells of an eighth of the height; blocks of 2 x 2 cells, each normalised
    (L2-Hys), one cell apart. 756 numbers for 192 x 96, 1764 for 160 x 160. What is beyond a whole number of cells is
    left out on both sides alike. A change of gain or offset changes nothing.
    """
    from skimage.feature import hog as describe

    height, width = pixels.shape[1:]
    cell = height // CELLS_DOWN
    down, across = cell * CELLS_DOWN, cell * (width // cell)
    top, left = (height - down) // 2, (width - across) // 2
    rows = [
        describe(picture[top : top + down, left : left + across], DIRECTIONS, (cell, cell), (BLOCK, BLOCK))
        for picture in pixels
    ]
    blocks = (down // cell - BLOCK + 1) * (across // cell - BLOCK + 1)
    return np.array(rows, dtype=np.float32).reshape(len(pixels), blocks * BLOCK * BLOCK * DIRECTIONS)
