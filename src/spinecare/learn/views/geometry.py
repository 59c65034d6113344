"""The operator's drawing as numbers: where it lies, how large it is, where its lines run.

A shortcut, not the patient: operators draw by habit, and a model that sees a drawing, or a crop that follows it, may
read the habit. A member must beat what these numbers alone can tell (DESIGN 5.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spinecare.errors import TrainingError
from spinecare.prepare.overlay import read_overlay
from spinecare.scan import Float32, Level, Scan

if TYPE_CHECKING:
    from spinecare.learn.material import Material

NAMES: tuple[str, ...] = (
    "picture_log_rows", "picture_log_cols", "drawing_share",
    "has_box", "box_top", "box_bottom", "box_left", "box_right", "box_log_aspect",
    "tilt_top", "tilt_bottom", "slant", "height_l1", "height_l2", "height_l3", "height_l4",
    "has_outline", "outline_l1", "outline_l2", "outline_l3", "outline_l4",
)  # fmt: skip


def geometry(material: Material) -> Float32:
    """The view: float32 (n, 1 + copies, 21), the numbers of `NAMES`; every copy has those of its scan.

    Raises
    ------
    TrainingError
        When the material's rows name no files.
    ScanError
        When a file is gone or can't be read any more.
    """
    from spinecare.io.read import read_scan

    if "file" not in material.pictures.rows:
        raise TrainingError("The view geometry reads the scans' files, and these rows name none. Leave it out.")
    found = np.stack([drawing(read_scan(str(file))) for file in material.pictures.rows["file"]])
    return np.repeat(found[:, None], 1 + material.copies, axis=1)


def drawing(scan: Scan) -> Float32:
    """The numbers of `NAMES` of one scan, float32 (21,); 0 for what its drawing does not have.

    Places are shares of the picture's sides, heights shares of the box's height, outlines shares of their level's box,
    tilts and slant in rows (columns) for each column (row).
    """
    overlay = read_overlay(scan)
    rows, cols = scan.pixels.shape
    told = {"picture_log_rows": np.log(rows), "picture_log_cols": np.log(cols), "drawing_share": overlay.mask.mean()}
    if overlay.levels:
        told |= _box(overlay.levels, rows, cols)
    if overlay.levels and overlay.bone_outline is not None:
        told["has_outline"] = 1.0
        told |= {
            f"outline_{level.name.lower()}": _inside(overlay.bone_outline, level.polygon) for level in overlay.levels
        }
    return np.array([told.get(name, 0.0) for name in NAMES], dtype=np.float32)


def _box(levels: tuple[Level, ...], rows: int, cols: int) -> dict[str, float]:
    corners = np.stack([level.polygon for level in levels]).astype(np.float64)  # (level, corner, row and col)
    (top_left, top_right), (bottom_right, bottom_left) = corners[0, :2], corners[-1, 2:]
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    middle = 0.5 * (top_left + top_right), 0.5 * (bottom_left + bottom_right)
    height = max(float(middle[1][0] - middle[0][0]), 1.0)
    width = max(float(top_right[1] - top_left[1]), 1.0)
    told = {
        "has_box": 1.0,
        "box_top": low[0] / rows,
        "box_bottom": high[0] / rows,
        "box_left": low[1] / cols,
        "box_right": high[1] / cols,
        "box_log_aspect": np.log(height / width),
        "tilt_top": (top_right[0] - top_left[0]) / width,
        "tilt_bottom": (bottom_right[0] - bottom_left[0]) / max(float(bottom_right[1] - bottom_left[1]), 1.0),
        "slant": float(middle[1][1] - middle[0][1]) / height,
    }
    return told | {f"height_{one.name.lower()}": (one.bottom_row - one.top_row) / height for one in levels}


def _inside(outline: np.ndarray, polygon: Float32) -> float:
    """Share of a level's box that lies within the bone outline."""
    import cv2

    box = np.zeros(outline.shape, dtype=np.uint8)
    cv2.fillPoly(box, [np.rint(polygon[:, ::-1]).astype(np.int32)], 1)
    return float(outline[box > 0].mean()) if box.any() else 0.0
