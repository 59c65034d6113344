"""The operator's ROI as Hologic's software draws it on the screen: boxes, bone outline and level names in yellow.

Drawn one screen pixel wide on a screen finer than the exported picture, then averaged down with it; so lines are
thin, pale, and lie exactly where the polygons say. JPEG then spreads their colour as it does in real exports.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spinecare.phantom.maps import BmdMap, Plane, Projection
from spinecare.phantom.scanner import HOLOGIC_SIZE, Framing
from spinecare.scan import LEVEL_NAMES, Float32, UInt8

YELLOW = (253, 255, 122)
RED = (220, 20, 30)
# Screen rows that one line of the scan fills.
LINE_ROWS = 3
TEXT_ROWS = 8.6
# At this quality colour spreads off the lines as in the real exports, and black stays 0 (at some it comes back as 1).
JPEG_QUALITY = 60


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is burned in, for `burn`: float32 (rows, cols) of the screen in [0, 1], how much of a pixel it covers.

    `yellow`, `black` (behind the names), `red` (a name in red).
    """

    yellow: Float32
    black: Float32
    red: Float32


def overlay_of(
    framing: Framing, bmd_map: BmdMap, projection: Projection, plane: Plane, rng: np.random.Generator
) -> Drawing:
    """The burned-in ROI of one scan.

    Parameters
    ----------
    framing
        Where box and separators lie, in the picture.
    bmd_map, projection
        What the software finds the bone's edge in, on the `plane`.
    """
    shape = framing.screen
    scale = np.array([shape[0] / framing.rows, shape[1] / framing.cols])
    canvas, black, red = (np.zeros(shape, np.uint8) for _ in range(3))

    def point(row: float, col: float) -> tuple[int, int]:
        on_screen = (np.array([row, col]) + 0.5) * scale - 0.5
        return round(float(on_screen[1])), round(float(on_screen[0]))

    boxes = list(framing.polygons().values())
    for top_left, top_right, bottom_right, bottom_left in boxes:
        corners = [point(*top_left), point(*top_right), point(*bottom_right), point(*bottom_left)]
        cv2.polylines(canvas, [np.array(corners, np.int32)], True, 255, 1)
    outline = _outline(framing, bmd_map, projection, plane, rng)
    for contour in cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        cv2.polylines(canvas, [contour], True, 255, 1)
    on_right = rng.random() < 0.015
    red_name = int(rng.integers(4)) if rng.random() < 0.015 else -1
    for i, (name, box) in enumerate(zip(LEVEL_NAMES, boxes, strict=True)):
        glyphs = _glyphs(name, round(TEXT_ROWS * scale[0]), round(1.55 * TEXT_ROWS * scale[1]))
        c, r = point(float(box[1, 0]) + 2, float(box[1, 1]) - 16) if on_right else point(*(box[0] + (2.0, 3.0)))
        # A box may leave the picture, and its name with it.
        r, c = max(r, 0), max(c, 0)
        layer = red if i == red_name else canvas
        part = layer[r : r + glyphs.shape[0], c : c + glyphs.shape[1]]
        canvas[r : r + glyphs.shape[0], c : c + glyphs.shape[1]] = 0
        black[r : r + glyphs.shape[0], c : c + glyphs.shape[1]] = 255
        np.maximum(part, glyphs[: part.shape[0], : part.shape[1]], out=part)
    yellow, dark, red_part = (np.asarray(layer, np.float32) / np.float32(255) for layer in (canvas, black, red))
    return Drawing(yellow, dark, red_part)


@cache
def _glyphs(text: str, rows: int, cols: int) -> UInt8:
    font = ImageFont.load_default(40)
    box = font.getbbox(text, stroke_width=2)
    image = Image.new("L", (int(box[2] - box[0]) + 16, int(box[3] - box[1]) + 12), 0)
    ImageDraw.Draw(image).text((8 - box[0], 6 - box[1]), text, fill=255, font=font, stroke_width=2)
    return np.asarray(image.resize((max(cols, 1), max(rows, 1)), Image.Resampling.BOX))


