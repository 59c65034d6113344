"""Run lengths: how far one goes in a straight line without a change of grey level.

Galloway MM. Texture analysis using gray level run lengths. Comput Graph Image Process 1975;4:172-179.
doi:10.1016/S0146-664X(75)80008-6; low and high grey emphasis: Chu A, Sehgal CM, Greenleaf JF. Pattern Recognit Lett
1990;11:415-419. doi:10.1016/0167-8655(90)90112-F; both together: Dasarathy BV, Holder EB. Pattern Recognit Lett
1991;12:497-502. doi:10.1016/0167-8655(91)80014-2.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from spinecare.measure.texture.regions import Float64
from spinecare.scan import UInt8

Int = npt.NDArray[np.intp]
# Fewer than for co-occurrence: in 32 levels of a noisy picture hardly any run is longer than one pixel.
RUN_LEVELS = 16
DIRECTIONS = ("horizontal", "vertical", "falling", "rising")
PROPERTIES = ("sre", "lre", "gln", "rln", "rp", "lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge")
# Properties of which vertical less horizontal is kept too.
_DIRECTED = ("sre", "lre", "rln", "rp")
NAMES = PROPERTIES + tuple(f"{p}_vertical_less_horizontal" for p in _DIRECTED)


def runs(region: UInt8) -> Float64:
    """float64 (15,), as `NAMES`: means over four directions, and some as vertical less horizontal.

    Parameters
    ----------
    region
        uint8 (rows, cols), grey levels from 0.
    """
    found = np.stack([properties(*run_lengths(region, direction), region.size) for direction in DIRECTIONS])
    directed = found[:, [PROPERTIES.index(p) for p in _DIRECTED]]
    return np.concatenate([found.mean(axis=0), directed[1] - directed[0]])


def run_lengths(region: UInt8, direction: str) -> tuple[Int, Int]:
    """The grey level and the length of every run along a direction: two int (runs,)."""
    # All lines of the direction end to end, each followed by a mark that is no grey level.
    marked = np.append(region.ravel().astype(np.intp), -1)
    line = marked[_order(region.shape, direction)]
    starts = np.flatnonzero(np.diff(line, prepend=-2))
    lengths = np.diff(starts, append=line.size)
    levels = line[starts]
    real = levels >= 0
    return levels[real], lengths[real]


def properties(levels: Int, lengths: Int, pixels: int) -> Float64:
    """float64 (11,), as `PROPERTIES`.

    Short- and long-run emphasis (sre, lre), grey-level and run-length non-uniformity divided by the number of runs
    (gln, rln: so a larger region is not less uniform), run percentage (rp: runs per pixel), emphasis of low and high
    grey (lgre, hgre) and of both together. Grey levels count from 1, as in the papers.
    """
    grey, length = levels + 1.0, lengths.astype(np.float64)
    n = len(levels)
    high, long = grey * grey, length * length
    low, short = 1.0 / high, 1.0 / long
    return np.array(
        [
            short.mean(),
            long.mean(),
            (np.bincount(levels).astype(np.float64) ** 2).sum() / n**2,
            (np.bincount(lengths).astype(np.float64) ** 2).sum() / n**2,
            n / pixels,
            low.mean(),
            high.mean(),
            (short * low).mean(),
            (short * high).mean(),
            (long * low).mean(),
            (long * high).mean(),
        ]
    )


@functools.cache
def _order(shape: tuple[int, int], direction: str) -> Int:
    """Positions in the flat picture line after line, with the position one past the end after each line."""
    at = np.arange(shape[0] * shape[1]).reshape(shape)
    if direction == "vertical":
        lines = list(at.T)
    elif direction == "horizontal":
        lines = list(at)
    else:
        turned = at if direction == "falling" else at[:, ::-1]
        lines = [np.diagonal(turned, k) for k in range(1 - shape[0], shape[1])]
    mark = np.array([at.size])
    return np.concatenate([piece for line in lines for piece in (line, mark)])
