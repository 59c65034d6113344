"""From a densitometer's map to the picture a clinic exports: field of view, grey window, screen, resampling.

Where the ROI lies, grey levels, grain and sharpness follow real Hologic screen crops (64 of them, the even scan
groups of `spine_dxa`), never anybody's diagnosis. The burned-in ROI is drawn in `roi_overlay`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from spinecare.phantom.maps import PIXEL_MM, BmdMap, Float, Plane, Projection
from spinecare.phantom.population import People
from spinecare.scan import LEVEL_NAMES, Bool, Float32

Style = Literal["hologic", "idxa"]
STYLES: tuple[Style, ...] = get_args(Style)

HOLOGIC_SIZE = 224
# The screen's pixels against the export's, rows and columns: a line one screen pixel thin covers so much of one in
# the real exports (nine in ten within 0.02).
SCREEN_PIXEL, SCREEN_PIXEL_SD = (0.565, 0.892), 0.012
IDXA_SHAPE = (780, 716)
IDXA_MM = 0.25

# A spine scan's field: 180 mm hold the iDXA picture's 179; 252 mm the tallest crop of a screen, wherever it lies.
FIELD_MM = (252.0, 180.0)

# In the real crops L1-L4 is 143.9 pixels high (SD 11.6) and the outlined bone 72.3 wide (5.8); a virtual spine of the
# usual size, these many mm, comes out so.
USUAL_HEIGHT_MM, USUAL_HEIGHT = 132.0, 143.0
USUAL_WIDTH_MM, USUAL_WIDTH = 43.4, 73.5
# A screen shows the BMD map with the low-energy picture under it: so much of the latter (a logarithm) for one g/cm2.
# With it three things come out as in the real crops: the soft tissue's spread (0.15 of the bone's contrast where
# nothing is clipped), how much brighter it is above L1 (0.16), and nearer to the spine (0.06).
LOW_SHARE = 0.5, 0.2
MOST_UNEVEN = 0.20
# Detail finer than this is taken from both; what is left of the usual grain beside the spine (a share of the bone's
# contrast), and by which power more or less than usual is evened.
FINE_MM, USUAL_GRAIN, CALM, EVENED = 3.5, 0.09, 0.50, 0.6
# The screen sharpens: of what a blur of so many mm (down, across) takes away, how much is added.
SHARPEN_MM, SHARPEN = (0.50, 0.42), (1.5, 3.0)
# The 95th percentile of bone above soft tissue in usual people, in those units.
USUAL_BRIGHT = 1.75
# The crop follows the person's size in part only: operators crop tall spines wider.
SIZE_SHOWN = 0.6


@dataclass(frozen=True, eq=False)
class Framing:
    """Which part of the scan the picture shows, and where the operator's ROI lies.

    rows, cols
        Of the exported picture.
    screen
        (rows, cols) that the screen showed the same field with; the export is resized from that.
    to_plane
        float64 (2, 3): (row, col) on the plane = to_plane[:, :2] @ (row, col) in the picture + to_plane[:, 2].
    spacing_mm
        (row, col) of the picture's pixels; they are square for "idxa" only.
    lines
        float64 (5, 2): the operator's separators as row = a + b * col in picture pixels.
    left, right
        The ROI box's columns.
    """

    rows: int
    cols: int
    screen: tuple[int, int]
    to_plane: Float
    spacing_mm: tuple[float, float]
    lines: Float
    left: float
    right: float

    def polygons(self) -> dict[str, Float32]:
        """Each level's box, (4, 2) (row, col): top left, top right, bottom right, bottom left."""
        ends = self.lines[:, :1] + self.lines[:, 1:] * np.array([self.left, self.right])
        return {
            name: np.array(
                [
                    (ends[i, 0], self.left),
                    (ends[i, 1], self.right),
                    (ends[i + 1, 1], self.right),
                    (ends[i + 1, 0], self.left),
                ],
                np.float32,
            )
            for i, name in enumerate(LEVEL_NAMES)
        }

    def warp(self, image: Float32, *, screen: bool = False, cubic: bool = False) -> Float32:
        """A map of the plane (rows, cols) in the picture's pixels, or the screen's; outside, its border goes on."""
        shape = self.screen if screen else (self.rows, self.cols)
        step = np.array([self.rows, self.cols]) / shape
        matrix = self.to_plane[:, :2] * step
        offset = self.to_plane[:, :2] @ (0.5 * step - 0.5) + self.to_plane[:, 2]
        # OpenCV counts (x, y) where we count (row, col).
        in_xy = np.array([[matrix[1, 1], matrix[1, 0], offset[1]], [matrix[0, 1], matrix[0, 0], offset[0]]])
        shown = cv2.warpAffine(
            np.asarray(image, np.float32),
            in_xy,
            shape[::-1],
            flags=(cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(shown, dtype=np.float32)

    def warp_mask(self, mask: Bool, *, screen: bool = False) -> Bool:
        """A mask of the plane in the picture's pixels, or the screen's: those at least half covered."""
        return np.asarray(self.warp(mask.astype(np.float32), screen=screen) >= 0.5, dtype=np.bool_)

    def to_picture(self, points: Float) -> Float:
        """(n, 2) (row, col) on the plane to (n, 2) (row, col) in the picture."""
        shifted = np.asarray(points, np.float64) - self.to_plane[:, 2]
        return np.asarray(np.linalg.solve(self.to_plane[:, :2], shifted.T).T, dtype=np.float64)


def scan_plane(person: People, style: Style = "hologic") -> Plane:
    """The plane that is scanned: the same for every person and style, so that any display fits in."""
    rows, cols = (round(mm / PIXEL_MM) for mm in FIELD_MM)
    # L1-L4 lie a little above the middle of the field: below are L5 and the sacrum, above the ribs.
    return Plane(rows, cols, PIXEL_MM, (rows - 1) / 2, (cols - 1) / 2)


def display(
    bmd_map: BmdMap, projection: Projection, plane: Plane, person: People, style: Style, rng: np.random.Generator
) -> tuple[Float32, Framing]:
    """Frame a scan and show it in grey, without the operator's drawing.

    Parameters
    ----------
    bmd_map, projection
        Of one person on one `plane`.
    style
        "hologic": 224 x 224, aspect lost. "idxa": 780 x 716 at 0.25 mm.

    Returns
    -------
    picture
        float32 (rows, cols), grey in [0, 255]. For "hologic" on the screen's pixels (`framing.screen`):
        `roi_overlay.burn` makes the export of it. For "idxa" it is the export.
    framing
        What the picture shows.
    """
    framing = frame(projection, plane, style, rng)
    if style == "idxa":
        return _show_idxa(bmd_map, projection, framing, rng), framing
    return _show_hologic(bmd_map, projection, plane, framing, rng), framing


def frame(projection: Projection, plane: Plane, style: Style, rng: np.random.Generator) -> Framing:
    """Choose the field of view and place the ROI box, as operators do."""
    bone = projection.masks.any(axis=0)
    per_row = bone.sum(axis=1)
    rows = np.flatnonzero(per_row)
    width_mm = float(np.median(per_row[rows])) * plane.mm
    middle_x = float(np.average(plane.x, weights=bone.sum(axis=0)))
    lines = _operators_lines(projection.separators, middle_x, rng)
    at_middle = lines[:, 0] + lines[:, 1] * middle_x
    top_mm, height_mm = float(at_middle[0]), float(at_middle[-1] - at_middle[0])
    if style == "idxa":
        (n_rows, n_cols), mm_row, mm_col = IDXA_SHAPE, IDXA_MM, IDXA_MM
        height = height_mm / mm_row
        row_middle = float(np.clip(n_rows / 2 + rng.normal(-35, 25), height / 2 + 12, n_rows - height / 2 - 12))
        col_middle = n_cols / 2 + rng.normal(0, 15)
        half = np.full(2, 60.0 / mm_col)
        screen = (n_rows, n_cols)
    else:
        n_rows = n_cols = HOLOGIC_SIZE
        height = USUAL_HEIGHT * (height_mm / USUAL_HEIGHT_MM) ** SIZE_SHOWN * np.exp(rng.normal(0, 0.068))
        width = USUAL_WIDTH * (width_mm / USUAL_WIDTH_MM) ** SIZE_SHOWN * np.exp(rng.normal(0, 0.055))
        height, width = float(np.clip(height, 118, 186)), float(np.clip(width, 60, 92))
        mm_row = min(height_mm / height, plane.mm * plane.rows / HOLOGIC_SIZE)
        mm_col = min(width_mm / width, plane.mm * plane.cols / HOLOGIC_SIZE)
        height, width = height_mm / mm_row, width_mm / mm_col
        row_middle = float(np.clip(rng.normal(112, 14.6), height / 2 + 2, n_rows - height / 2 - 4))
        col_middle = float(np.clip(rng.normal(114, 4.8), 102, 138))
        # Boxes are as wide as the software proposes (about 2.7 spines), or narrower; never much wider.
        across = np.flatnonzero(bone.any(axis=0))[[0, -1]]
        reach = np.abs(plane.x[across] - middle_x) / mm_col
        half = np.maximum(105.5 - rng.gamma(1.6, 8.0) + rng.normal(0, 2.0, 2), reach + 0.08 * width)
        pixel = rng.normal(SCREEN_PIXEL, SCREEN_PIXEL_SD)
        screen = round(n_rows / pixel[0]), round(n_cols / pixel[1])
    # Nobody can show what was not scanned: the crop moves until it lies on the plane.
    step_row, step_col = mm_row / plane.mm, mm_col / plane.mm
    at_row, at_col = plane.row0 + (top_mm + height_mm / 2) / plane.mm, plane.col0 + middle_x / plane.mm
    row_middle = _inside(row_middle, at_row, step_row, n_rows, plane.rows)
    col_middle = _inside(col_middle, at_col, step_col, n_cols, plane.cols)
    to_plane = np.array([[step_row, 0, at_row - row_middle * step_row], [0, step_col, at_col - col_middle * step_col]])
    slope = lines[:, 1] * mm_col / mm_row
    offset = row_middle + (at_middle - top_mm - height_mm / 2) / mm_row - slope * col_middle
    left, right = max(col_middle - half[0], 2.5), min(col_middle + half[1], n_cols - 3.5)
    ends = np.stack([offset, slope], axis=1)
    return Framing(n_rows, n_cols, screen, to_plane, (mm_row, mm_col), ends, float(left), float(right))


def _inside(middle: float, at: float, step: float, n: int, scanned: int) -> float:
    # The picture's pixel that shows the plane's pixel `at`, moved so that 0 ... n-1 fall on 0 ... scanned-1.
    return float(np.clip(middle, at / step - (scanned - 1) / step + n - 1, at / step))


def _operators_lines(separators: Float, middle_x: float, rng: np.random.Generator) -> Float:
    # An operator moves the software's lines by eye, and tilts them (in 6 of 100 real scans) only for a clear scoliosis.
    lines = np.asarray(separators, np.float64).copy()
    slopes_matter = np.abs(lines[:, 1]).max() > np.tan(np.radians(rng.uniform(6.0, 14.0)))
    middle = lines[:, 0] + lines[:, 1] * middle_x + rng.normal(0, 0.7, len(lines))
    lines[:, 1] = lines[:, 1] if slopes_matter else 0.0
    lines[:, 0] = middle - lines[:, 1] * middle_x
    return lines


def _show_hologic(
    bmd_map: BmdMap, projection: Projection, plane: Plane, framing: Framing, rng: np.random.Generator
) -> Float32:
    share = float(np.clip(rng.normal(*LOW_SHARE), 0.2, 1.6))
    # A screen's levels would not hold the slope of a very thick trunk: there less of it is shown.
    inside = np.asarray(projection.masks.any(axis=0), dtype=np.bool_)
    uneven = float(bmd_map.low[_beside(inside)].std())
    share *= min(1.0, MOST_UNEVEN / max(uneven * share, 1e-6))
    shown = _calmed(bmd_map, inside, plane) + np.float32(share) * bmd_map.low
    soft = cv2.GaussianBlur(shown, (0, 0), sigmaX=SHARPEN_MM[1] / plane.mm, sigmaY=SHARPEN_MM[0] / plane.mm)
    shown = shown + np.float32(rng.uniform(*SHARPEN)) * (shown - soft)
    bone = framing.warp_mask(inside, screen=True)
    return _window_frame(_window(framing.warp(np.asarray(shown, np.float32), screen=True, cubic=True), bone, rng), rng)


def _calmed(bmd_map: BmdMap, bone: Bool, plane: Plane) -> Float32:
    # The BMD map with less grain: decomposition multiplies noise, and the low-energy picture shows the same fine detail
    # without that, so part of what is fine is taken from there. Exports of big people are noisier, but by far not as
    # much as their quanta would have it.
    beside = _beside(bone)
    fine, contrast = [], []
    for image in (bmd_map.bmd, bmd_map.low):
        contrast.append(float(np.median(image[bone]) - np.median(image[beside])))
        fine.append(image - cv2.GaussianBlur(image, (0, 0), FINE_MM / plane.mm))
    grain = float(fine[0][beside].std()) / max(contrast[0], 1e-6)
    part = 1.0 - CALM * (USUAL_GRAIN / max(grain, 1e-6)) ** EVENED
    gain = np.float32(contrast[0] / max(contrast[1], 1e-6))
    return np.asarray(bmd_map.bmd + np.float32(np.clip(part, 0.0, 0.9)) * (gain * fine[1] - fine[0]), np.float32)


def _window(shown: Float32, bone: Bool, rng: np.random.Generator) -> Float32:
    """Map BMD to grey in [0, 255].

    Black is near no bone at all: in the real crops 0.41 (quartiles 0.22-0.69) of the soft tissue beside L1-L4 is black.
    White follows in part the patient's own bone: the 95th percentile of bone is at grey 0.80 (0.73-0.87).
    """
    tissue = shown[_beside(bone)]
    black = float(np.quantile(tissue, np.clip(rng.normal(0.47, 0.28), 0.03, 0.97))) if tissue.size else 0.0
    bright = float(np.percentile(shown[bone], 95)) - black
    white = black + bright**0.6 * USUAL_BRIGHT**0.4 / float(np.clip(rng.normal(0.80, 0.08), 0.5, 1.1))
    gamma = float(np.exp(rng.normal(-0.09, 0.09)))
    grey = np.clip((shown - black) / (white - black), 0, 1) ** gamma
    return np.asarray(255 * grey, dtype=np.float32)


def _beside(bone: Bool) -> Bool:
    # Soft tissue in the rows of L1-L4, three quarters of a spine's width from its middle.
    count = bone.sum(axis=1)
    rows = np.flatnonzero(count)
    out: Bool = np.zeros(bone.shape, np.bool_)
    cols = np.arange(bone.shape[1])
    middle = (bone[rows] * cols).sum(axis=1) / count[rows]
    out[rows] = np.abs(cols[None] - middle[:, None]) > 0.75 * np.median(count[rows])
    return out


# Grey of the window frame's white line where an export kept it, by edge (top, right, bottom, left): how often, and the
# usual values.
FRAME_LINES = (
    (0.61, (66, 94, 94, 100, 115, 216, 220)),
    (0.62, (139, 139, 139, 229, 244, 254)),
    (0.53, (70, 90, 165, 170, 180, 254)),
    (0.23, (230, 232, 254)),
)


def _window_frame(grey: Float32, rng: np.random.Generator) -> Float32:
    # A cut screen often keeps a line of the window's white frame along an edge. How the export's resize (a triangle as
    # wide as two of its pixels) weighs the screen's first two lines says how white they were.
    for turn, (share, values) in enumerate(FRAME_LINES):
        if rng.random() >= share:
            continue
        white = float(np.clip((rng.choice(values) + rng.normal(0, 3)) / 255, 0, 1))
        lines = np.rot90(grey, turn)  # a view: the edge in question is its first row
        pixel = len(lines) / HOLOGIC_SIZE
        weights = np.clip(1 - np.abs(np.arange(3) - (pixel - 1) / 2) / pixel, 0, None)
        weights /= weights.sum()
        first = min(white / weights[0], 1.0)
        second = min((white - first * weights[0]) / weights[1], 1.0)
        for line, blend in zip(lines, (first, second), strict=False):
            line += (255 - line) * np.float32(blend)
    return grey


def _show_idxa(bmd_map: BmdMap, projection: Projection, framing: Framing, rng: np.random.Generator) -> Float32:
    # Sharp, black outside, bright rims; unscanned steps at the margins stay white. This machine's detector is finer and
    # its dose higher than those the map was made with: most of what the map has lost of the bone as drawn is put back.
    drawn = cv2.GaussianBlur(projection.bone + projection.added, (0, 0), 0.45 / PIXEL_MM)
    shown = np.float32(0.65) * drawn + np.float32(0.35) * cv2.GaussianBlur(bmd_map.bmd, (0, 0), 0.8 / PIXEL_MM)
    shown = shown + np.float32(rng.uniform(0.4, 0.8)) * (shown - cv2.GaussianBlur(shown, (0, 0), 1.5 / PIXEL_MM))
    bright = float(np.percentile(shown[projection.masks.any(axis=0)], 99.5))
    low = bright * rng.uniform(0.0, 0.10)
    shown = framing.warp(np.asarray(shown, np.float32), cubic=True)
    grey = 255 * np.clip((shown - low) / (bright * rng.uniform(0.9, 1.1) - low), 0, 1) ** rng.uniform(0.75, 1.05)
    if rng.random() < 0.6:
        for flip in (False, True):
            row, edge = 0, int(rng.integers(8, 50))
            while row < framing.rows * rng.uniform(0.6, 1.0):
                deep = int(rng.integers(60, 190))
                part = grey[row : row + deep, ::-1] if flip else grey[row : row + deep]
                part[:, : max(edge, 0)] = 253
                row, edge = row + deep, edge + int(rng.integers(-22, 14))
    return np.asarray(grey, dtype=np.float32)
