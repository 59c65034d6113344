"""How bright each level is beside its soft tissue: what a grey picture can still say of density.

These are grey levels, not bone mineral density: a screen picture has lost the scale.
"""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.prepare.crop import SPINE_WIDTHS
from spinecare.scan import Bool, Float32, Level, Prepared

# Soft tissue is looked for from this far outside the vertebra, in widths of it: closer in lie the
# transverse processes and the blur of the edge.
_GAP_WIDTHS = 0.15
# A box this much wider than the spine is an operator's, which takes soft tissue in on both sides.
_WIDE = 1.25
_LEAST_PIXELS = 50


def grey_by_level(prepared: Prepared) -> dict[str, float]:
    """Mean grey, and its excess over the soft tissue beside it, for each level and for L1-L4 together.

    Returns
    -------
    For each level (and `l1_l4`, the plain mean of those levels that could be measured):
    `grey_<level>_of_white` mean grey of the vertebra in the raw crop, 0 black to 1 white;
    `grey_above_soft_<level>_of_white` the same less the mean of the soft tissue in its rows;
    `contrast_<level>_ratio` their difference divided by their sum (Michelson);
    `contrast_to_noise_<level>_ratio` their difference divided by the soft tissue's standard deviation.
    """
    valid = _valid_in_crop(prepared)
    by_level = {level.name.lower(): _one(prepared, level, valid) for level in prepared.levels}
    found = {f"{what}_{name}_{unit}": v for name, one in by_level.items() for (what, unit), v in one.items()}
    for what, unit in dict.fromkeys(key for one in by_level.values() for key in one):
        values = [one[what, unit] for one in by_level.values() if (what, unit) in one]
        found[f"{what}_l1_l4_{unit}"] = float(np.mean(values))
    return found


def _one(prepared: Prepared, level: Level, valid: Bool) -> dict[tuple[str, str], float]:
    raw = prepared.raw
    corners = _narrowed(prepared.mapping.to_image(level.polygon), raw.shape[1])
    inside = _filled(corners, raw.shape) & valid
    if inside.sum() < _LEAST_PIXELS:
        return {}
    bone = float(raw[inside].mean())
    found = {("grey", "of_white"): bone}
    soft = raw[_beside(corners, raw.shape) & valid]
    if soft.size < _LEAST_PIXELS:
        return found
    tissue, noise = float(soft.mean()), float(soft.std())
    found["grey_above_soft", "of_white"] = bone - tissue
    if bone + tissue > 0:
        found["contrast", "ratio"] = (bone - tissue) / (bone + tissue)
    if noise > 0:
        found["contrast_to_noise", "ratio"] = (bone - tissue) / noise
    return found


def _narrowed(corners: Float32, crop_width: int) -> Float32:
    # The crop is centred on the spine and a known number of spine widths wide. Of an operator's wide box
    # the spine's width in the middle is kept; on a curved spine that is nearly, not exactly, the bone.
    spine = crop_width / SPINE_WIDTHS
    if np.ptp(corners[:, 1]) <= _WIDE * spine:
        return corners
    middle = 0.5 * (crop_width - 1)
    sides = np.clip(corners[:, 1], middle - 0.5 * spine, middle + 0.5 * spine)
    return np.stack([corners[:, 0], sides], axis=1).astype(np.float32)


def _filled(corners: Float32, shape: tuple[int, ...]) -> Bool:
    mask = np.zeros(shape, dtype=np.uint8)
    # OpenCV wants (column, row).
    cv2.fillPoly(mask, [np.rint(corners[:, ::-1]).astype(np.int32)], 1)
    return mask.astype(bool)


def _beside(corners: Float32, shape: tuple[int, ...]) -> Bool:
    (top, left), (bottom, right) = corners.min(axis=0), corners.max(axis=0)
    gap = _GAP_WIDTHS * (right - left)
    rows, cols = np.arange(shape[0]), np.arange(shape[1])
    in_rows = (rows >= top) & (rows <= bottom)
    outside = (cols < left - gap) | (cols > right + gap)
    beside: Bool = in_rows[:, np.newaxis] & outside[np.newaxis, :]
    return beside


def _valid_in_crop(prepared: Prepared) -> Bool:
    shape = prepared.raw.shape
    if prepared.valid.all():
        return np.ones(shape, dtype=bool)
    # OpenCV's affine maps are in (column, row): swap both axes of the 2 x 2 part, and the shift.
    in_xy = prepared.mapping.matrix[::-1][:, [1, 0, 2]]
    mask = cv2.warpAffine(prepared.valid.astype(np.uint8), in_xy, shape[::-1], flags=cv2.INTER_NEAREST)
    return np.asarray(mask, dtype=np.uint8).astype(bool)
