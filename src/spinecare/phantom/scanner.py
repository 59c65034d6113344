"""From bone to the picture a clinic exports: soft tissue, noise, blur, window, field of view, burned-in ROI.

The numbers that shape the look were fitted to the look of real exports (positions of the ROI, grey levels,
noise grain), never to anybody's diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from spinecare.phantom.anatomy import FIRST, Anatomy, Grid, Spine
from spinecare.phantom.population import People
from spinecare.scan import LEVEL_NAMES, Bool, Float32, UInt8

Style = Literal["hologic", "idxa"]
STYLES: tuple[Style, ...] = get_args(Style)

HOLOGIC_SIZE = 224
IDXA_SHAPE = (780, 716)
IDXA_MM = 0.25


@dataclass(frozen=True, eq=False)
class Framing:
    """Which part of the body the picture shows, and where the operator's ROI lies.

    grid
        The scan's pixels.
    lines
        float64 (5, 2): separators as row = a + b * col in scan pixels.
    left, right
        The ROI box's columns.
    """

    grid: Grid
    lines: npt.NDArray[np.float64]
    left: float
    right: float

    def polygons(self) -> dict[str, Float32]:
        """Each level's box, (4, 2) (row, col): top left, top right, bottom right, bottom left."""
        cols = np.array([self.left, self.right])
        rows = self.lines[:, :1] + self.lines[:, 1:] * cols
        return {
            name: np.array(
                [
                    (rows[i, 0], self.left),
                    (rows[i, 1], self.right),
                    (rows[i + 1, 1], self.right),
                    (rows[i + 1, 0], self.left),
                ],
                np.float32,
            )
            for i, name in enumerate(LEVEL_NAMES)
        }


def frame(spine: Spine, style: Style, rng: np.random.Generator) -> Framing:
    """Choose the field of view and the ROI box, as operators do."""
    top, bottom = float(spine.separators[0, 0]), float(spine.separators[-1, 0])
    lumbar = spine.vertebrae[FIRST : FIRST + 4]
    width = float(np.mean([v.half_width for v in lumbar])) * 2
    reach = max(abs(v.x) + v.half_width * 1.2 for v in lumbar)
    if style == "hologic":
        size = HOLOGIC_SIZE
        height = float(np.clip(rng.normal(142, 12), 112, 176))
        row_top = float(np.clip(rng.normal(44, 16), 6, size - height - 6))
        mm_row = (bottom - top) / height
        mm_col = width / float(np.clip(rng.normal(74, 6), 60, 90))
        grid = Grid(size, size, mm_row, mm_col, row_top - top / mm_row, float(rng.normal(112, 4)))
        half = np.clip(rng.normal(93, 12, 2), reach / mm_col + 6, None)
        left, right = max(grid.col0 - half[0], 3.0), min(grid.col0 + half[1], size - 5.0)
    else:
        rows, cols = IDXA_SHAPE
        mm = IDXA_MM
        middle = rows / 2 + rng.normal(-35, 25) - (top + bottom) / 2 / mm
        grid = Grid(rows, cols, mm, mm, middle, cols / 2 + rng.normal(0, 15))
        left, right = grid.col0 - 60 / mm, grid.col0 + 60 / mm
    slope = spine.separators[:, 1] * grid.mm_col / grid.mm_row
    offset = grid.row0 + spine.separators[:, 0] / grid.mm_row - slope * grid.col0
    return Framing(grid, np.stack([offset, slope], 1), float(left), float(right))


def expose(anatomy: Anatomy, person: People, grid: Grid, style: Style, rng: np.random.Generator) -> Float32:
    """Scan and display: the grey picture without any overlay.

    Returns
    -------
    float32 (rows, cols) in [0, 255].
    """
    bmi = float(person.weight_kg[0] / (person.height_cm[0] / 100) ** 2)
    thick = float(np.clip((bmi / 26) ** 1.2, 0.6, 2.2))
    scan = anatomy.bone + anatomy.added
    inside: Bool = np.asarray(anatomy.masks.any(axis=0))
    scan = np.asarray(scan + person.baseline[0] * inside, dtype=np.float32)
    if style == "idxa":
        return _display_idxa(_blur(scan, grid, 0.35, 0.35), inside, grid, thick, rng)
    psf = rng.uniform(0.6, 1.1)
    scan = _blur(scan, grid, psf * rng.uniform(1.1, 1.5), psf * rng.uniform(1.0, 1.4))
    scan += _soft_tissue(grid, thick, rng)
    scan += _quantum_noise(grid, thick, rng)
    return _window_frame(_window(scan, inside, rng), rng)


