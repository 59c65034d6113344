"""The operator's box: two sides and five straight lines across them, found in the colour of the drawing.

Every straight line that could be there collects votes (a small Hough transform with few slopes, since the
lines are nearly upright or nearly level), and the winners are placed with the brightness, which stays
sharp where JPEG has spread the colour.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.scan import Float32

Float64 = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

# Lines are voted for on a grid of about this many pixels; larger scans are reduced by block maxima.
VOTE_SIZE = 320
LINES = 5
# Share of sampled columns in which a line across must meet the drawing, on either side of the spine.
LEAST_VOTES = 0.45
# Closest that two lines across may be, as a share of the picture's rows.
LEAST_GAP = 0.045
SIDE_SLOPES = np.linspace(-0.12, 0.12, 13)
ACROSS_SLOPES = np.linspace(-0.36, 0.36, 25)


def find_box(tint: Float32, luma: Float32, strong: float) -> list[Float64] | None:
    """The five lines across the operator's box, from the top down.

    Parameters
    ----------
    tint, luma
        float32 (rows, cols): how coloured and how bright each pixel is, in grey levels of 255.
    strong
        The tint of a pixel that is surely drawn.

    Returns
    -------
    Five arrays (2, 2): the (row, col) where the line meets the left and the right side; None when
    there is no such box.
    """
    step = max(1, round(max(tint.shape) / VOTE_SIZE))
    response = _blocks((tint > 0.33 * strong).astype(np.float32), step)
    sides = _sides(response)
    if sides is None:
        return None
    across = _across(response, sides)
    if len(across) != LINES:
        return None
    # From the voting grid to the scan: block k covers pixels k * step ... k * step + step - 1.
    across, sides = ([_to_scan(line, step) for line in lines] for lines in (across, sides))
    ends = sorted(float(side[0] + side[1] * tint.shape[0] / 2) for side in sides)
    ridge = _ridge(tint, luma)
    across = [_fit(line, ridge, ends[0], ends[1], step) for line in across]
    ridge = _ridge(tint.T, luma.T)
    sides = [_fit(line, ridge, across[0][0], across[-1][0], step) for line in sides]
    return [np.stack([_cross(line, side) for side in sides]) for line in across]


def _blocks(image: Float32, step: int) -> Float32:
    """Block maxima: thin lines survive a reduction by `step`."""
    if step == 1:
        return image
    rows, cols = (n // step * step for n in image.shape)
    blocks = image[:rows, :cols].reshape(rows // step, step, cols // step, step)
    return np.asarray(blocks.max(axis=(1, 3)), dtype=np.float32)


def _to_scan(line: Float64, step: int) -> Float64:
    """A line (offset, slope) of the voting grid in scan pixels."""
    half = 0.5 * (step - 1)
    return np.array([line[0] * step + half * (1.0 - line[1]), line[1]])


def _votes(response: Float32, cols: range, pivot: float, slopes: Float64) -> Float32:
    """Share of the columns `cols` in which row + slope * (col - pivot) meets the drawing: (slopes, rows)."""
    rows = response.shape[0]
    # A pixel beside the line counts a little less than one on it.
    near = np.maximum(response, 0.75 * cv2.dilate(response, np.ones((3, 1), np.uint8)))
    near = np.ascontiguousarray(near[:, cols.start : cols.stop : cols.step])
    votes = np.empty((len(slopes), rows), dtype=np.float32)
    for k, slope in enumerate(slopes):
        # A shear makes the line level; then a row's mean is the line's vote.
        shear = np.array([[1.0, 0.0, 0.0], [slope * cols.step, 1.0, slope * (cols.start - pivot)]])
        level = cv2.warpAffine(near, shear, near.shape[::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        votes[k] = cv2.reduce(level, 1, cv2.REDUCE_AVG)[:, 0]
    return votes


def _sides(response: Float32) -> list[Float64] | None:
    """Left and right side as (col at row 0, slope); the picture's edge where the box is cut off."""
    rows, cols = response.shape
    middle = rows / 2
    votes = _votes(np.ascontiguousarray(response.T), range(0, rows, 3), middle, SIDE_SLOPES)
    best = votes.max(axis=0)
    strong = np.flatnonzero(best > max(0.3, 0.6 * float(best.max())))
    if not len(strong):
        return None

    def line(candidates: Int) -> Float64:
        col = candidates[np.argmax(best[candidates])]
        slope = SIDE_SLOPES[np.argmax(votes[:, col])]
        return np.array([col - slope * middle, slope])

    lines = [line(strong[strong <= strong[0] + 4]), line(strong[strong >= strong[-1] - 4])]
    if strong[-1] - strong[0] < 0.3 * cols:  # only one side is in the picture
        if strong[0] < cols / 2:
            lines[1] = np.array([cols - 1.0, 0.0])
        else:
            lines[0] = np.array([0.0, 0.0])
    return lines


