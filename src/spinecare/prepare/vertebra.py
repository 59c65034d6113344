"""One vertebra as a DXA scan shows it from the front, and where such vertebrae stand in a spine.

The pattern is written down from anatomy, not learnt: a bright body with a darker disc above and below; the
pedicles as two bright blobs in its upper part; between them, below, the dark gap between the laminae; then the
spinous process, bright and in the middle. It has an up and a down, which also tells a spine that stands on its head.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from spinecare.prepare.spine import WORK_ROWS, Band, Float
from spinecare.scan import Float32

# Across the spine in units of half its width, 0 in the middle, +-1 at the edges of the bodies.
ACROSS = np.linspace(-1.25, 1.25, 31)
# Heights of a level (disc to disc) that are tried, in rows of WORK_ROWS: 4 to 10 levels in a picture.
HEIGHTS = np.arange(22, 58)
_MARGIN = 0.12  # of a level's height: the template looks this far beyond both discs


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
    smooth = gaussian_filter1d(half, WORK_ROWS / 16, mode="nearest")
    half_width = np.maximum((np.polyval(line, rows) + smooth) / 2, 4.0)
    slope = gaussian_filter1d(np.gradient(band.centre), WORK_ROWS / 20, mode="nearest")
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
    """The strip with local mean 0 and spread 1 inside the bone, so that dense and thin levels weigh the same."""
    inside = strip[:, np.abs(ACROSS) < 0.95]
    mean = gaussian_filter1d(inside.mean(axis=1), 14, mode="nearest")
    variance = gaussian_filter1d(((inside - mean[:, None]) ** 2).mean(axis=1), 14, mode="nearest")
    return np.clip((strip - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None], -2.5, 2.5).astype(np.float32)


def template(height: int) -> Float32:
    """The pattern of one level, float32 (about 1.24 * height, len(ACROSS)), disc to disc plus a margin."""
    count = round(height * (1 + 2 * _MARGIN))
    t = np.linspace(-_MARGIN, 1 + _MARGIN, count)[:, None]
    u = np.abs(ACROSS)[None]

    def bell(x: Float, mean: float, sd: float) -> Float:
        return np.exp(-0.5 * ((x - mean) / sd) ** 2)

    body = 1 / (1 + np.exp((u - 1.0) / 0.05))
    discs = bell(t, 0.0, 0.055) + bell(t, 1.0, 0.055)
    pedicles = bell(t, 0.17, 0.09) * bell(u, 0.70, 0.20)
    gap = bell(t, 0.31, 0.085) * bell(u, 0.0, 0.27)
    spinous = bell(t, 0.82, 0.13) * bell(u, 0.0, 0.16)
    beside_spinous = 1 / (1 + np.exp(-(u - 0.25) / 0.06))
    pattern = 1.0 + 0.8 * pedicles - 1.0 * gap + 0.6 * spinous - discs * (0.3 + 0.9 * beside_spinous)
    return np.asarray(body * pattern, dtype=np.float32)


def responses(levelled: Float32, upside_down: bool = False) -> Float32:
    """How well a level of each height fits at each row.

    Returns
    -------
    float32 (len(HEIGHTS), WORK_ROWS + 1): normalised cross-correlation in [-1, 1] of a level of height HEIGHTS[i] whose
    upper disc is at the row; -1 where it would leave the picture.
    """
    pad = 12
    padded = cv2.copyMakeBorder(levelled, pad, pad, 0, 0, cv2.BORDER_REFLECT)
    out = np.full((len(HEIGHTS), WORK_ROWS + 1), -1.0, np.float32)
    for i, height in enumerate(HEIGHTS):
        pattern = template(int(height))
        if upside_down:
            pattern = np.ascontiguousarray(pattern[::-1])
        fit = cv2.matchTemplate(padded, pattern, cv2.TM_CCOEFF_NORMED)[:, 0]
        first = pad - round(_MARGIN * height)
        count = WORK_ROWS + 1 - height
        out[i, :count] = fit[first : first + count]
    return np.nan_to_num(out, nan=-1.0, posinf=-1.0, neginf=-1.0)


def best_chain(fit: Float32, evenness: float = 25.0) -> tuple[npt.NDArray[np.intp], Float, float]:
    """The chain of adjoining levels that fits best.

    A level adds fit * height; a change of height from one to the next costs evenness * (log ratio - 0.03)**2, since lumbar levels
    grow by about 3 % going down (Panjabi et al. 1992, doi:10.1097/00007632-199203000-00009).

    Returns
    -------
    Boundary rows (levels + 1,) in the working picture, the fit of each level (levels,), and the total score.
    """
    count = len(HEIGHTS)
    log_height = np.log(HEIGHTS)
    price = evenness * (log_height[:, None] - log_height[None, :] - 0.03) ** 2  # [this, the one above]
    best = np.full((WORK_ROWS + 1, count), -np.inf)
    back = np.full((WORK_ROWS + 1, count), -1, dtype=np.intp)
    gain = fit * (HEIGHTS / 35.0)[:, None]
    which = np.arange(count)
    for end in range(int(HEIGHTS[0]), WORK_ROWS + 1):
        use = which[HEIGHTS <= end]
        start = end - HEIGHTS[use]
        above = best[start] - price[use]
        choice = above.argmax(axis=1)
        value = above[np.arange(len(use)), choice]
        joined = value > 0
        best[end, use] = gain[use, start] + np.where(joined, value, 0.0)
        back[end, use] = np.where(joined, choice, -1)
    end, i = (int(v) for v in np.unravel_index(int(best.argmax()), best.shape))
    score = float(best[end, i])
    rows, fits = [end], []
    while True:
        start = end - int(HEIGHTS[i])
        fits.append(float(fit[i, start]))
        rows.append(start)
        above_i = int(back[end, i])
        if above_i < 0:
            break
        end, i = start, above_i
    return np.array(rows[::-1]), np.array(fits[::-1]), score
