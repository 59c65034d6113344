"""L1-L4 from the image alone, by image processing: no network, nothing learnt from pictures.

The spine is found as a band (`spine.py`), pulled straight, and covered with a chain of levels that look like a vertebra
(`vertebra.py`). Which four of them are L1-L4 is the harder half: see `number`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.prepare.number import number
from spinecare.prepare.spine import WORK_ROWS, Float, find_band, working_picture
from spinecare.prepare.vertebra import best_chain, level_out, responses, straighten
from spinecare.scan import LEVEL_NAMES, Bool, Float32, Level

# Half the width of a level's box in half widths of the spine: the bodies and a little soft tissue, as operators draw.
BOX_HALF_WIDTH = 1.25


@dataclass(frozen=True, eq=False)
class Located:
    """What the image alone says about the spine. All coordinates in scan pixels.

    levels
        L1-L4, or () when no four levels could be found.
    centre, left, right
        float32 (rows,): columns of the spine's middle and edges in every row.
    boundaries
        float32 (5,): rows where the centre line meets L1's top, the three discs between, L4's bottom; empty without levels.
    chain
        float32 (n + 1,): rows of the boundaries of all levels seen, L1-L4 among them.
    fits
        float32 (n,): fit of each level of the chain to the pattern of a vertebra, -1 ... 1.
    upright
        Mean fit of the chain minus that of the best chain of vertebrae that stand on their heads.
    contrast
        Grey of the spine above its brighter flank, in [-1, 1].
    confidence
        In [0, 1]: of the levels and their numbers.
    """

    levels: tuple[Level, ...]
    centre: Float32
    left: Float32
    right: Float32
    boundaries: Float32
    chain: Float32
    fits: Float32
    upright: float
    contrast: float
    confidence: float
    notes: tuple[str, ...] = ()


def locate_levels(grey: Float32, valid: Bool) -> Located:
    """L1-L4 of an AP lumbar spine from its picture.

    Parameters
    ----------
    grey
        float32 (rows, cols) in [0, 1], overlays removed, bone bright.
    valid
        bool (rows, cols): False on unscanned margins.
    """
    rows, cols = grey.shape
    work = working_picture(grey, valid)
    band = find_band(work)
    strip, half_width, slope = straighten(work, band)
    levelled = level_out(strip)
    chain, fits, score = best_chain(responses(levelled))
    _, _, score_upside_down = best_chain(responses(levelled, upside_down=True))

    row_scale, col_scale = rows / WORK_ROWS, cols / work.shape[1]

    def to_row(row: Float) -> Float32:
        return ((row + 0.5) * row_scale - 0.5).astype(np.float32)

    def to_col(col: Float) -> Float32:
        return ((col + 0.5) * col_scale - 0.5).astype(np.float32)

    every = (np.arange(rows) + 0.5) / row_scale - 0.5
    at = np.arange(WORK_ROWS)
    numbering = number(work, band, strip, half_width, chain, fits)
    levels: tuple[Level, ...] = ()
    boundaries = np.empty(0, np.float32)
    # Boundaries lie between rows: row r of the chain is the edge above pixel row r.
    edges = chain.astype(np.float64) - 0.5
    if numbering is not None:
        cut = edges[numbering.first : numbering.first + 5]
        boundaries = to_row(cut)
        centre, half, lean = (np.interp(cut, at, line) for line in (band.centre, half_width, slope))
        norm = np.sqrt(1 + lean**2)
        across = BOX_HALF_WIDTH * half / norm
        left = np.stack([to_row(cut + across * lean), to_col(centre - across)], axis=1)
        right = np.stack([to_row(cut - across * lean), to_col(centre + across)], axis=1)
        levels = tuple(
            Level(
                name=name,
                polygon=np.stack([left[i], right[i], right[i + 1], left[i + 1]]).astype(np.float32),
                source="image_processing",
                confidence=numbering.confidence,
            )
            for i, name in enumerate(LEVEL_NAMES)
        )
    return Located(
        levels=levels,
        centre=to_col(np.interp(every, at, band.centre)),
        left=to_col(np.interp(every, at, band.left)),
        right=to_col(np.interp(every, at, band.right)),
        boundaries=boundaries,
        chain=to_row(edges),
        fits=fits.astype(np.float32),
        upright=(score - score_upside_down) / max(len(fits), 1),
        contrast=band.contrast,
        confidence=numbering.confidence if numbering is not None else 0.0,
        notes=numbering.notes if numbering is not None else ("fewer than four levels in a row were found",),
    )
