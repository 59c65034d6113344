"""Where the spine runs: the bright vertical band between darker soft tissue, and its two edges.

Everything here works on a picture of `WORK_ROWS` rows, so that sizes below are shares of a scan of the
lumbar spine and not of a file. Paths are found by dynamic programming from the first row to the last
(Amini, Weymouth and Jain 1990, doi:10.1109/34.57681), which a gap or a metal clip does not derail.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.scan import Bool, Float32

WORK_ROWS = 224
MIN_WORK_COLS, MAX_WORK_COLS = 96, 336
# Half the width of a lumbar spine as a share of the picture's width: from a wide field of view to a tight crop.
HALF_WIDTHS = np.linspace(0.08, 0.26, 10)
COARSE = 3

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Band:
    """The spine in a working picture of (WORK_ROWS, cols).

    `centre`, `left`, `right`: float64 (WORK_ROWS,) columns. `contrast`: mean grey of the band above the brighter of its
    two flanks, in grey of [0, 1], averaged over the rows.
    """

    centre: Float
    left: Float
    right: Float
    contrast: float


def smoothed(line: Float, sigma: float) -> Float:
    """A line smoothed by a Gaussian that reaches 4 sigma; beyond the ends it goes on as it ended."""
    size = 2 * int(4 * sigma + 0.5) + 1
    smooth = cv2.GaussianBlur(line[None].astype(np.float64), (size, 1), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth[0])


def working_picture(grey: Float32, valid: Bool) -> Float32:
    """The scan at working size, float32 (WORK_ROWS, cols); unscanned margins take the tone of dark soft tissue."""
    rows, cols = grey.shape
    filled = grey
    if not valid.all() and valid.any():
        sample = grey[::4, ::4][valid[::4, ::4]]
        filled = np.where(valid, grey, np.float32(np.percentile(sample, 20) if sample.size else 0))
    width = int(np.clip(round(cols * WORK_ROWS / rows), MIN_WORK_COLS, MAX_WORK_COLS))
    shrink = cv2.INTER_AREA if rows > WORK_ROWS else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(filled, (width, WORK_ROWS), interpolation=shrink), dtype=np.float32)


def best_paths(score: Float32, max_step: int, smoothness: float) -> tuple[npt.NDArray[np.intp], Float32]:
    """Best top-to-bottom paths through a stack of score maps.

    Parameters
    ----------
    score
        float (maps, rows, cols): gain of passing a cell.
    max_step
        Largest change of column from one row to the next.
    smoothness
        Price of a step: smoothness * step**2.

    Returns
    -------
    Columns (maps, rows) of the best path of each map, and its total gain (maps,).
    """
    maps, rows, cols = score.shape
    steps = np.arange(-max_step, max_step + 1)
    price = smoothness * steps[:, None, None] ** 2
    padded = np.full((maps, cols + 2 * max_step), -np.inf, np.float32)
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(padded, cols, axis=1), 1, 0)
    moves = np.empty((len(steps), maps, cols), np.float32)
    back = np.empty((rows, maps, cols), dtype=np.intp)
    total = padded[:, max_step : max_step + cols]
    total[:] = score[:, 0]
    for row in range(1, rows):
        np.subtract(windows, price, out=moves)
        moves.argmax(axis=0, out=back[row])
        np.add(moves.max(axis=0), score[:, row], out=total)
    path = np.empty((maps, rows), dtype=np.intp)
    path[:, -1] = total.argmax(axis=1)
    every = np.arange(maps)
    for row in range(rows - 1, 0, -1):
        path[:, row - 1] = path[:, row] + back[row, every, path[:, row]] - max_step
    return path, total.max(axis=1)


def _band_scores(grey: Float32, halves: list[int]) -> Float32:
    """(halves, rows, cols): mean inside c ± half minus the brighter of the two flanks as wide as the half."""
    rows, cols = grey.shape
    sums = np.concatenate([np.zeros((rows, 1), np.float32), np.cumsum(grey, axis=1)], axis=1)
    col = np.arange(cols)

    def mean(first: int, last: int) -> tuple[Float32, npt.NDArray[np.intp]]:
        low, high = np.clip(col + first, 0, cols), np.clip(col + last, 0, cols)
        count = high - low
        return (sums[:, high] - sums[:, low]) / np.maximum(count, 1), count

    scores = np.empty((len(halves), rows, cols), np.float32)
    for k, half in enumerate(halves):
        inside, _ = mean(-half, half + 1)
        before, n_before = mean(-2 * half, -half)
        after, n_after = mean(half + 1, 2 * half + 1)
        score = inside - np.maximum(before, after)
        score[:, (n_before < half / 2) | (n_after < half / 2)] = -1.0
        scores[k] = cv2.GaussianBlur(score, (0, 0), sigmaX=1, sigmaY=rows / 40)
    return scores


def find_band(work: Float32) -> Band:
    """The spine's band in a working picture (WORK_ROWS, cols) of grey in [0, 1]."""
    rows, cols = work.shape
    # The coarse search runs on a third of the rows and columns: the path is smoothed anyway.
    small = np.asarray(cv2.resize(work, (cols // COARSE, rows // COARSE), interpolation=cv2.INTER_AREA), np.float32)
    coarse = cv2.GaussianBlur(small, (0, 0), 0.6)
    halves = sorted({max(2, round(float(h) * coarse.shape[1])) for h in HALF_WIDTHS})
    paths, gains = best_paths(_band_scores(coarse, halves), max_step=1, smoothness=0.02)
    means = gains / coarse.shape[0]
    # A wider band that is as bright against its flanks is the better one; the root keeps it from eating soft tissue.
    best = int(np.argmax(means * np.sqrt(halves)))
    path = smoothed(paths[best], coarse.shape[0] / 30)
    middle = (COARSE - 1) / 2
    at_full = np.interp(np.arange(rows), np.arange(coarse.shape[0]) * COARSE + middle, path * COARSE + middle)
    left, right = _edges(work, at_full, float(COARSE * halves[best]))
    centre = smoothed((left + right) / 2, rows / 30)
    return Band(centre, left, right, float(means[best]))


def _edges(work: Float32, centre: Float, half: float) -> tuple[Float, Float]:
    """Left and right edge columns (rows,): the strongest smooth fall of grey going outward from the centre."""
    rows, cols = work.shape
    smooth = cv2.GaussianBlur(work, (0, 0), 1.5)
    slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
    offset = np.arange(int(half * 0.45), int(half * 1.7))
    row = np.arange(0, rows, 3)
    maps = []
    for side in (-1, 1):
        col = np.clip(np.round(centre[row, None] + side * offset), 0, cols - 1).astype(np.intp)
        fall = -side * slope[row[:, None], col]
        maps.append(fall / (np.abs(fall).mean() + 1e-6) - 0.3 * np.abs(offset - half) / half)
    paths, _ = best_paths(np.stack(maps).astype(np.float32), max_step=4, smoothness=0.05)
    every = np.arange(rows)
    left = centre - np.interp(every, row, offset[paths[0]])
    right = centre + np.interp(every, row, offset[paths[1]])
    return left, right
