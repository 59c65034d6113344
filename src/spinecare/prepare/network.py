"""L1-L4 from the image alone, by the bundle's level network: what it says of each pixel becomes levels, or a refusal.

The network (`learn/levels.py`) gives each pixel the probability of being nothing, L1-L4, spine above or spine below;
`decode.py` finds the five boundaries that suit it best. It is asked about the picture, and about mirrored and moved
copies. Where too little of the bone agrees with its number there are no levels: a wrong number is worse than none.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.bundle.read import LevelNetwork
from spinecare.prepare.decode import Reading, agreement, read_parts
from spinecare.prepare.locate import BOX_HALF_WIDTH, Located, Locator, locate_levels
from spinecare.prepare.spine import WORK_ROWS, find_band, working_picture
from spinecare.scan import LEVEL_NAMES, Bool, Float32, Level

# Copies of the picture that are asked as well, as (mirrored, moved down by this share of the rows): a number that
# hangs on where the picture happened to be cut does not survive them.
COPIES = ((False, 0.0), (True, -0.04), (True, 0.04))
# Adjoining levels' heights differ by less than this factor, unless a number or a boundary is wrong; a fracture of the
# highest grade takes less (Genant et al. 1993: over 40 % of the height of the body, which is 4/5 of the level's).
MOST_UNEVEN = 1.8
NO_SPINE = "The image shows no spine with four levels."
UNEVEN = "Levels are seen in the image, but their heights are not those of L1 to L4."
UNSURE = "Levels are seen in the image, but which of them are L1 to L4 is not sure."


def locator(network: LevelNetwork | None) -> Locator:
    """How levels are found: by a bundle's network, or by image processing where a bundle has none."""
    if network is None:
        return locate_levels
    opened = network

    def by_network(grey: Float32, valid: Bool) -> Located:
        return locate_by_network(opened, grey, valid)

    return by_network


def network_picture(grey: Float32, valid: Bool, rows: int, cols: int) -> Float32:
    """The whole scan as the network takes it: float32 (rows, cols) in [0, 1].

    Its grey is stretched from the 1st to the 99.5th percentile; unscanned margins take the tone of dark soft tissue.

    Parameters
    ----------
    grey
        float32 (any size) in [0, 1], overlays removed.
    valid
        bool, of the same shape: False on unscanned margins.
    """
    sample = grey[::2, ::2][valid[::2, ::2]]
    if not sample.size:
        return np.zeros((rows, cols), np.float32)
    low, dark, high = (float(v) for v in np.percentile(sample, (1.0, 20.0, 99.5)))
    filled = grey if valid.all() else np.where(valid, grey, np.float32(dark))
    shrink = cv2.INTER_AREA if grey.shape[0] > rows else cv2.INTER_LINEAR
    small = cv2.resize(filled, (cols, rows), interpolation=shrink)
    return np.asarray(np.clip((small - low) / max(high - low, 1e-3), 0.0, 1.0), dtype=np.float32)


def ask(network: LevelNetwork, picture: Float32) -> Float32:
    """Probabilities float32 (copies, 7, h, w) of a picture (rows, cols) by each of its `COPIES`, put back in place."""
    rows = len(picture)
    batch = np.stack([_moved(picture[:, ::-1] if mirrored else picture, round(by * rows)) for mirrored, by in COPIES])
    said = network.session.run(["probabilities"], {"image": np.ascontiguousarray(batch[:, None])})[0]
    scale = said.shape[2] / rows
    back = [
        _moved_back(one[:, :, ::-1] if mirrored else one, round(by * rows) * scale)
        for one, (mirrored, by) in zip(said, COPIES, strict=True)
    ]
    return np.stack(back)


def _moved(picture: Float32, down: int) -> Float32:
    """Moved down by whole rows; the rows that come free repeat the picture's edge."""
    at = np.clip(np.arange(len(picture)) - down, 0, len(picture) - 1)
    return picture[at]


def _moved_back(parts: Float32, down: float) -> Float32:
    """Moved up again, by whole and half rows; the rows that were pushed out repeat the last that was seen."""
    rows = parts.shape[1]
    at = np.clip(np.arange(rows) + down, 0, rows - 1)
    lower, upper = np.floor(at).astype(int), np.ceil(at).astype(int)
    return np.asarray((parts[:, lower] + parts[:, upper]) / 2, dtype=np.float32)


