"""The operator's burned-in drawing: read it, then take it off; and the margins that were never scanned.

Screen crops of DXA reports carry the operator's region of interest in colour: a box with five lines
across it (the boundaries of L1 to L4), the level names as text, and the outline of the bone. The
picture under them is grey, so colour is what tells them apart. Resizing and JPEG have usually spread
the colour over a few pixels; the lines are therefore searched as whole straight lines (a small Hough
vote) and placed with the brightness, which stays sharp.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.scan import LEVEL_NAMES, Bool, Float32, Level, Scan, UInt8

Float64 = npt.NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# A drawing is thin: a picture with more colour than this is a colour picture, not a scan with lines.
MOST_COLOURED = 0.25
# Colour distance (grey levels of 255) below which JPEG noise and drawing can't be told apart.
LEAST_TINT = 10.0
# Lines are voted for on a grid of about this many pixels; larger scans are reduced by block maxima.
VOTE_SIZE = 320


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
    luma = scan.colour.astype(np.float32) @ LUMA
    tint, coloured = _tint(scan.colour, luma)
    if coloured < 0.001:
        return Overlay((), None, nothing)
    if coloured > MOST_COLOURED:
        note = "The picture is in colour all over: nothing in it is read as a drawing."
        return Overlay((), None, nothing, (note,))
    box = _box(tint, luma)
    mask = _drawn(tint)
    if box is None:
        note = "Coloured drawing found, but no box with five lines across: no levels read from it."
        return Overlay((), None, mask, (note,))
    levels = tuple(
        Level(name, np.stack([top[0], top[1], bottom[1], bottom[0]]).astype(np.float32), "operator_roi", 1.0)
        for name, top, bottom in zip(LEVEL_NAMES, box[:-1], box[1:], strict=True)
    )
    outline = _bone_outline(tint, levels)
    notes = ("Levels read from the operator's burned-in region of interest.",)
    if outline is None:
        notes += ("The operator's bone outline is not closed or not there.",)
    return Overlay(levels, outline, mask | _text(mask, levels), notes)


def _tint(colour: UInt8, luma: Float32) -> tuple[Float32, float]:
    """How far each pixel goes in the drawing's colour (grey levels), and the share of coloured pixels.

    The drawing's colour is the mean direction of the most coloured pixels, so that any one colour works.
    """
    chroma = colour.astype(np.float32) - luma[..., None]
    distance = np.linalg.norm(chroma, axis=2)
    coloured = float((distance > 2.0 * LEAST_TINT).mean())
    strongest = chroma[distance >= max(float(np.percentile(distance, 99.0)), 1.0)]
    if not len(strongest):
        return np.zeros_like(luma), 0.0
    direction = strongest.mean(axis=0)
    length = float(np.linalg.norm(direction))
    if length < 0.5 * LEAST_TINT:  # colours in every direction, or hardly any
        return np.zeros_like(luma), coloured if coloured > MOST_COLOURED else 0.0
    return np.maximum(chroma @ (direction / length), 0.0).astype(np.float32), coloured


def _box(tint: Float32, luma: Float32) -> list[Float64] | None:
    """The five lines across the box, each as its two ends [(row, left col), (row, right col)], or None."""
    step = max(1, round(max(tint.shape) / VOTE_SIZE))
    strong = max(float(np.percentile(tint, 99.0)), LEAST_TINT)
    response = _blocks((tint > 0.33 * strong).astype(np.float32), step)
    sides = _sides(response)
    if sides is None:
        return None
    across = _across(response, sides)
    if len(across) != 5:
        return None
    scale = np.array([step, 1.0])  # offsets grow with the grid, slopes stay
    sides, across = [line * scale for line in sides], [line * scale for line in across]
    first, last = sides[0][0], sides[1][0] + sides[1][1] * tint.shape[0]
    across = [_fit(line, _ridge(tint, luma), min(first, last), max(first, last), step) for line in across]
    sides = [_fit(line, _ridge(tint.T, luma.T), across[0][0], across[-1][0], step) for line in sides]
    return [np.stack([_cross(line, side) for side in sides]) for line in across]


def _blocks(image: Float32, step: int) -> Float32:
    """Block maxima: thin lines survive a reduction by `step`."""
    rows, cols = (n // step * step for n in image.shape)
    blocks = image[:rows, :cols].reshape(rows // step, step, cols // step, step)
    return np.asarray(blocks.max(axis=(1, 3)), dtype=np.float32)


def _votes(response: Float32, cols: npt.NDArray[np.intp], slopes: Float64) -> Float32:
    """Share of the columns `cols` in which the line offset + slope * col meets the drawing: (slopes, offsets).

    The offset is the line's row at column 0, from -rows // 2 on, so slanted lines may start outside.
    """
    rows = response.shape[0]
    pad = rows // 2
    padded = np.pad(cv2.dilate(response, np.ones((3, 1), np.uint8)), ((2 * pad, 2 * pad), (0, 0)))
    votes = np.zeros((len(slopes), rows + 2 * pad), dtype=np.float32)
    for k, slope in enumerate(slopes):
        for col in cols:
            start = pad + round(slope * col)
            votes[k] += padded[max(start, 0) : max(start, 0) + rows + 2 * pad, col]
    return votes / np.float32(len(cols))


def _sides(response: Float32) -> list[Float64] | None:
    """The left and the right side of the box as (col at row 0, slope); the picture's edge where one is cut off."""
    rows, cols = response.shape
    slopes = np.linspace(-0.12, 0.12, 13)
    votes = _votes(response.T.copy(), np.arange(0, rows, 2), slopes)
    at_middle = np.full((len(slopes), cols), 0.0, dtype=np.float32)
    pad = cols // 2
    for k, slope in enumerate(slopes):
        start = pad - round(slope * rows / 2)
        at_middle[k] = votes[k, start : start + cols]
    best = at_middle.max(axis=0)
    strong = np.flatnonzero(best > max(0.3, 0.6 * float(best.max())))
    if not len(strong):
        return None

    def line(candidates: npt.NDArray[np.intp]) -> Float64:
        col = candidates[np.argmax(best[candidates])]
        slope = slopes[np.argmax(at_middle[:, col])]
        return np.array([col - slope * rows / 2, slope])

    left, right = strong[strong <= strong[0] + 4], strong[strong >= strong[-1] - 4]
    lines = [line(left), line(right)]
    if right[-1] - left[0] < 0.3 * cols:  # only one side is in the picture
        cut_off = 1 if left[0] < cols / 2 else 0
        lines[cut_off] = np.array([cols - 1.0, 0.0]) if cut_off else np.array([0.0, 0.0])
    return lines


