"""Near-identical pictures: one scan that was exported twice, resized, cropped a little or drawn on.

Three steps, each stricter and dearer than the one before:

1. *Neighbours.* Every picture becomes 16 numbers (principal components of a band-passed 16 x 16 thumbnail); a
   KD-tree names the nearest of each. Cost n log n.
2. *Shift.* Normalised correlation at 96 x 96, the best over shifts of up to 8 pixels (8 % of the width).
3. *Registration.* An affine fit (ECC: Evangelidis and Psarakis 2008, doi:10.1109/TPAMI.2008.113) from that shift, then
   the correlation of the fine structure. Two spines may have one shape, but not one grain.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from spinecare.scan import Float32, Scan, UInt8

THUMBNAIL = 160
"""Side of the square thumbnail that is kept of each picture: 25 kB, 2.5 GB for 100,000 pictures."""

DRAWN_CHROMA = 40
NEIGHBOURS = 12
COMPONENTS = 16
SHIFT_SIDE = 96
MAX_SHIFT = 8
CACHED_BANDS = 20_000
MIN_COARSE = 0.6
MIN_SHIFTED = 0.85
SAME_SCAN = 0.88
"""Least correlation of the registered fine structure.

Measured: pictures of one real scan 0.97 or more, the most alike pair of two real scans 0.65, of two virtual ones
0.80 (docs/decisions/near-identical.md)."""


@dataclass(frozen=True)
class NearPair:
    """Two positions, the first smaller, and the correlation of their registered fine structure."""

    first: int
    second: int
    similarity: float


def thumbnail(scan: Scan) -> UInt8:
    """The scan's grey levels as uint8 (160, 160); the aspect is not kept, as exports don't keep it either.

    Coloured pixels are filled from around them: another ROI drawn on a scan does not make it another scan.
    """
    import cv2

    grey = scan.grey if scan.colour is None else _without_drawing(scan.grey, scan.colour)
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small * 255.0), dtype=np.uint8)


def _without_drawing(grey: Float32, colour: UInt8) -> Float32:
    """Fill coloured pixels with the Gaussian mean of the grey ones around them; a photograph stays as it is."""
    import cv2

    chroma = colour.max(axis=2).astype(np.int16) - colour.min(axis=2)
    drawn = cv2.dilate((chroma > DRAWN_CHROMA).astype(np.uint8), np.ones((3, 3), np.uint8))
    if not drawn.any() or drawn.mean() > 0.5:
        return grey
    kept = (1 - drawn).astype(np.float32)
    weight = cv2.GaussianBlur(kept, (0, 0), 2.0)
    around = cv2.GaussianBlur(grey * kept, (0, 0), 2.0) / np.maximum(weight, 1e-6)
    return np.asarray(np.where(drawn > 0, around, grey), dtype=np.float32)


def find_near_identical(thumbnails: npt.NDArray[np.uint8]) -> list[NearPair]:
    """All pairs of near-identical pictures, sorted by position.

    Parameters
    ----------
    thumbnails
        uint8 (n, 160, 160), from `thumbnail`.

    Notes
    -----
    A picture with more than a dozen copies is linked to a dozen of them; together the links still connect all.
    """
    # Pairs come sorted, and a picture is in several of them.
    band = lru_cache(maxsize=CACHED_BANDS)(lambda at: _shift_band(thumbnails[at]))
    found = []
    for first, second in _candidates(thumbnails):
        score, shift = _best_shift(band(first), band(second))
        if score >= MIN_SHIFTED:
            similarity = _registered(thumbnails[first], thumbnails[second], shift)
            if similarity >= SAME_SCAN:
                found.append(NearPair(first, second, round(similarity, 3)))
    return found


def _candidates(thumbnails: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Pairs that are each other's neighbours by their coarse structure."""
    from scipy.spatial import cKDTree

    coarse = np.stack([_coarse(one) for one in thumbnails]) if len(thumbnails) else np.zeros((0, 1))
    # Blank pictures have no structure; whether they are identical, their hashes say.
    full = np.flatnonzero(np.linalg.norm(coarse, axis=1) > 0.5)
    if len(full) < 2:
        return []
    coarse = coarse[full]
    _, axes = np.linalg.eigh(np.cov(coarse, rowvar=False))
    low = coarse @ axes[:, -COMPONENTS:]
    # Unit vectors of correlation r are sqrt(2 - 2 r) apart, and never farther in a projection.
    reach = float(np.sqrt(2 - 2 * MIN_COARSE))
    k = min(NEIGHBOURS + 1, len(full))
    _, neighbours = cKDTree(low).query(low, k=k, distance_upper_bound=reach, workers=-1)
    here = np.repeat(np.arange(len(full)), k)
    there = np.asarray(neighbours).ravel()
    real = (there < len(full)) & (there != here)
    pairs = np.unique(np.sort(np.stack([here[real], there[real]], axis=1), axis=1), axis=0)
    close = np.concatenate(
        [
            np.einsum("ij,ij->i", coarse[part[:, 0]], coarse[part[:, 1]]) >= MIN_COARSE
            for part in np.array_split(pairs, len(pairs) // 50_000 + 1)
        ]
    )
    return [(int(full[a]), int(full[b])) for a, b in pairs[close]]


def _coarse(picture: UInt8) -> Float32:
    """float32 (256,) band-passed 16 x 16 thumbnail with mean 0 and norm 1 (norm 0 for a blank picture)."""
    import cv2

    small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
    band = (small - cv2.GaussianBlur(small, (0, 0), 2.0)).ravel()
    band -= band.mean()
    norm = float(np.linalg.norm(band))
    return np.asarray(band / norm if norm > 1.0 else band * 0.0, dtype=np.float32)


def _shift_band(picture: UInt8) -> Float32:
    """float32 (96, 96): what shifts are compared on."""
    import cv2

    return _band(cv2.resize(picture, (SHIFT_SIDE, SHIFT_SIDE), interpolation=cv2.INTER_AREA))


def _best_shift(fixed: Float32, moving: Float32) -> tuple[float, tuple[float, float]]:
    """Best correlation over shifts, and the (col, row) shift in thumbnail pixels from `fixed` to `moving`."""
    import cv2

    margin = MAX_SHIFT
    scores = cv2.matchTemplate(fixed, moving[margin:-margin, margin:-margin], cv2.TM_CCOEFF_NORMED)
    row, col = np.unravel_index(int(np.argmax(scores)), scores.shape)
    scale = THUMBNAIL / SHIFT_SIDE
    return float(scores[row, col]), ((margin - float(col)) * scale, (margin - float(row)) * scale)


def _registered(fixed: UInt8, moving: UInt8, shift: tuple[float, float]) -> float:
    """Correlation of the fine structure where the two overlap, after an affine fit that starts from `shift`."""
    import cv2

    a, b = fixed.astype(np.float32), moving.astype(np.float32)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], dtype=np.float32)
    smooth_a, smooth_b = cv2.GaussianBlur(a, (0, 0), 1.5), cv2.GaussianBlur(b, (0, 0), 1.5)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    # When it does not converge they are two different pictures, or the shift must do.
    with contextlib.suppress(cv2.error):
        _, matrix = cv2.findTransformECC(smooth_a, smooth_b, matrix, cv2.MOTION_AFFINE, stop)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(b, matrix, (THUMBNAIL, THUMBNAIL), flags=how)
    inside = cv2.warpAffine(np.ones_like(b), matrix, (THUMBNAIL, THUMBNAIL), flags=how) > 0.99
    overlap = cv2.erode(inside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if overlap.mean() < 0.5:
        return 0.0
    x, y = _band(a)[overlap], _band(warped)[overlap]
    spread = float(x.std() * y.std())
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 1e-6 else 0.0


def _band(picture: npt.NDArray[np.generic]) -> Float32:
    """The structure between about one and four pixels in size."""
    import cv2

    p = picture.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(p, (0, 0), 1.0) - cv2.GaussianBlur(p, (0, 0), 4.0), dtype=np.float32)