def _blur(image: Float32, grid: Grid, mm_y: float, mm_x: float) -> Float32:
    blurred = cv2.GaussianBlur(image, (0, 0), sigmaX=mm_x / grid.mm_col, sigmaY=mm_y / grid.mm_row)
    return np.asarray(blurred, dtype=np.float32)


def _field(grid: Grid, mm_y: float, mm_x: float, rng: np.random.Generator) -> Float32:
    # Unit variance, drawn coarsely where it is smooth.
    step = max(1, int(min(mm_y / grid.mm_row, mm_x / grid.mm_col) / 2))
    shape = (-(-grid.rows // step), -(-grid.cols // step))
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = cv2.GaussianBlur(
        noise,
        (0, 0),
        sigmaX=max(mm_x / grid.mm_col / step, 0.25),
        sigmaY=max(mm_y / grid.mm_row / step, 0.25),
    )
    if step > 1:
        noise = cv2.resize(noise, (grid.cols, grid.rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise / noise.std(), dtype=np.float32)


def _soft_tissue(grid: Grid, thick: float, rng: np.random.Generator) -> Float32:
    # What is left of soft tissue after the baseline is taken off: haze of liver and lung above, lean beside
    # the spine and fat further out, patches of bowel.
    x = ((np.arange(grid.cols) - grid.col0) * grid.mm_col).astype(np.float32)[None, :]
    y = ((np.arange(grid.rows) - grid.row0) * grid.mm_row).astype(np.float32)[:, None]
    above = np.clip((-y - rng.normal(45, 14)) / 30, 0, 1) * rng.uniform(0.0, 0.25)
    wide = np.clip((np.abs(x) - 22) / 45, -0.2, 1) * rng.normal(0.04, 0.06)
    tilt = x / 70 * rng.normal(0, 0.03)
    patches = rng.uniform(0.02, 0.055) * _field(grid, 9, 8, rng) + rng.uniform(0.03, 0.06) * _field(grid, 1.9, 1.9, rng)
    return np.asarray(above + wide + tilt + patches * thick**0.5, dtype=np.float32)


def _quantum_noise(grid: Grid, thick: float, rng: np.random.Generator) -> Float32:
    # Grain as the resampled display shows it, smoother along a line than across, stronger in thick people; and
    # the fan beam's line noise, strong in a few.
    level = 0.092 * thick**0.6 * float(np.exp(0.20 * rng.standard_normal()))
    sharp = rng.uniform(0.95, 1.3)
    grain = _field(grid, 0.85 * sharp * grid.mm_row, 1.35 * sharp * grid.mm_col, rng)
    lines = rng.exponential(0.10) if rng.random() < 0.9 else rng.uniform(0.4, 1.2)
    streaks = _field(grid, 0.4 * grid.mm_row, rng.uniform(2.5, 9), rng)
    return np.asarray(level * (grain + lines * streaks), dtype=np.float32)


def _window(scan: Float32, inside: Bool, rng: np.random.Generator) -> Float32:
    # The software sets the window partly by the patient's own bone, partly fixed; the operator moves it.
    bright = float(np.quantile(scan[inside], 0.98))
    high = bright ** rng.uniform(0.5, 1.0) * 1.3 ** rng.uniform(0.2, 0.7) * np.exp(rng.normal(0.11, 0.12))
    low = high * rng.normal(-0.09, 0.07)
    shown = np.clip((scan - low) / (high - low), 0, 1) ** np.exp(rng.normal(0.0, 0.10))
    return np.asarray(255 * shown, dtype=np.float32)


def _window_frame(grey: Float32, rng: np.random.Generator) -> Float32:
    # A cut screen often keeps a line of the window's white frame along an edge.
    for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]):
        if rng.random() < 0.22:
            edge[:] = np.maximum(edge, rng.uniform(140, 255))
    return grey


def _display_idxa(scan: Float32, inside: Bool, grid: Grid, thick: float, rng: np.random.Generator) -> Float32:
    # Sharp, black outside, bright rims; unscanned steps at the margins stay white.
    scan = scan + np.float32(0.03 * thick) * _field(grid, 0.3, 0.35, rng) + 0.04 * _field(grid, 7, 7, rng)
    bright = float(np.quantile(scan[inside], 0.995))
    low = bright * rng.uniform(0.0, 0.14)
    grey = 255 * np.clip((scan - low) / (bright * rng.uniform(0.9, 1.1) - low), 0, 1) ** rng.uniform(0.75, 1.05)
    if rng.random() < 0.6:
        for flip in (False, True):
            row, edge = 0, int(rng.integers(8, 50))
            while row < grid.rows * rng.uniform(0.6, 1.0):
                deep = int(rng.integers(60, 190))
                part = grey[row : row + deep, ::-1] if flip else grey[row : row + deep]
                part[:, : max(edge, 0)] = 253
                row, edge = row + deep, edge + int(rng.integers(-22, 14))
    return np.asarray(grey, dtype=np.float32)


# How Hologic's software draws the ROI: pale yellow, one screen pixel wide, before the picture was resized.
YELLOW = (250, 252, 150)


@cache
def _glyphs(text: str, size: int) -> UInt8:
    font = ImageFont.load_default(size)
    box = font.getbbox(text)
    image = Image.new("L", (int(box[2]) + 4, int(box[3]) + 4), 0)
    ImageDraw.Draw(image).text((2, 1), text, fill=255, font=font, stroke_width=1)
    return np.asarray(image)


def overlay_of(framing: Framing, masks: Bool, rng: np.random.Generator) -> tuple[Float32, Float32]:
    """The burned-in ROI as two layers for `burn`.

    Parameters
    ----------
    framing
        Where the box and separators lie.
    masks
        bool (4, rows, cols): the bone whose outline is drawn, with a reader's small errors.

    Returns
    -------
    yellow, black
        float32 (rows, cols) in [0, 1]: how much of each colour covers a pixel.
    """
    zoom = 2
    rows, cols = masks.shape[1:]
    canvas = np.zeros((rows * zoom, cols * zoom), np.uint8)
    black = np.zeros_like(canvas)

    def point(row: float, col: float) -> tuple[int, int]:
        return round((col + 0.5) * zoom - 0.5), round((row + 0.5) * zoom - 0.5)

    boxes = list(framing.polygons().values())
    for top_left, top_right, bottom_right, bottom_left in boxes:
        cv2.line(canvas, point(*top_left), point(*top_right), 255, 1)
        cv2.line(canvas, point(*bottom_left), point(*bottom_right), 255, 1)
        cv2.line(canvas, point(*top_left), point(*bottom_left), 255, 1)
        cv2.line(canvas, point(*top_right), point(*bottom_right), 255, 1)
    for contour in cv2.findContours(_traced(masks, framing, zoom, rng), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        cv2.polylines(canvas, [contour], True, 255, 1)
    canvas = cv2.dilate(canvas, np.ones((2, 2), np.uint8))
    for name, box in zip(LEVEL_NAMES, boxes, strict=True):
        glyphs = _glyphs(name, 8 * zoom)
        c, r = point(float(box[0, 0]) + 3, float(box[0, 1]) + 3)
        # A box may leave the picture, and its name with it.
        r, c = max(r, 0), max(c, 0)
        part = canvas[r : r + glyphs.shape[0], c : c + glyphs.shape[1]]
        black[r : r + glyphs.shape[0], c : c + glyphs.shape[1]] = 255
        np.maximum(part, glyphs[: part.shape[0], : part.shape[1]], out=part)
    layers = [cv2.resize(layer, (cols, rows), interpolation=cv2.INTER_AREA) for layer in (canvas, black)]
    yellow, dark = (np.asarray(layer, np.float32) / np.float32(255) for layer in layers)
    return np.asarray(yellow * rng.uniform(0.75, 0.95), np.float32), np.asarray(dark, np.float32)


def _traced(masks: Bool, framing: Framing, zoom: int, rng: np.random.Generator) -> UInt8:
    # The software's bone edge wanders by a pixel or so, with now and then a spur along the separators.
    rows, cols = masks.shape[1:]
    field = cv2.GaussianBlur(masks.any(axis=0).astype(np.float32), (0, 0), 0.9)
    wobble = cv2.GaussianBlur(rng.standard_normal((rows, cols), dtype=np.float32), (0, 0), 1.7)
    field = field + np.float32(rng.uniform(0.08, 0.30)) * wobble / wobble.std()
    r, c = np.arange(rows)[:, None], np.arange(cols)[None, :]
    (top, top_slope), (bottom, bottom_slope) = framing.lines[0], framing.lines[-1]
    field = np.where((r >= top + top_slope * c) & (r <= bottom + bottom_slope * c), field, 0)
    field = cv2.resize(field.astype(np.float32), (cols * zoom, rows * zoom), interpolation=cv2.INTER_LINEAR)
    whole, labels, stats, _ = cv2.connectedComponentsWithStats((field > 0.5).astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if whole > 1 else 0
    return np.asarray(labels == largest, dtype=np.uint8)


def burn(grey: Float32, yellow: Float32, black: Float32) -> UInt8:
    """Lay the ROI's layers over a grey picture: uint8 (rows, cols, 3) RGB."""
    shown = (grey * (1 - black))[..., None]
    colour = np.array(YELLOW, np.float32)
    return np.rint(shown * (1 - yellow[..., None]) + colour * yellow[..., None]).astype(np.uint8)