def _across(response: Float32, sides: list[Float64]) -> list[Float64]:
    """Up to five lines across the box as (row at col 0, slope), from the top down.

    A boundary of a level reaches both sides of the box; the bone outline, of the same colour, does not.
    Only the outer quarters of the box vote, each by itself.
    """
    rows = response.shape[0]
    middle = [side[0] + side[1] * rows / 2 for side in sides]
    quarter = 0.25 * (middle[1] - middle[0])
    slopes = np.linspace(-0.36, 0.36, 37)
    left = _votes(response, np.arange(middle[0] + 3, middle[0] + quarter).astype(np.intp), slopes)
    right = _votes(response, np.arange(middle[1] - quarter, middle[1] - 2).astype(np.intp), slopes)
    score = 0.25 * (left + right) + 0.5 * np.minimum(left, right)
    pad = rows // 2
    offsets = np.arange(score.shape[1])[None] - pad
    ends = [offsets + slopes[:, None] * col for col in middle]
    found: list[Float64] = []
    while len(found) < 5 and score.max() > 0.45:
        k, o = np.unravel_index(int(np.argmax(score)), score.shape)
        found.append(np.array([o - pad, slopes[k]]))
        gaps = [end - end[k, o] for end in ends]
        near = (np.abs(gaps[0] + gaps[1]) < 0.09 * rows) | (gaps[0] * gaps[1] < 0)
        score[near] = 0.0
    return sorted(found, key=lambda line: float(line[0] + line[1] * sum(middle) / 2))


