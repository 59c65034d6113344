"""Pictures for a page: a scan as a PNG, and its levels as the points of SVG shapes over it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from spinecare.scan import Level, Prepared, Scan, UInt8

# Longest side in pixels of a picture on a page; scans are rarely larger, photos are.
LONGEST = 1000


@dataclass(frozen=True)
class Picture:
    """A picture to draw, as a PNG; `width`, `height` are its size on the page, in SVG units."""

    png: bytes
    width: float
    height: float


@dataclass(frozen=True)
class Shape:
    """One level over a picture: `points` of an SVG polygon; (`right`, `y`) the middle of its right edge."""

    name: str
    points: str
    right: float
    y: float


def png(pixels: UInt8) -> bytes:
    """Pixels as a PNG file: uint8 (rows, cols) grey, (rows, cols, 3) RGB or (rows, cols, 4) RGBA."""
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    ordered = cv2.cvtColor(pixels, swap[pixels.shape[2]]) if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(ordered))
    if not done:
        raise ValueError(f"no PNG can be made of pixels of shape {pixels.shape}")
    return encoded.tobytes()


def row_stretch(scan: Scan) -> float:
    """How much taller than wide a pixel of the scan is drawn: 1 where its spacing is unknown."""
    if scan.spacing_mm is None:
        return 1.0
    row, col = scan.spacing_mm
    ratio = row / col if row > 0 and col > 0 else 1.0
    return ratio if 0.2 < ratio < 5 else 1.0


def picture_size(scan: Scan, longest: int = LONGEST) -> tuple[int, int]:
    """Rows and columns of a picture of the scan in pixels: its own, or fewer so that neither is above `longest`."""
    rows, cols = scan.pixels.shape
    scale = min(1.0, longest / max(rows, cols))
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def scan_picture(scan: Scan) -> Picture:
    """The scan as the file shows it, colours and overlays included, with the shape of its pixels."""
    pixels = scan.colour if scan.colour is not None else np.rint(255 * scan.grey).astype(np.uint8)
    rows, cols = picture_size(scan)
    if (rows, cols) != scan.pixels.shape:
        pixels = cv2.resize(pixels, (cols, rows), interpolation=cv2.INTER_AREA)
    return Picture(png(pixels), *drawn_size(scan))


def map_picture(colours: UInt8, scan: Scan) -> Picture:
    """A map to lay over `scan_picture`: uint8 (rows, cols, 4) RGBA that covers the whole scan."""
    return Picture(png(colours), *drawn_size(scan))


def drawn_size(scan: Scan) -> tuple[float, float]:
    """Width and height of the scan's picture in SVG units: columns, and rows as tall as they are in the body."""
    rows, cols = scan.pixels.shape
    return float(cols), round(rows * row_stretch(scan), 2)


def prepared_picture(prepared: Prepared) -> Picture:
    """The prepared picture: what the model saw."""
    image = np.rint(255 * np.clip(prepared.image, 0, 1)).astype(np.uint8)
    rows, cols = image.shape
    return Picture(png(image), float(cols), float(rows))


def shapes_on_scan(levels: Sequence[Level], scan: Scan) -> tuple[Shape, ...]:
    """The levels over `scan_picture`."""
    stretch = row_stretch(scan)
    return tuple(_shape(level.name, np.asarray(level.polygon, np.float64), stretch) for level in levels)


def shapes_on_prepared(prepared: Prepared) -> tuple[Shape, ...]:
    """The levels in use over `prepared_picture`."""
    return tuple(
        _shape(level.name, prepared.mapping.to_image(level.polygon).astype(np.float64), 1.0)
        for level in prepared.levels
    )


def _shape(name: str, polygon: np.ndarray[tuple[int, ...], np.dtype[np.float64]], stretch: float) -> Shape:
    # Pixel centres stand at whole numbers, an SVG picture begins at its first pixel's corner: hence the half.
    xs = polygon[:, 1] + 0.5
    ys = (polygon[:, 0] + 0.5) * stretch
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise ValueError(f"level {name} has a corner that is not a number")
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    # The name stands at the middle of the right edge, which may lean.
    right = float(np.sort(xs)[-2:].mean())
    return Shape(name, points, round(right, 1), round(float(ys.mean()), 1))


def stroke(picture: Picture) -> float:
    """A line width in SVG units that looks the same on every picture."""
    return round(math.hypot(picture.width, picture.height) / 320, 2)


def label_place(shape: Shape, picture: Picture) -> tuple[float, str]:
    """Column and SVG anchor of a level's name: right of the level, or inside where there is no room."""
    line = stroke(picture)
    if shape.right + 24 * line < picture.width:
        return round(shape.right + 3 * line, 1), "start"
    return round(min(shape.right, picture.width) - 3 * line, 1), "end"
