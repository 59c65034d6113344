"""One vertebra as a DXA scan shows it from the front, and where such vertebrae stand in a spine.

The pattern is written down from anatomy, not learnt: a bright body with a darker disc above and below; the
pedicles as two bright blobs in its upper part; between them, below, the dark gap between the laminae; then the
spinous process, bright and in the middle. It has an up and a down, which also tells a spine that stands on its head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.prepare.spine import WORK_ROWS, Band, Float, smoothed
from spinecare.scan import Float32

# Across the spine in units of half its width, 0 in the middle, +-1 at the edges of the bodies.
ACROSS = np.linspace(-1.25, 1.25, 31)
# Heights of a level (disc to disc) that are tried, in rows of WORK_ROWS: 4 to 10 levels in a picture.
HEIGHTS = np.arange(22, 58)
# Of a level's height: how far the template looks beyond both discs. Wide to find the levels, narrow to place them.
WIDE, NARROW = 0.12, 0.05
# Growth of a level's height (disc to disc) over the one above, as log ratio: in general, and L1 to L2, L2 to L3, L3
# to L4. Means of the operators' boxes on the development half of spine_dxa, rounded.
GROWTH, LUMBAR_GROWTH = 0.03, (0.07, 0.05, 0.015)


def straighten(work: Float32, band: Band) -> tuple[Float32, Float, Float]:
    """The spine pulled straight.

    Returns
    -------
    strip
        float32 (WORK_ROWS, len(ACROSS)): grey along normals of the centre line.
    half_width
        float64 (WORK_ROWS,) columns.
    slope
        float64 (WORK_ROWS,): columns per row of the centre line.
    """
    rows = np.arange(WORK_ROWS)
    half = (band.right - band.left) / 2
    line = np.polyfit(rows, half, 1)
    for _ in range(2):  # twice without outliers: ribs and iliac crests pull edges outward
        error = half - np.polyval(line, rows)
        keep = np.abs(error) < 1.5 * error.std() + 1e-3
        line = np.polyfit(rows[keep], half[keep], 1)
    smooth = smoothed(half, WORK_ROWS / 16)
    half_width = np.maximum((np.polyval(line, rows) + smooth) / 2, 4.0)
    slope = smoothed(np.gradient(band.centre), WORK_ROWS / 20)
    norm = np.sqrt(1 + slope**2)
    across = ACROSS[None] * (half_width / norm)[:, None]
    col = band.centre[:, None] + across
    row = rows[:, None] - across * slope[:, None]
    soft = cv2.GaussianBlur(work, (0, 0), 0.8)
    strip = cv2.remap(
        soft,
        col.astype(np.float32),
        row.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return strip, half_width, slope


def level_out(strip: Float32) -> Float32:
    """The strip with local mean 0 and spread 1 inside the bone: dense and thin levels weigh the same."""
    inside = strip[:, np.abs(ACROSS) < 0.95]
    mean = smoothed(inside.mean(axis=1), 10)
    variance = smoothed(((inside - mean[:, None]) ** 2).mean(axis=1), 10)
    levelled = (strip - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    return np.asarray(np.clip(levelled, -1.8, 1.8), dtype=np.float32)


def template(height: int, margin: float) -> Float32:
    """The pattern of one level, disc to disc plus a margin on both sides.

    Returns float32 (about (1 + 2 * margin) * height, len(ACROSS)).
    """
    count = round(height * (1 + 2 * margin))
    t = np.linspace(-margin, 1 + margin, count)[:, None]
    u = np.abs(ACROSS)[None]

    def bell(x: Float, mean: float, sd: float) -> Float:
        return np.exp(-0.5 * ((x - mean) / sd) ** 2)

    body = 1 / (1 + np.exp((u - 1.0) / 0.05))
    discs = bell(t, 0.0, 0.055) + bell(t, 1.0, 0.055)
    pedicles = bell(t, 0.20, 0.09) * bell(u, 0.70, 0.20)
    gap = bell(t, 0.32, 0.085) * bell(u, 0.0, 0.27)
    spinous = bell(t, 0.82, 0.13) * bell(u, 0.0, 0.16)
    waist = bell(t, 0.5, 0.2) * bell(u, 1.0, 0.12)
    beside_spinous = 1 / (1 + np.exp(-(u - 0.25) / 0.06))
    bright = 0.8 * pedicles + 0.6 * spinous
    dark = 0.8 * gap + 0.2 * waist + discs * (0.3 + 0.9 * beside_spinous)
    return np.asarray(body * (1.0 + bright - dark), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Bank:
    """The templates of all HEIGHTS side by side, each of mean 0 and norm 1.

    `templates`: float32 (rows * len(ACROSS), heights), in windows of equal size that begin `lead` rows above the upper
    disc. `first`, `last`: (heights,) the rows of each in its window; `pixels`: (heights,) how many they are.
    """

    templates: Float32
    lead: int
    first: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]
    pixels: npt.NDArray[np.intp]


@cache
def _bank(margin: float) -> _Bank:
    every = [template(int(height), margin) for height in HEIGHTS]
    leads = np.array([round(margin * int(height)) for height in HEIGHTS])
    first = leads.max() - leads
    last = first + np.array([len(one) for one in every])
    windows = np.zeros((len(HEIGHTS), int(last.max()), len(ACROSS)), np.float32)
    for window, one, top, bottom in zip(windows, every, first, last, strict=True):
        window[top:bottom] = (one - one.mean()) / (one.std() * np.sqrt(one.size))
    templates = np.ascontiguousarray(windows.reshape(len(HEIGHTS), -1).T)
    return _Bank(templates, int(leads.max()), first, last, (last - first) * len(ACROSS))


def responses(levelled: Float32, margin: float = WIDE) -> Float32:
    """How well a level of each height fits at each row.

    Returns
    -------
    float32 (len(HEIGHTS), WORK_ROWS + 1): normalised cross-correlation in [-1, 1] of a level of height HEIGHTS[i]
    whose upper disc is at the row; -1 where it would leave the picture.
    """
    bank = _bank(margin)
    size = len(bank.templates) // len(ACROSS)
    # Mirrored as far as any margin reaches; beyond that no template that is asked looks.
    mirrored = cv2.copyMakeBorder(levelled, bank.lead, bank.lead + 1, 0, 0, cv2.BORDER_REFLECT)
    padded = np.pad(mirrored, ((0, WORK_ROWS + size - len(mirrored)), (0, 0)))
    at = np.arange(WORK_ROWS + 1)[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(padded.ravel(), size * len(ACROSS))[:: len(ACROSS)]
    # Not numpy's product: its threads wait spinning, and cost a hundred times the work where cores are shared.
    product = cv2.gemm(np.ascontiguousarray(windows), bank.templates, 1.0, None, 0.0)

    def windowed(by_row: Float) -> Float:
        until = np.concatenate([[0.0], np.cumsum(by_row)])
        return np.asarray(until[at + bank.last] - until[at + bank.first])

    deviation = windowed((padded**2).sum(axis=1, dtype=np.float64))
    deviation -= windowed(padded.sum(axis=1, dtype=np.float64)) ** 2 / bank.pixels
    fit = np.where(deviation > 1e-6, product / np.sqrt(np.maximum(deviation, 1e-6)), 0.0)
    return np.where(at + HEIGHTS <= WORK_ROWS, np.clip(fit, -1.0, 1.0), -1.0).T.astype(np.float32)


def best_chain(fit: Float32, evenness: float = 25.0) -> tuple[npt.NDArray[np.intp], Float, float]:
    """The chain of adjoining levels that fits best.

    A level adds fit * height; a change of height from one to the next costs evenness * (log ratio - GROWTH)**2.

    Returns
    -------
    Boundary rows (levels + 1,) in the working picture, the fit of each level (levels,), and the total score.
    """
    count, shortest = len(HEIGHTS), int(HEIGHTS[0])
    log_height = np.log(HEIGHTS)
    price = evenness * (log_height[:, None] - log_height[None, :] - GROWTH) ** 2  # [this, the one above]
    gain = fit * (HEIGHTS / 35.0)[:, None]
    best = np.full((WORK_ROWS + 1, count), -np.inf)  # of the chains that end at a row with a level of a height
    # What a level of a height gains by joining the chain above its upper row, and the height of the level there.
    joined = np.zeros((WORK_ROWS + 1, count))
    back = np.full((WORK_ROWS + 1, count), -1, dtype=np.intp)
    # Rows closer than the shortest level do not depend on each other: they are done together.
    for first in range(shortest, WORK_ROWS + 1, shortest):
        end = np.arange(first, min(first + shortest, WORK_ROWS + 1))
        start = end[:, None] - HEIGHTS
        value = gain[np.arange(count), start] + joined[start, np.arange(count)]
        best[end] = np.where(start >= 0, value, -np.inf)
        above = best[end][:, None] - price
        joined[end] = np.maximum(above.max(axis=2), 0.0)
        back[end] = np.where(joined[end] > 0, above.argmax(axis=2), -1)
    row, i = divmod(int(best.argmax()), count)
    score = float(best[row, i])
    rows, fits = [row], []
    while i >= 0:
        row -= int(HEIGHTS[i])
        fits.append(float(fit[i, row]))
        rows.append(row)
        i = int(back[row, i])
    return np.array(rows[::-1]), np.array(fits[::-1]), score


def place_four(fit: Float32, start: npt.NDArray[np.intp], evenness: float = 100.0, reach: int = 9) -> Float:
    """L1-L4 once more, knowing which they are: the best five boundaries within `reach` rows of `start` (5,).

    Exact (dynamic programming over pairs of neighbouring boundaries); heights are drawn to LUMBAR_GROWTH.
    Returns float64 (5,) rows.
    """
    offsets = np.arange(-reach, reach + 1)
    places = np.clip(start[:, None] + offsets, 0, WORK_ROWS)
    low, high = int(HEIGHTS[0]), int(HEIGHTS[-1])

    def gain(i: int) -> tuple[Float, Float]:
        height = places[i + 1][None, :] - places[i][:, None]
        value = fit[np.clip(height, low, high) - low, places[i][:, None]] * height / 35.0
        return np.where((height < low) | (height > high), -9.0, value), np.log(np.maximum(height, 1))

    best, log_height = gain(0)
    choices = []
    for i in (1, 2, 3):
        value, log_next = gain(i)
        price = evenness * (log_next[None] - log_height[:, :, None] - LUMBAR_GROWTH[i - 1]) ** 2
        reached = best[:, :, None] - price
        choices.append(reached.argmax(axis=0))
        best = reached.max(axis=0) + value
        log_height = log_next
    third, fourth = (int(k) for k in np.unravel_index(int(best.argmax()), best.shape))
    picked = [fourth, third]
    for choice in reversed(choices):
        picked.append(int(choice[picked[-1], picked[-2]]))
    return np.asarray(places[np.arange(5), picked[::-1]], dtype=np.float64)