def _outline(
    framing: Framing, bmd_map: BmdMap, projection: Projection, plane: Plane, rng: np.random.Generator
) -> UInt8:
    """Region (uint8 0/1) inside the drawn bone edge on the screen.

    The software's edge follows the map's own density near the true edge: it takes in the root of a transverse process,
    leaves out a thin corner or a dark disc under L4, and wanders with the noise.
    """
    bone = projection.masks.any(axis=0)
    density = cv2.GaussianBlur(bmd_map.bmd, (0, 0), 1.2 / plane.mm)
    level = float(np.median(density[bone]))
    field = cv2.GaussianBlur(bone.astype(np.float32), (0, 0), 0.6 / plane.mm)
    share = np.float32(rng.uniform(0.40, 0.55))
    dense = np.clip(density / np.float32(rng.uniform(0.45, 0.62) * level), 0, 1.1)
    field = (1 - share) * field + share * dense
    field = _wandering(framing.warp(np.asarray(field, np.float32), screen=True), framing, rng)
    shape = framing.screen
    pixel = framing.rows / shape[0], framing.cols / shape[1]
    r = ((np.arange(shape[0]) + 0.5) * pixel[0] - 0.5)[:, None]
    c = ((np.arange(shape[1]) + 0.5) * pixel[1] - 0.5)[None, :]
    (top, top_slope), (bottom, bottom_slope) = framing.lines[0], framing.lines[-1]
    between = (r >= top + top_slope * c) & (r <= bottom + bottom_slope * c) & (c > framing.left) & (c < framing.right)
    inside = ((field > 0.5) & between).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 1 else 0
    return np.asarray(labels == largest, dtype=np.uint8)


def _wandering(field: Float32, framing: Framing, rng: np.random.Generator) -> Float32:
    # The software finds the edge line by line of its own scan, left and right by themselves: it jumps from line to line
    # by about a pixel, and cuts in where a disc leaves it nothing to hold on to.
    rows, cols = field.shape
    lines = rows // LINE_ROWS + 1
    wander = cv2.GaussianBlur(rng.standard_normal((lines, 2)), (1, 0), sigmaX=0.01, sigmaY=rng.uniform(1.4, 3.0))
    wander *= rng.uniform(0.8, 2.0) / wander.std()
    wander = np.repeat(wander, LINE_ROWS, axis=0)[:rows]
    at = (framing.lines[:, 0] + framing.lines[:, 1] * framing.cols / 2 + 0.5) * rows / framing.rows
    disc = np.exp(-(((np.arange(rows)[:, None] - at) / rng.uniform(2.5, 5.5)) ** 2))
    wander += (disc @ rng.gamma(1.0, 4.0, (len(at), 2))) * (-1, 1)
    col = np.arange(cols, dtype=np.float32)
    side = np.clip((col - cols / 2) / (0.1 * cols) + 0.5, 0, 1)
    shift = wander[:, :1] * (1 - side) + wander[:, 1:] * side
    row = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], field.shape)
    moved = cv2.remap(field, (col + shift).astype(np.float32), np.ascontiguousarray(row), cv2.INTER_LINEAR)
    return np.asarray(moved, dtype=np.float32)


def burn(grey: Float32, drawing: Drawing | None) -> UInt8:
    """Lay the ROI over a Hologic screen's grey picture and export it: uint8 (224, 224, 3) RGB.

    The screen is saved as JPEG, with colour at half resolution, and then resized with a triangle filter: so the
    real exports' lines are as pale and as broad. Without a drawing the picture stays grey, and is saved the same way.
    """
    shown = np.repeat(grey[..., None], 3, axis=2)
    if drawing is not None:
        black, yellow, red = (layer[..., None] for layer in (drawing.black, drawing.yellow, drawing.red))
        shown = shown * (1 - black)
        shown = shown * (1 - yellow) + np.array(YELLOW, np.float32) * yellow
        shown = shown * (1 - red) + np.array(RED, np.float32) * red
    colour = np.rint(shown).astype(np.uint8)
    saved = cv2.imencode(".jpg", colour[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    opened = np.asarray(cv2.imdecode(saved, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    small = Image.fromarray(opened).resize((HOLOGIC_SIZE, HOLOGIC_SIZE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.uint8)
