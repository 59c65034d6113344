"""Signs of an AP lumbar spine in a picture, as plain numbers: is there a band, and does it look like one?

An AP lumbar spine is a bright band from the top to the bottom of the picture, darker on both sides, mirror-
symmetric about its middle, of vertebrae that look alike and grow wider downward. Each of these is measured
here on a copy of 128 x 128 pixels; `gate` decides. Nothing is learnt from pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.scan import Bool, Float32

Float = npt.NDArray[np.float64]

SIZE = 128
"""Rows and columns of the copy. Its sides are shares of the scan: screen crops have lost their aspect."""

BLOCK = 4
"""Rows that are averaged before the band is searched."""

HALF_WIDTHS = (8, 10, 12, 14, 17, 20, 24, 28)
"""Half widths that are tried for the band with its soft edges, in columns of the copy."""

STRIP = 65
"""Columns of the straightened strip, over two half widths to either side."""

LAGS = np.arange(12, 37)
"""Distances between vertebrae that are tried, in rows: 3.5 to 10 levels in the picture."""


@dataclass(frozen=True, eq=False)
class Band:
    """A bright band through the copy.

    half_width
        In columns of the copy.
    centre
        float64 (SIZE,): column of the middle in every row.
    contrast
        float64 (SIZE / BLOCK,): grey of the band above the brighter of its two flanks, block by block.
    flanks
        Mean grey of the left and the right flank.
    """

    half_width: int
    centre: Float
    contrast: Float
    flanks: tuple[float, float]


def small_copy(grey: Float32, valid: Bool) -> Float32:
    """The scanned part as float32 (SIZE, SIZE); unscanned pixels take the median tone.

    Parameters
    ----------
    grey
        float32 (rows, cols) in [0, 1], bone bright. NaN and infinities count as black.
    valid
        bool (rows, cols): False on unscanned margins.
    """
    rows, cols = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if not len(rows):
        return np.zeros((SIZE, SIZE), dtype=np.float32)
    window = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    small = cv2.resize(grey[window], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    small = np.clip(np.nan_to_num(small, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)
    if not valid.all():
        share = cv2.resize(valid[window].view(np.uint8) * np.uint8(255), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        margin = share < 200
        if margin.any() and not margin.all():
            small[margin] = np.median(small[~margin])
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), dtype=np.float32)


def find_band(small: Float32) -> Band:
    """The band from top to bottom that stands out most against both its sides.

    Dynamic programming over row blocks, for all half widths at once (Amini, Weymouth and Jain 1990,
    doi:10.1109/34.57681).
    """
    blocks = small.reshape(SIZE // BLOCK, BLOCK, SIZE).mean(axis=1, dtype=np.float64)
    total: Float = np.pad(np.cumsum(blocks, axis=1), ((0, 0), (1, 0)))
    col = np.arange(SIZE)

    def mean(first: Float, last: Float) -> tuple[Float, Float]:
        low = np.clip(np.rint(first), 0, SIZE).astype(np.intp)
        high = np.clip(np.rint(last), 0, SIZE).astype(np.intp)
        return (total[:, high] - total[:, low]) / np.maximum(high - low, 1), (high - low).astype(np.float64)

    half = np.array(HALF_WIDTHS, dtype=np.float64)[:, None]
    inside, _ = mean(col - half + 0.5, col + half + 0.5)
    left, seen_left = mean(col - 2.2 * half - 1.0, col - 1.2 * half)
    right, seen_right = mean(col + 1.2 * half + 1.0, col + 2.2 * half + 2.0)
    # A band at the very edge of the picture has no soft tissue on one side: it cannot be judged.
    contrast = np.where((seen_left >= 0.4 * half) & (seen_right >= 0.4 * half), inside - np.maximum(left, right), -1.0)
    contrast = contrast.astype(np.float32)

    rows = len(blocks)
    back = np.zeros((rows, len(HALF_WIDTHS), SIZE), dtype=np.int8)
    gain = contrast[0].copy()
    padded = np.full((len(HALF_WIDTHS), SIZE + 4), -1e9, dtype=np.float32)
    for row in range(1, rows):
        padded[:, 2:-2] = gain
        gain = padded[:, 2:-2].copy()
        for step in (-1, 1, -2, 2):
            move = padded[:, 2 + step : 2 + step + SIZE] - 0.01 * abs(step)
            better = move > gain
            np.copyto(gain, move, where=better)
            np.copyto(back[row], step, where=better)
        gain += contrast[row]
    which = np.arange(len(HALF_WIDTHS))
    path = np.empty((rows, len(HALF_WIDTHS)), dtype=np.intp)
    path[-1] = gain.argmax(axis=1)
    for row in range(rows - 1, 0, -1):
        path[row - 1] = path[row] + back[row, which, path[row]]
    along = np.take_along_axis(contrast, path[:, :, None], axis=2)[..., 0]
    # Narrow bands inside the spine have more contrast than the spine: the square root makes up for it.
    best = int(np.argmax(np.clip(along, -0.2, None).mean(axis=0) * np.sqrt(half[:, 0])))
    at = path[:, best]
    every = np.interp(np.arange(SIZE), np.arange(rows) * BLOCK + (BLOCK - 1) / 2, at.astype(np.float64))
    return Band(
        half_width=HALF_WIDTHS[best],
        centre=smooth(every, 4.0),
        contrast=along[:, best],
        flanks=(
            float(left[np.arange(rows), best, at].mean()),
            float(right[np.arange(rows), best, at].mean()),
        ),
    )


def straighten(small: Float32, band: Band) -> tuple[Float32, Float]:
    """The band pulled straight, float32 (SIZE, STRIP), and its columns in half widths from the middle, -2 to 2."""
    across = np.linspace(-2.0, 2.0, STRIP)
    col = (band.centre[:, None] + across * band.half_width).astype(np.float32)
    row = np.repeat(np.arange(SIZE, dtype=np.float32)[:, None], STRIP, axis=1)
    strip = cv2.remap(small, col, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, dtype=np.float32), across


def signs(small: Float32, band: Band, strip: Float32, across: Float) -> dict[str, float]:
    """The signs of an AP spine as numbers; all are finite for any picture.

    Returns
    -------
    contrast, contrast_low
        Mean and 10th percentile over the rows of the band above its brighter flank, as a share of the range of
        grey of the picture (5th to 98th percentile).
    jump
        Median grey of the band above the median of everything beside it, in the same share.
    filled
        Share of the band's pixels that are clearly brighter than the surroundings: two bones leave a gap.
    outside
        The same share beside the band, its top and bottom left out (ribs, iliac crests).
    profile
        Correlation of the mean profile across the strip with its mirror image.
    symmetry
        Correlation of the vertebrae's texture with its mirror image, at the best shift of the middle.
    mirror
        `symmetry` less `repeat`. Noise lowers both alike; vertebrae seen from the side repeat, but have no mirror
        image.
    sides
        Difference of the two flanks as a share of the band's height above them.
    lean
        Columns per row by which the band leans.
    repeat
        Self-similarity of the band one vertebra further down: autocorrelation at its best peak.
    dip
        How far the autocorrelation falls before that peak: zero for smooth things that repeat nowhere.
    again
        The autocorrelation two vertebrae further down.
    spacing
        Rows of the copy to that peak.
    skew
        Mean difference between the profile of the band and its mirror image, as a share of its mean.
    even
        Variation along the band in its calmest quarter as a share of the mean: vertebrae are everywhere.
    hollow
        Lowest place of the mean profile near the middle, as a share of its mean: low between two bones.
    growth
        Log of the band's width at the bottom over that at the top, of a straight line through the widths.
    wobble
        Standard deviation of the band's log width about a steady growth.
    relief
        Variation along the band as a share of its height above the surroundings.
    """
    low, high = np.percentile(small, [5.0, 98.0])
    span = max(float(high - low), 1e-3)
    cols = np.arange(SIZE)[None]
    beside = np.abs(cols - band.centre[:, None]) > 1.4 * band.half_width
    inner = strip[:, np.abs(across) <= 0.9]
    bone, ground = float(np.median(inner)), float(np.median(small[beside])) if beside.any() else 1.0
    bright = ground + 0.6 * (bone - ground)
    middle = beside.copy()
    middle[:8] = middle[-24:] = False
    profile = strip.mean(axis=0, dtype=np.float64)
    texture = strip - smooth_down(strip, 8.0)
    symmetry = _symmetry(texture, across)
    repeat, dip, spacing, again = _repeat(texture[:, np.abs(across) <= 1.2])
    height = max(bone - ground, 1e-3)
    growth, wobble = _growth(widths(strip, across))
    quarters = np.square(texture[:, np.abs(across) <= 0.9]).mean(axis=1).reshape(4, -1).mean(axis=1)
    flat = profile - profile[np.abs(across) > 1.4].mean()
    slope = np.polyfit(np.arange(SIZE), band.centre, 1)[0]
    mean_flank = 0.5 * sum(band.flanks)
    return {
        "contrast": float(band.contrast.mean() / span),
        "contrast_low": float(np.percentile(band.contrast, 10.0) / span),
        "jump": (bone - ground) / span,
        "filled": float((inner > bright).mean()),
        "outside": float((small[middle] > bright).mean()) if middle.any() else 1.0,
        "profile": correlation(profile, profile[::-1]),
        "symmetry": symmetry,
        "mirror": symmetry - repeat,
        "sides": abs(band.flanks[0] - band.flanks[1]) / max(float(inner.mean()) - mean_flank, 1e-3),
        "lean": abs(float(slope)),
        "repeat": repeat,
        "dip": dip,
        "spacing": spacing,
        "again": again,
        "skew": _skew(flat, across),
        "even": float(quarters.min() / max(float(quarters.mean()), 1e-9)),
        "hollow": float(flat[np.abs(across) <= 0.6].min() / max(float(flat[np.abs(across) <= 0.8].mean()), 1e-3)),
        "growth": growth,
        "wobble": wobble,
        "relief": float(texture[:, np.abs(across) <= 0.9].std() / height),
    }


def _symmetry(texture: Float32, across: Float) -> float:
    """Best correlation with the mirror image, over shifts by up to a quarter of the half width."""
    keep = np.flatnonzero(np.abs(across) <= 1.0)
    reach = int(0.25 * len(across) / 4)
    best = -1.0
    for shift in range(-reach, reach + 1):
        cols = keep + shift
        part = texture[:, cols]
        energy = float(np.square(part).sum())
        best = max(best, float((part * part[:, ::-1]).sum()) / max(energy, 1e-9))
    return best


def _skew(profile: Float, across: Float) -> float:
    """Least difference of the profile from its mirror image over shifts of the middle, as a share of its mean."""
    keep = np.flatnonzero(np.abs(across) <= 1.0)
    reach = int(0.25 * len(across) / 4)
    parts = [profile[keep + shift] for shift in range(-reach, reach + 1)]
    return min(float(np.abs(part - part[::-1]).mean()) / max(float(part.mean()), 1e-3) for part in parts)


def _repeat(texture: Float32) -> tuple[float, float, float, float]:
    """Best peak of the autocorrelation down the strip: height, dip before it, lag, and height at twice the lag."""
    lag = np.arange(2 * LAGS[-1] + 4)
    # Products of rows that are `lag` apart (Wiener-Khinchin; twice the length, so that the ends do not meet).
    spectrum = np.fft.rfft(texture, 2 * len(texture), axis=0)
    product = np.fft.irfft((spectrum.real**2 + spectrum.imag**2).sum(axis=1))[lag]
    energy = np.cumsum(np.square(texture).sum(axis=1, dtype=np.float64))
    upper, lower = energy[-1 - lag], energy[-1] - np.concatenate([[0.0], energy])[lag]
    values = product / np.maximum(np.sqrt(np.maximum(upper * lower, 0.0)), 1e-9)
    dips = np.minimum.accumulate(values)
    peaks = np.minimum(values, values - dips)[LAGS]
    best = int(LAGS[np.argmax(peaks)])
    again = float(values[2 * best - 3 : 2 * best + 4].max())
    return float(values[best]), float(values[best] - dips[best]), float(best), again


def widths(strip: Float32, across: Float, parts: int = 8) -> Float:
    """Width of the band in half widths, (parts,) from the top down: full width at half of its height.

    Every part is averaged over its rows. NaN where the band does not stand out on both sides, as between the
    iliac crests.
    """
    profile = strip.reshape(parts, -1, strip.shape[1]).mean(axis=1, dtype=np.float64)
    inner = profile[:, np.abs(across) < 0.7].mean(axis=1)
    part = np.arange(parts)
    step = float(across[1] - across[0])
    width = np.zeros(parts)
    stands_out = np.ones(parts, dtype=np.bool_)
    for side in (-1.0, 1.0):
        order = np.argsort(side * across)[(len(across) - 1) // 2 :]  # columns from the middle outward
        line, out = profile[:, order], side * across[order]
        ground = np.median(line[:, out > 1.2], axis=1)
        stands_out &= inner - ground > 0.4 * np.median(inner - ground)
        half = 0.5 * (inner + ground)
        # From the brightest place outward: the middle may be dark, between the laminae.
        start = line[:, out < 0.8].argmax(axis=1)
        below = (line < half[:, None]) & (np.arange(len(out)) > start[:, None])
        first = np.where(below.any(axis=1), below.argmax(axis=1), len(out) - 1)
        drop = line[part, first - 1] - line[part, first]
        beyond = np.where(drop > 1e-6, (line[part, first - 1] - half) / np.maximum(drop, 1e-6), 0.0)
        width += (first - 1 + np.clip(beyond, 0.0, 1.0)) * step
    return np.where(stands_out, width, np.nan)


def _growth(width: Float) -> tuple[float, float]:
    """Steady growth of the log width from the first part to the last, and the deviation from it (1 if unknown)."""
    seen = np.flatnonzero(np.isfinite(width) & (width > 0.0))
    if len(seen) < 5:
        return 0.0, 1.0
    log = np.log(width[seen])
    part = seen - seen.mean()
    slope = float(part @ log / (part @ part))
    return slope * (len(width) - 1), float((log - log.mean() - slope * part).std())


def correlation(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Pearson's correlation of two arrays of one shape; 0 when one of them is flat."""
    x, y = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((x * x).sum(dtype=np.float64) * (y * y).sum(dtype=np.float64)))
    return float((x * y).sum(dtype=np.float64)) / scale if scale > 1e-9 else 0.0


def smooth(line: Float, sigma: float) -> Float:
    """A line smoothed by a Gaussian, its ends reflected."""
    size = 2 * int(3 * sigma) + 1
    blurred = cv2.GaussianBlur(line.reshape(-1, 1), (1, size), sigmaX=1e-6, sigmaY=sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float64).ravel()


def smooth_down(picture: Float32, sigma: float) -> Float32:
    """A picture smoothed down its columns only, its ends reflected."""
    size = 2 * int(3 * sigma) + 1
    blurred = cv2.GaussianBlur(picture, (1, size), sigmaX=1e-6, sigmaY=sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)
