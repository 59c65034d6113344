"""How high the levels are, how they compare, and how far the spine leans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spinecare.scan import Level

Float64 = npt.NDArray[np.float64]


def lengths_and_tilt(levels: tuple[Level, ...], spacing_mm: tuple[float, float] | None = None) -> dict[str, float]:
    """Heights of the levels, ratios between neighbours, and the tilt of the spine.

    Parameters
    ----------
    levels
        From above to below, polygons in scan pixels.
    spacing_mm
        (row, col) distance between pixel centres. Without it heights are in scan pixels alone, and
        ratios and tilt assume square pixels.

    Returns
    -------
    `height_<level>_px` and, with spacing, `height_<level>_mm`: from the middle of the upper edge to the
    middle of the lower; `height_ratio_<upper>_<lower>`: one level's height divided by the next one's;
    `height_l1_l4_px` (`_mm`): their sum; `tilt_deg`: angle of the line through the levels' middles from
    the picture's vertical, above 0 when it runs to the right of the picture going down.
    """
    if not levels:
        return {}
    found = _heights(levels, np.ones(2), "px")
    scale = np.ones(2) if spacing_mm is None else np.asarray(spacing_mm, dtype=np.float64)
    true = found if spacing_mm is None else _heights(levels, scale, "mm")
    unit = "px" if spacing_mm is None else "mm"
    names = [level.name.lower() for level in levels]
    for upper, lower in pairwise(names):
        below = true[f"height_{lower}_{unit}"]
        if below > 0:
            found[f"height_ratio_{upper}_{lower}"] = true[f"height_{upper}_{unit}"] / below
    if len(levels) > 1:
        found["tilt_deg"] = _tilt(levels, scale)
    return found | true


def _heights(levels: tuple[Level, ...], scale: Float64, unit: str) -> dict[str, float]:
    heights = {level.name.lower(): float(np.linalg.norm(_axis(level) * scale)) for level in levels}
    found = {f"height_{name}_{unit}": height for name, height in heights.items()}
    found[f"height_{levels[0].name.lower()}_{levels[-1].name.lower()}_{unit}"] = sum(heights.values())
    return found


def _axis(level: Level) -> Float64:
    # From the middle of the two upper corners to the middle of the two lower ones.
    corners = np.asarray(level.polygon, dtype=np.float64)
    corners = corners[np.argsort(corners[:, 0], kind="stable")]
    axis: Float64 = corners[-2:].mean(axis=0) - corners[:2].mean(axis=0)
    return axis


def _tilt(levels: tuple[Level, ...], scale: Float64) -> float:
    middles = np.stack([np.asarray(level.polygon, dtype=np.float64).mean(axis=0) for level in levels]) * scale
    middles -= middles.mean(axis=0)
    # The first principal axis: least squares across the line, so that a lean costs no bias.
    row, col = np.linalg.svd(middles, full_matrices=False)[2][0]
    return float(np.degrees(np.arctan2(col * np.sign(row), abs(row))))
