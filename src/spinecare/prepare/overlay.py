"""The operator's burned-in drawing: read it, then take it off; and the margins that were never scanned.

Screen crops of DXA reports carry the operator's region of interest in colour: a box with five lines
across it (the boundaries of L1 to L4), the level names as text, and the outline of the bone. The
picture under them is grey, so colour is what tells them apart. Resizing and JPEG have usually spread
the colour over a few pixels, but the brightness of the thin lines stays sharp; both are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from spinecare.prepare.roi import Float64, find_box
from spinecare.scan import LEVEL_NAMES, Bool, Float32, Level, Scan, UInt8

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# A drawing is thin: a picture with more colour than this is a colour picture, not a scan with lines.
MOST_COLOURED = 0.25
# Colour distance (grey levels of 255) below which JPEG noise and drawing can't be told apart.
LEAST_TINT = 10.0
# How much brighter than its dark neighbours a thin line is at least (grey levels of 255).
LEAST_RELIEF = 6.0
FRINGE_RELIEF = 18.0
# Blur of the filled pixels. With it the mean absolute Laplacian there is 1.01 of what it is in the scan itself
# (masks shifted onto known pixels of 35 real crops); without, 1.63; the usual inpainting (Telea) leaves 0.53.
SEAM_SIGMA = 0.5


@dataclass(frozen=True, eq=False)
class Overlay:
    """What was drawn on a scan.

    levels
        The operator's L1 to L4 as boxes (four corners each, scan pixels), or nothing.
    bone_outline
        bool (rows, cols) region inside the operator's bone outline, or None.
    mask
        bool (rows, cols), True where the drawing covers the scan: lines, fringes and text.
    notes
        Sentences about what was found or not.
    """

    levels: tuple[Level, ...]
    bone_outline: Bool | None
    mask: Bool
    notes: tuple[str, ...] = ()


def read_overlay(scan: Scan) -> Overlay:
    """Read the operator's region of interest that is burned into a scan.

    Returns an empty overlay for a grey picture, and for a picture that is coloured all over.
    """
    nothing = np.zeros(scan.pixels.shape, dtype=np.bool_)
    if scan.colour is None or min(scan.pixels.shape) < 32:
        return Overlay((), None, nothing)
    if _coloured(scan.colour[:: max(1, scan.colour.shape[0] // 256)]) > MOST_COLOURED:
        note = "The picture is in colour all over: nothing in it is read as a drawing."
        return Overlay((), None, nothing, (note,))
    luma = np.asarray(cv2.cvtColor(scan.colour, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    tint = _tint(scan.colour, luma)
    surely = tint[tint > LEAST_TINT]
    if surely.size < 0.001 * tint.size:
        return Overlay((), None, nothing)
    strong = float(np.percentile(surely, 80.0))
    relief = _relief(luma)
    mask = _drawn(tint, strong, relief)
    box = find_box(tint, luma, strong)
    if box is None:
        note = "Coloured drawing found, but no box with five lines across: no levels read from it."
        return Overlay((), None, mask, (note,))
    levels = tuple(
        Level(name, np.stack([top[0], top[1], bottom[1], bottom[0]]).astype(np.float32), "operator_roi", 1.0)
        for name, top, bottom in zip(LEVEL_NAMES, box[:-1], box[1:], strict=True)
    )
    outline = _bone_outline(tint > 0.25 * strong, relief > LEAST_RELIEF, levels)
    mask |= _text(mask, levels) | _on_box(box, tint > 0.2 * strong)
    notes: tuple[str, ...] = ("Levels read from the operator's burned-in region of interest.",)
    if outline is None:
        notes += ("The operator's bone outline is not closed or not there.",)
    return Overlay(levels, outline, mask, notes)


def _coloured(colour: UInt8) -> float:
    """Share of the pixels whose channels differ by more than JPEG noise does."""
    red, green, blue = cv2.split(colour)  # ten times faster than np.ptp along a short axis
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return float((spread > 2.0 * LEAST_TINT).mean())


def _tint(colour: UInt8, luma: Float32) -> Float32:
    """How far each pixel goes in the drawing's colour, in grey levels: float32 (rows, cols).

    The drawing's colour is the mean direction of the most coloured pixels, so that any one colour works.
    """
    chroma = colour.astype(np.float32) - luma[..., None]
    squared = np.einsum("rck,rck->rc", chroma, chroma)
    strongest = chroma[squared > max(0.25 * float(squared.max()), LEAST_TINT**2)]
    direction = strongest.mean(axis=0) if len(strongest) else np.zeros(3, dtype=np.float32)
    length = float(np.linalg.norm(direction))
    if length < LEAST_TINT:  # hardly any colour, or colours in every direction
        return np.zeros_like(luma)
    return np.maximum(chroma @ (direction / length), 0.0).astype(np.float32)


def _relief(luma: Float32) -> Float32:
    """How much brighter each pixel is than an opening by about two line widths (a white top hat)."""
    size = 5 if max(luma.shape) < 480 else 9
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, disc), dtype=np.float32)


def _drawn(tint: Float32, strong: float, relief: Float32) -> Bool:
    """Every pixel that the drawing touches: coloured thin structures, and their pale fringe of one pixel.

    Colour alone would cover too much, as JPEG spreads it over blocks of 16 pixels; and it may be lost in the
    fringe, where only a clear relief tells it: a slight one would pick the bright grains out of the noise.
    """
    core = ((tint > 0.3 * strong) & (relief > LEAST_RELIEF)).astype(np.uint8)
    around = cv2.dilate(core, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return np.asarray((around > 0) & ((tint > 0.08 * strong) | (relief > FRINGE_RELIEF)), dtype=np.bool_)


def _on_box(box: list[Float64], coloured: Bool) -> Bool:
    """The lines of the box themselves, also where they are no brighter than the bone under them."""
    lines = np.zeros(coloured.shape, dtype=np.uint8)
    strokes = [*box, np.stack([line[0] for line in box]), np.stack([line[1] for line in box])]
    for stroke in strokes:
        cv2.polylines(lines, [np.rint(stroke[:, ::-1]).astype(np.int32)], False, 1, 3)
    return (lines > 0) & coloured


def _text(mask: Bool, levels: tuple[Level, ...]) -> Bool:
    """The rectangles behind the level names, which hide the scan too, beside the left or the right side.

    The name stands at the same offset from the corner of every level, so levels where it was read badly
    take the offset from the others.
    """
    text = np.zeros(mask.shape, dtype=np.bool_)
    height = float(np.median([level.bottom_row - level.top_row for level in levels]))
    reach = round(0.45 * height), round(0.5 * height)
    border = reach[1] + 4
    padded = np.pad(mask.astype(np.uint8), border)
    for side in (1, -1):
        corners = [level.polygon[0 if side > 0 else 1] for level in levels]
        windows = []
        for corner in corners:
            # Inside the box, with the side of the box at the window's left.
            row = int(np.clip(round(float(corner[0])) + 2, 0, mask.shape[0] - 1)) + border
            col = int(np.clip(round(float(corner[1])) + 3 * side, 0, mask.shape[1] - 1)) + border
            windows.append(padded[row : row + reach[0], col : col + side * reach[1] : side])
        found = [name for name in (_name_in(window, height) for window in windows) if name is not None]
        if not found:
            continue
        top, left, bottom, right = np.median(found, axis=0).round().astype(int)
        for window, corner in zip(windows, corners, strict=True):
            if window[top:bottom, left:right].mean() < 0.2:
                continue
            rows = np.clip(round(float(corner[0])) + 2 + np.array([top - 3, bottom + 3]), 0, mask.shape[0])
            cols = round(float(corner[1])) + side * (3 + np.array([left - 2, right + 1]))
            cols = np.clip(np.sort(cols) + np.array([0, 1]), 0, mask.shape[1])
            text[slice(*rows), slice(*cols)] = True
    return text


def _name_in(window: UInt8, height: float) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right of the level's name in the window, or None."""
    joined = cv2.morphologyEx(np.pad(window, 4), cv2.MORPH_CLOSE, np.ones((3, 5), np.uint8))
    count, _, boxes, _ = cv2.connectedComponentsWithStats(joined[4:-4, 4:-4], connectivity=8)
    for x, y, w, h, area in boxes[1:count]:
        if 0.2 * height < w < 0.48 * height and 0.14 * height < h < 0.42 * height and area > 0.4 * w * h:
            return int(y), int(x), int(y + h), int(x + w)
    return None