def locate_by_network(network: LevelNetwork, grey: Float32, valid: Bool) -> Located:
    """L1-L4 of an AP lumbar spine from its picture.

    Parameters
    ----------
    grey
        float32 (rows, cols) in [0, 1], overlays removed, bone bright.
    valid
        bool (rows, cols): False on unscanned margins.
    """
    spec = network.spec
    picture = network_picture(grey, valid, spec.rows, spec.cols)
    work = working_picture(grey, valid)
    said = ask(network, picture)
    reading = read_parts(said.mean(axis=0), work)
    if reading is None:
        return _nothing(work, grey.shape)
    # The least sure level of all copies together, and the copy that agrees least.
    agrees = float(min(reading.agree.min(), *(agreement(one, reading).mean() for one in said)))
    heights = np.diff(reading.cut)
    if (heights <= 0).any() or max(abs(np.log(b / a)) for a, b in pairwise(heights)) > np.log(MOST_UNEVEN):
        note = UNEVEN
    elif agrees < spec.least_agreement:
        note = UNSURE
    else:
        note = ""
    return _in_scan(reading, work, grey.shape, spec.surest * min(1.0, agrees / 0.9), note)


def _in_scan(reading: Reading, work: Float32, shape: tuple[int, ...], confidence: float, note: str) -> Located:
    """A reading in pixels of the scan."""
    rows, cols = shape[:2]
    h, w = reading.column.bone.shape
    row_scale, col_scale = rows / h, cols / w

    def to_row(row: npt.NDArray[Any]) -> Float32:
        return np.asarray((row + 0.5) * row_scale - 0.5, dtype=np.float32)

    def to_col(col: npt.NDArray[Any]) -> Float32:
        return np.asarray((col + 0.5) * col_scale - 0.5, dtype=np.float32)

    column, every = reading.column, np.arange(h)
    cut = (reading.cut + 0.5) * h / WORK_ROWS - 0.5
    middle, half = (np.interp(cut, every, line) for line in (column.centre, column.half_width))
    across = BOX_HALF_WIDTH * half
    left = np.stack([to_row(cut - reading.slope * across), to_col(middle - across)], axis=1)
    right = np.stack([to_row(cut + reading.slope * across), to_col(middle + across)], axis=1)
    levels = tuple(
        Level(name, np.stack([left[i], right[i], right[i + 1], left[i + 1]]), "network", confidence)
        for i, name in enumerate(LEVEL_NAMES)
    )
    at = (np.arange(rows) + 0.5) / row_scale - 0.5
    centre, half_rows = (np.interp(at, every, line) for line in (column.centre, column.half_width))
    return Located(
        levels=() if note else levels,
        centre=to_col(centre),
        left=to_col(centre - half_rows),
        right=to_col(centre + half_rows),
        boundaries=np.empty(0, np.float32) if note else to_row(cut),
        chain=to_row(cut),
        fits=reading.agree.astype(np.float32),
        contrast=_contrast(reading, work),
        confidence=0.0 if note else confidence,
        notes=(note,) if note else (),
        bone=None if note else _bone(reading, left, right, shape),
    )


def _bone(reading: Reading, left: Float32, right: Float32, shape: tuple[int, ...]) -> Bool:
    """Spine between the first and the last boundary, bool of the scan's `shape`; corners (5, 2) of the boundaries."""
    rows, cols = shape[:2]
    spine = cv2.resize(reading.column.bone, (cols, rows), interpolation=cv2.INTER_LINEAR) > 0.5
    row, col = np.arange(rows)[:, None], np.arange(cols)[None]
    top, bottom = (
        left[k, 0] + (right[k, 0] - left[k, 0]) / max(right[k, 1] - left[k, 1], 1e-6) * (col - left[k, 1])
        for k in (0, -1)
    )
    return np.asarray(spine & (row >= top) & (row <= bottom))


def _contrast(reading: Reading, work: Float32) -> float:
    """Grey of the spine above that of its brighter side."""
    small = cv2.resize(work, reading.column.bone.shape[::-1], interpolation=cv2.INTER_AREA)
    away = np.arange(small.shape[1])[None] - reading.column.centre[:, None]
    half = reading.column.half_width[:, None]
    inside = small[np.abs(away) <= half].mean()
    sides = [small[(s * away > 1.2 * half) & (s * away < 2.2 * half)] for s in (-1, 1)]
    return float(inside - max((float(side.mean()) for side in sides if side.size), default=float(inside)))


def _nothing(work: Float32, shape: tuple[int, ...]) -> Located:
    """No levels; the band where a spine would be is that of image processing."""
    band = find_band(work)
    rows, cols = shape[:2]
    at = (np.arange(rows) + 0.5) * WORK_ROWS / rows - 0.5
    scale = cols / work.shape[1]
    centre, left, right = (
        ((np.interp(at, np.arange(WORK_ROWS), line) + 0.5) * scale - 0.5).astype(np.float32)
        for line in (band.centre, band.left, band.right)
    )
    none = np.empty(0, np.float32)
    return Located((), centre, left, right, none, none, none, band.contrast, 0.0, (NO_SPINE,))