def _ridge(tint: Float32, luma: Float32) -> Float32:
    """Where it is coloured and brighter than above and below: thin lines across."""
    above_below = 0.5 * (np.roll(luma, 3, axis=0) + np.roll(luma, -3, axis=0))
    return np.asarray(tint * np.clip(luma - above_below, 0.0, None), dtype=np.float32)


def _fit(line: Float64, ridge: Float32, first: float, last: float, step: int) -> Float64:
    """Place a line on the ridge within a few pixels of where it was voted for (two rounds of least squares)."""
    cols = np.arange(max(0, int(first)), min(ridge.shape[1], int(last) + 1))
    for reach in (2 * step + 1, step + 1):
        window = np.arange(-reach, reach + 1)
        rows = np.rint(line[0] + line[1] * cols)[:, None].astype(np.intp) + window
        inside = (rows >= 0) & (rows < ridge.shape[0])
        weight = np.where(inside, ridge[np.clip(rows, 0, ridge.shape[0] - 1), cols[:, None]], 0.0)
        mass = weight.sum(axis=1)
        hit = mass > 0.2 * np.median(mass)
        if hit.sum() < 8 or not mass.any():
            return line
        row = (weight * rows).sum(axis=1)[hit] / mass[hit]
        slope, offset = np.polyfit(cols[hit], row, 1)
        line = np.array([offset, slope])
    return line


def _cross(across: Float64, side: Float64) -> Float64:
    """The point (row, col) where row = a + b col meets col = c + d row."""
    row = (across[0] + across[1] * side[0]) / (1.0 - across[1] * side[1])
    return np.array([row, side[0] + side[1] * row])