def _bone_outline(coloured: Bool, thin: Bool, levels: tuple[Level, ...]) -> Bool | None:
    """The region inside the drawn outline: what a flood from the sides of the box doesn't reach.

    Colour and brightness together give the finest wall, but may leave gaps; colour alone is the second try.
    """
    for wall, size in ((coloured & thin, 3), (coloured & thin, 5), (coloured, 3)):
        closed = cv2.morphologyEx(wall.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
        bone = np.zeros(coloured.shape, dtype=np.uint8)
        if all(_fill_inside(closed, level, bone) for level in levels):
            bone = cv2.morphologyEx(np.pad(bone, 5), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))[5:-5, 5:-5]
            return np.asarray(bone > 0, dtype=np.bool_)
    return None


def _fill_inside(wall: UInt8, level: Level, bone: UInt8) -> bool:
    """Fill in `bone` what `wall` keeps from both sides of a level's box; False when that is no vertebra."""
    corners = np.rint(level.polygon[:, ::-1]).astype(np.int32)
    low = np.maximum(corners.min(axis=0) - 2, 0)
    window = slice(low[1], corners[:, 1].max() + 3), slice(low[0], corners[:, 0].max() + 3)
    wall, bone, corners = wall[window], bone[window], corners - low
    box, beside = np.zeros(wall.shape, dtype=np.uint8), np.zeros(wall.shape, dtype=np.uint8)
    cv2.fillPoly(box, [corners], 1)
    reach = max(2, round(0.03 * float(np.ptp(level.polygon[:, 1]))))
    for a, b in ((corners[0], corners[3]), (corners[1], corners[2])):
        cv2.line(beside, a.tolist(), b.tolist(), 1, 2 * reach + 1)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(box & (1 - wall), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[parts[beside > 0]] = 0
    sizes[0] = 0
    if not 0.12 < sizes.sum() / max(int(box.sum()), 1) < 0.85:
        return False
    kept = sizes > 0.05 * sizes.max()
    bone |= cv2.dilate(kept[parts].astype(np.uint8), np.ones((3, 3), np.uint8)) & box
    return True


def remove_overlay(grey: Float32, mask: Bool) -> Float32:
    """Fill the masked pixels from around them, so that no line is left for a model to see.

    The smooth part is interpolated from the scan around; the grain is mirrored at the edge of the
    mask, so that the filled pixels are neither smoother nor rougher than their neighbours.

    Parameters
    ----------
    grey
        float32 (rows, cols).
    mask
        bool (rows, cols), True where the scan is hidden.

    Returns
    -------
    float32 (rows, cols); pixels that are not masked are untouched.
    """
    if not mask.any() or mask.all():
        return grey.copy()
    known = (~mask).astype(np.float32)
    smooth = _smooth(grey * known, known)
    # The grain at a masked pixel is that of its mirror image in the nearest known pixel. OpenCV's label of a pixel is
    # the place of the nearest known one among the known ones, counted from 1.
    _, labels = cv2.distanceTransformWithLabels(mask.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    hidden_at, known_at = np.flatnonzero(mask), np.flatnonzero(~mask)
    rows, cols = np.divmod(hidden_at, grey.shape[1])
    near_rows, near_cols = np.divmod(known_at[labels.ravel()[hidden_at] - 1], grey.shape[1])
    far_rows = np.clip(2 * near_rows - rows, 0, grey.shape[0] - 1)
    far_cols = np.clip(2 * near_cols - cols, 0, grey.shape[1] - 1)
    hidden = mask[far_rows, far_cols]
    mirror = np.where(hidden, near_rows, far_rows), np.where(hidden, near_cols, far_cols)
    filled = grey.copy()
    filled[rows, cols] = np.clip(smooth[rows, cols] + grey[mirror] - smooth[mirror], 0.0, 1.0)
    # Where grain from two sides meets there is a seam; this much blur makes it as rough as the scan around.
    filled[rows, cols] = cv2.GaussianBlur(filled, (0, 0), SEAM_SIGMA)[rows, cols]
    return filled


def _smooth(ground: Float32, known: Float32) -> Float32:
    """The smooth part of a picture, from the known pixels only: float32 (rows, cols).

    A window of 5 pixels where it holds enough of them, else the same at half the size, and so on
    (pull-push: Gortler et al. 1996, doi:10.1145/237170.237200).

    Parameters
    ----------
    ground, known
        float32 (rows, cols): the picture times `known`, and how much of each pixel is known, in [0, 1].
    """
    value, share = (cv2.blur(cv2.blur(image, (3, 3)), (3, 3)) for image in (ground, known))
    smooth = np.asarray(cv2.divide(value, cv2.max(share, 1e-6)), dtype=np.float32)
    enough = share > 0.15
    if enough.all() or max(ground.shape) <= 2:
        return smooth
    rows, cols = ground.shape
    half = (cols + 1) // 2, (rows + 1) // 2
    coarse = _smooth(*(cv2.resize(image, half, interpolation=cv2.INTER_AREA) for image in (ground, known)))
    np.copyto(smooth, cv2.resize(coarse, (cols, rows), interpolation=cv2.INTER_LINEAR), where=~enough)
    return smooth


def unscanned(grey: Float32, colour: UInt8 | None = None) -> Bool:
    """Which pixels were scanned: False on white margins at the border of the picture.

    A margin is white without any grain, starts at the border, and its inner edge is straight: the stairs of
    a scan whose width was changed on the way, or the frame of a screen crop. Metal and bright bone that touch
    the border have round edges, and stay.

    Parameters
    ----------
    grey
        float32 (rows, cols) in [0, 1].
    colour
        uint8 (rows, cols, 3) RGB or None; a coloured pixel is never a margin.

    Returns
    -------
    bool (rows, cols): the valid mask.
    """
    if min(grey.shape) < 32:
        return np.ones(grey.shape, dtype=np.bool_)
    white = grey >= 0.97
    if colour is not None:
        white[white] = np.ptp(colour[white], axis=1) <= 64
    valid = np.ones(grey.shape, dtype=np.bool_)
    for turn in range(4):
        view = np.rot90(valid, turn)  # a view: writing to it writes to `valid`
        _margin(np.rot90(white, turn), np.rot90(grey, turn), view)
    if valid.mean() < 0.1:  # a white picture is not a margin
        return np.ones(grey.shape, dtype=np.bool_)
    return valid


def _margin(white: Bool, grey: Float32, valid: Bool) -> None:
    """Mark the margin at the left border in `valid`."""
    rows, cols = white.shape
    run = np.zeros(rows, dtype=np.intp)
    begun = np.flatnonzero(white[:, 0])
    run[begun] = np.where(white[begun].all(axis=1), cols, white[begun].argmin(axis=1))
    widths = np.zeros(rows, dtype=np.intp)
    starts = np.flatnonzero(np.r_[True, np.diff(run) != 0])
    for start, stop in zip(starts, np.r_[starts[1:], rows], strict=True):
        width = int(run[start])
        if width == 0 or stop - start < max(8, round(0.03 * rows)):
            continue
        if width + 2 < cols:  # a resized margin has one pixel between white and scan
            step = np.sort(grey[start:stop, width] - grey[start:stop, width + 1])
            width += int(step[len(step) // 5] > 0.15)
        widths[start:stop] = width
    # Between two stairs there may be a row of its own.
    beside = np.maximum(np.r_[0, widths[:-1]], np.r_[widths[1:], 0])
    widths = np.maximum(widths, np.minimum(run, beside))
    widest = int(widths.max())
    valid[:, :widest] &= np.arange(widest) >= widths[:, None]
    # The frame of a screen window, which resizing has blended with the scan: each pixel is about the same
    # share `blend` of the way from its inner neighbour to white, all along the border.
    near, further = grey[:, : 3 + cols // 100], grey[:, 1 : 4 + cols // 100]
    blend = np.sort((near - further) / (1.02 - further), axis=0)
    for col in range(1 + cols // 100, -1, -1):
        if blend[rows // 10, col] > 0.25:
            # One more column may be blended too; where the operator's box lies beside it, that shows less.
            valid[:, : col + 1 + int(blend[7 * rows // 10, col + 1] > 0.25)] = False
            break
