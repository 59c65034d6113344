"""Pictures that need no anatomy to be told apart: too small, blank, noise, in colour, a screen of text."""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.quality.band import correlation
from spinecare.scan import Float32, RefusalCode, Refused, Scan, UInt8

SMALLEST_SIDE = 64
"""Pixels. Below, a vertebra has fewer than a dozen rows."""

BLANK_RANGE = 0.04
"""Grey (of 1) between the 2nd and the 98th percentile of the small copy: below, nothing is to be seen."""

NOISE_CORRELATION = 0.3
"""Correlation of neighbouring pixels, the better of rows and columns. Any focused picture has over 0.6."""

COLOURED = 30
"""Grey levels (of 255) between the largest and the smallest of R, G, B: below, JPEG and white balance."""

COLOURED_AREA = 0.06
"""Share of the picture in patches of colour. An operator's drawing is thin lines, and leaves no patches."""

GLYPHS = 60
"""Small separate marks on an even ground: more are a text."""


def plain_refusal(scan: Scan, clean: Float32, small: Float32) -> Refused | None:
    """Refuse what is too small, blank, noise or a picture in colour.

    Parameters
    ----------
    clean
        float32 (rows, cols) in [0, 1]: the picture without overlays.
    small
        Its small copy, from `band.small_copy`.
    """
    rows, cols = scan.pixels.shape
    if min(rows, cols) < SMALLEST_SIDE:
        return Refused(
            RefusalCode.TOO_SMALL,
            f"The picture has {rows} x {cols} pixels; vertebrae can't be seen in it.",
            f"Send the scan in its full size, at least {SMALLEST_SIDE} pixels on each side, no preview.",
            details={"rows": rows, "cols": cols, "smallest_side": SMALLEST_SIDE},
        )
    seen = float(np.ptp(np.percentile(small, [2.0, 98.0])))
    near = neighbour_correlation(clean)
    # The small copy of large noise is one tone as well, its pixels are not.
    if seen < BLANK_RANGE and not (near < NOISE_CORRELATION and np.ptp(_middle(clean)) > BLANK_RANGE):
        return Refused(
            RefusalCode.BLANK,
            "The picture is blank: one tone from edge to edge.",
            "Export the scan again and check that it opens in an image viewer.",
            details={"grey_range": round(seen, 4), "limit": BLANK_RANGE},
        )
    if scan.colour is not None:
        area = coloured_area(scan.colour)
        if area > COLOURED_AREA:
            return Refused(
                RefusalCode.COLOUR_PHOTO,
                f"The picture is in colour ({area:.0%} of its area): a photograph or a colour map, no grey DXA scan.",
                "Send the scan itself in grey levels; the operator's coloured lines may stay.",
                details={"coloured_area": round(area, 4), "limit": COLOURED_AREA},
            )
    if near < NOISE_CORRELATION:
        return Refused(
            RefusalCode.NOISE,
            "The picture is noise: neighbouring pixels have nothing to do with each other.",
            "Export the scan again; the file may have been damaged or decoded with the wrong settings.",
            details={"neighbour_correlation": round(near, 4), "limit": NOISE_CORRELATION},
        )
    return None


def neighbour_correlation(grey: Float32) -> float:
    """Correlation of pixels with their neighbours in the middle of the picture: along rows or down columns."""
    part = _middle(grey)
    return max(correlation(part[1:], part[:-1]), correlation(part[:, 1:], part[:, :-1]))


def _middle(grey: Float32) -> Float32:
    top, left = (max(0, (side - 256) // 2) for side in grey.shape)
    return np.nan_to_num(grey[top : top + 256, left : left + 256], nan=0.0, posinf=0.0, neginf=0.0)


def coloured_area(colour: UInt8) -> float:
    """Share of the picture covered by patches of colour that are wider than a drawn line."""
    step = max(1, min(colour.shape[:2]) // 256)
    few = colour[::step, ::step]
    red, green, blue = cv2.split(few)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    patches = cv2.morphologyEx((spread > COLOURED).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return float(patches.mean())


def is_text(clean: Float32) -> bool:
    """Many small separate marks of one kind on an even ground, as on a screen or a page.

    Only asked of pictures that are no spine, to name what they are.
    """
    step = max(1, min(clean.shape) // 700)
    grey = np.nan_to_num(clean[::step, ::step], nan=0.0, posinf=0.0, neginf=0.0)
    counts, edges = np.histogram(grey, bins=24, range=(0.0, 1.0))
    ground = float(edges[int(np.argmax(counts))] + 0.5 / 24)
    off = np.abs(grey - ground)
    if float((off < 0.06).mean()) < 0.55:
        return False
    marks = (off > 0.35).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    width, height, area = (
        stats[1:, cv2.CC_STAT_WIDTH],
        stats[1:, cv2.CC_STAT_HEIGHT],
        stats[1:, cv2.CC_STAT_AREA],
    )
    small = (height >= 4) & (height <= 0.08 * grey.shape[0]) & (width <= 0.2 * grey.shape[1]) & (area >= 6)
    feet = (stats[1:, cv2.CC_STAT_TOP] + height)[small]
    # Letters stand on lines: most of them share their lowest row with several others.
    on_row = np.bincount(feet, minlength=grey.shape[0] + 1)
    return len(feet) >= GLYPHS and float((on_row[feet] >= 6).mean()) >= 0.5