def _drawn(tint: Float32) -> Bool:
    """Every pixel that the drawing touches: coloured ones, and one pixel around them for anti-aliasing."""
    strong = max(float(np.percentile(tint, 99.0)), LEAST_TINT)
    core = (tint > 0.3 * strong).astype(np.uint8)
    return cv2.dilate(core, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0


def _text(mask: Bool, levels: tuple[Level, ...]) -> Bool:
    """The rectangles behind the level names, which hide the scan too, beside the left or the right side."""
    text = np.zeros(mask.shape, dtype=np.uint8)
    height = float(np.median([level.bottom_row - level.top_row for level in levels]))
    for level in levels:
        for side, corner in ((1, level.polygon[0]), (-1, level.polygon[1])):
            top, near = round(float(corner[0]) + 2), round(float(corner[1]) + 3 * side)
            far = near + side * round(0.5 * height)
            rows = slice(max(top, 0), max(top + round(0.45 * height), 0))
            cols = slice(max(min(near, far), 0), max(near, far, 0))
            window = np.ascontiguousarray(mask[rows, cols]).astype(np.uint8)
            if not window.any():
                continue
            joined = cv2.morphologyEx(np.pad(window, 4), cv2.MORPH_CLOSE, np.ones((3, 5), np.uint8))[
                4:-4, 4:-4
            ]
            count, _, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
            for x, y, w, h, area in boxes[1:count]:
                if 0.15 * height < w < 0.48 * height and h < 0.42 * height and area > 0.3 * w * h:
                    y0, x0 = max(rows.start + y - 3, 0), max(cols.start + x - 2, 0)
                    text[y0 : rows.start + y + h + 3, x0 : cols.start + x + w + 2] = 1
    return text > 0


def _bone_outline(tint: Float32, levels: tuple[Level, ...]) -> Bool | None:
    """The region inside the drawn outline: what a flood from the sides of the box doesn't reach."""
    strong = max(float(np.percentile(tint, 99.0)), LEAST_TINT)
    wall = cv2.morphologyEx(
        (tint > 0.25 * strong).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)
    )
    bone = np.zeros(tint.shape, dtype=np.uint8)
    for level in levels:
        box = np.zeros(tint.shape, dtype=np.uint8)
        corners = np.rint(level.polygon[:, ::-1]).astype(np.int32)
        cv2.fillPoly(box, [corners], 1)
        beside = np.zeros(tint.shape, dtype=np.uint8)
        reach = max(2, round(0.03 * float(np.ptp(level.polygon[:, 1]))))
        for a, b in ((corners[0], corners[3]), (corners[1], corners[2])):
            cv2.line(beside, a.tolist(), b.tolist(), 1, 2 * reach + 1)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(box & (1 - wall), connectivity=4)
        outside = np.unique(parts[(beside > 0) & (parts > 0)])
        sizes = stats[:, cv2.CC_STAT_AREA].copy()
        sizes[0] = 0
        sizes[outside] = 0
        if not 0.08 < sizes.max() / max(int(box.sum()), 1) < 0.9:
            return None
        kept = np.flatnonzero(sizes > 0.05 * sizes.max())
        bone |= cv2.dilate(np.isin(parts, kept).astype(np.uint8), np.ones((3, 3), np.uint8)) & box
    return bone > 0


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
    smooth = np.zeros_like(grey)
    weight = np.zeros_like(grey)
    for size in (5, 9, 17, 33, 65, 2 * max(grey.shape) + 1):
        # The smallest window that holds enough of the scan decides; larger ones only fill what is left.
        share = cv2.GaussianBlur(known, (0, 0), size / 4.0) if size < 65 else cv2.blur(known, (size, size))
        if size < 65:
            value = cv2.GaussianBlur(grey * known, (0, 0), size / 4.0)
        else:
            value = cv2.blur(grey * known, (size, size))
        take = (weight == 0) & (share > 0.15 if size < 65 else share > 0)
        smooth[take] = value[take] / share[take]
        weight[take] = 1.0
        if weight[mask].all():
            break
    _, labels = cv2.distanceTransformWithLabels(
        mask.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    known_rows, known_cols = np.nonzero(~mask)
    by_label = np.zeros(int(labels.max()) + 1, dtype=np.intp)
    by_label[labels[known_rows, known_cols]] = np.arange(len(known_rows))
    rows, cols = np.nonzero(mask)
    nearest = by_label[labels[rows, cols]]
    near = known_rows[nearest], known_cols[nearest]
    mirror = (
        np.clip(2 * near[0] - rows, 0, grey.shape[0] - 1),
        np.clip(2 * near[1] - cols, 0, grey.shape[1] - 1),
    )
    hidden = mask[mirror]
    mirror = np.where(hidden, near[0], mirror[0]), np.where(hidden, near[1], mirror[1])
    filled = grey.copy()
    filled[rows, cols] = np.clip(smooth[rows, cols] + grey[mirror] - smooth[mirror], 0.0, 1.0)
    return filled


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
    white = grey >= 0.97
    if colour is not None:
        white &= np.ptp(colour, axis=2) <= 24
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
    run = np.where(white.all(axis=1), cols, np.argmin(white, axis=1))
    least = max(8, round(0.03 * rows))
    starts = np.flatnonzero(np.r_[True, np.diff(run) != 0])
    for start, stop in zip(starts, np.r_[starts[1:], rows], strict=True):
        width = int(run[start])
        if width == 0 or stop - start < least:
            continue
        if width + 2 < cols:  # a resized margin has one pixel between white and scan
            step = grey[start:stop, width] - grey[start:stop, width + 1]
            width += int(np.quantile(step, 0.2) > 0.15)
        valid[start:stop, :width] = False
    # A frame of the screen that resizing has left as a grey line: even, and brighter than the scan all along.
    for col in range(1 + cols // 100, -1, -1):
        low, high = np.quantile(grey[:, col], (0.05, 0.95))
        inside = np.quantile(grey[:, min(col + 2, cols - 1)], 0.95)
        if low > 0.4 and high - low < 0.15 and low > inside + 0.05:
            valid[:, : col + 1] = False
            break