def _across(response: Float32, sides: list[Float64]) -> list[Float64]:
    """Up to five lines across the box as (row at col 0, slope), from the top down.

    A boundary of a level reaches both sides of the box; the bone outline, of the same colour, does not.
    So the outer quarters of the box vote, each by itself, and then the whole line.
    """
    rows, cols = response.shape
    left, right = (float(np.clip(side[0] + side[1] * rows / 2, 0, cols - 1)) for side in sides)
    quarter = 0.25 * (right - left)
    if quarter < 8:
        return []
    pivot = 0.5 * (left + right)
    full = _votes(response, range(int(left) + 2, int(right) - 1, 3), pivot, ACROSS_SLOPES)
    by_left, by_right = (
        _votes(response, range(int(first), int(first + quarter - 3), 2), pivot, ACROSS_SLOPES)
        for first in (left + 3, right - quarter)
    )
    score = 0.5 * np.minimum(by_left, by_right) + 0.5 * full - 0.1 * np.abs(ACROSS_SLOPES[:, None])
    tilt = ACROSS_SLOPES[:, None] * (right - pivot)
    found: list[Float64] = []
    while len(found) < LINES and score.max() > LEAST_VOTES:
        k, row = np.unravel_index(int(np.argmax(score)), score.shape)
        found.append(np.array([row - ACROSS_SLOPES[k] * pivot, ACROSS_SLOPES[k]]))
        below = np.arange(rows)[None] - row
        crossing = np.abs(tilt - tilt[k]) > np.abs(below)
        score[crossing | (np.abs(below) < LEAST_GAP * rows)] = 0.0
    return sorted(found, key=lambda line: float(line[0] + line[1] * pivot))


def _ridge(tint: Float32, luma: Float32) -> Float32:
    """Where it is coloured and brighter than above and below: thin lines across."""
    mirrored = np.pad(luma, ((3, 3), (0, 0)), mode="reflect")
    above_below = 0.5 * (mirrored[:-6] + mirrored[6:])
    return np.asarray(tint * np.clip(luma - above_below, 0.0, None), dtype=np.float32)


def _fit(line: Float64, ridge: Float32, first: float, last: float, step: int) -> Float64:
    """Place a line on the ridge near where it was voted for.

    In every column the ridge's centre of mass near the line is one point; the line goes through them by
    least squares, reweighted so that points on text or on the bone outline count for little (Cauchy weights).
    """
    cols = np.arange(max(0, int(first)), min(ridge.shape[1], int(last) + 1))
    for reach in (2 * step + 1, step + 1):
        window = np.arange(-reach, reach + 1)
        rows = np.rint(line[0] + line[1] * cols)[:, None].astype(np.intp) + window
        inside = (rows >= 0) & (rows < ridge.shape[0])
        weight = np.where(inside, ridge[np.clip(rows, 0, ridge.shape[0] - 1), cols[:, None]], 0.0)
        mass = weight.sum(axis=1)
        hit = mass > 0.2 * np.median(mass)
        if hit.sum() < 8:
            return line
        row, col = (weight * rows).sum(axis=1)[hit] / mass[hit], cols[hit].astype(np.float64)
        trust = np.ones(len(row))
        for _ in range(4):
            row_mean, col_mean = (trust @ row) / trust.sum(), (trust @ col) / trust.sum()
            aside = trust * (col - col_mean)
            slope = float(aside @ (row - row_mean) / (aside @ (col - col_mean)))
            line = np.array([row_mean - slope * col_mean, slope])
            trust = 1.0 / (1.0 + ((row - line[0] - line[1] * col) / (0.5 * step)) ** 2)
    return line


def _cross(across: Float64, side: Float64) -> Float64:
    """The point (row, col) where row = a + b col meets col = c + d row."""
    row = (across[0] + across[1] * side[0]) / (1.0 - across[1] * side[1])
    return np.array([row, side[0] + side[1] * row])
