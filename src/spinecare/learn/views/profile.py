"""Mean grey along the spine and across it: what a physicist would measure with a ruler.

On raw crops, whose regions lie at fixed shares (see `measure.texture.regions`). Levels are of different heights, so a
quarter of the crop is a level's place within a few rows, and endplates are looked for around each border.
"""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np

from spinecare.measure.texture.regions import LEVELS, Float64, checked, level_cores, soft_tissue, spine_band
from spinecare.scan import LEVEL_NAMES, Float32

# Where a window has cut soft tissue to black there is no noise to divide by: least noise, one step of 8 bits.
LEAST_NOISE = 1.0 / 255.0
# Points of a profile along the crop's height, and across its width.
ALONG, ALONG_SOFT, ACROSS = 48, 12, 24
_OF_LEVEL = ("grey", "above_soft", "contrast", "contrast_to_noise", "steps_left_right", "waist")
_OF_DISC = ("step_above", "step_below", "dip", "narrowness")
_OF_ALL = ("grey", "soft", "above_soft", "contrast", "noise_bone", "noise_soft", "contrast_to_noise", "slope",
           "disc_dip", "endplate_step")  # fmt: skip
NAMES = (
    *(f"along_{i}" for i in range(ALONG)),
    *(f"along_soft_{i}" for i in range(ALONG_SOFT)),
    *(f"across_{level.lower()}_{i}" for level in LEVEL_NAMES for i in range(ACROSS)),
    *(f"{level.lower()}_{name}" for level in LEVEL_NAMES for name in _OF_LEVEL),
    *(f"disc_{a.lower()}_{b.lower()}_{name}" for a, b in pairwise(LEVEL_NAMES) for name in _OF_DISC),
    *_OF_ALL,
)  # fmt: skip


def profile(pixels: Float32) -> Float32:
    """Profiles of each raw crop (m, height, width), float32 (m, 202), as `NAMES`.

    `along_*`: the spine band's mean grey in 48 stretches from top to bottom; `along_soft_*`: soft tissue's, in 12;
    `across_<level>_*`: each level's mean grey in 24 stretches from left to right.

    Of each level: `grey` of its core; the same `above_soft` tissue; Michelson `contrast` with it; `contrast_to_noise`,
    of a noise of at least one step of 8 bits; `steps_left_right`: mean of the steepest rise and fall of grey a pixel at
    its sides (cortex and blur); `waist`: share of the crop's width that lies above the middle of bone and soft tissue.
    Of each disc: the steepest fall and rise of grey a pixel around it (`step_above`, `step_below`: the endplates), how
    far it dips below the levels beside it (`dip`), and that divided by the height over which it does (`narrowness`).
    Of all: bone, soft tissue, contrast as above; `noise_*` as of Immerkaer (1996); `slope` from L1 to L4, grey a level;
    means over the discs.

    Raises
    ------
    AssessmentError
        For crops that are too small or not finite.
    """
    rows = [_one(checked(raw)) for raw in pixels]
    return np.array(rows, dtype=np.float32).reshape(len(pixels), len(NAMES))


def noise(region: Float32) -> float:
    """Standard deviation of the noise, in the grey of `region` (rows, cols).

    Immerkaer J. Fast noise variance estimation. Comput Vis Image Underst 1996;64:300-302. doi:10.1006/cviu.1996.0060.
    Exact for white noise on a plane; noise that the crop's resizing has blurred comes out smaller than it was.
    """
    mask = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]], dtype=np.float32)
    answer = cv2.filter2D(np.ascontiguousarray(region), cv2.CV_32F, mask)[1:-1, 1:-1]
    return float(np.abs(answer).mean(dtype=np.float64)) * math.sqrt(0.5 * math.pi) / 6.0


def _one(raw: Float32) -> Float64:
    band, cores, sides = spine_band(raw.shape), level_cores(raw.shape), soft_tissue(raw)
    along = band.of(raw).mean(axis=1, dtype=np.float64)
    beside = sides.mean(axis=1, dtype=np.float64)
    across = [raw[c.top : c.bottom].mean(axis=0, dtype=np.float64) for c in cores]
    bone_noise, soft_noise = noise(band.of(raw)), noise(sides)
    divisor = max(soft_noise, LEAST_NOISE)
    levels = np.stack(
        [
            _level(along[c.top : c.bottom].mean(), beside[c.top : c.bottom].mean(), a, divisor)
            for c, a in zip(cores, across, strict=True)
        ]
    )
    discs = np.stack([_disc(along, i) for i in range(1, LEVELS)])
    bone, soft = levels[:, 0].mean(), float(beside.mean())
    place = np.arange(LEVELS) - 0.5 * (LEVELS - 1)
    return np.concatenate(
        [
            _in_stretches(along, ALONG),
            _in_stretches(beside, ALONG_SOFT),
            *(_in_stretches(a, ACROSS) for a in across),
            levels.ravel(),
            discs.ravel(),
            [
                bone,
                soft,
                bone - soft,
                _ratio(bone - soft, bone + soft),
                bone_noise,
                soft_noise,
                (bone - soft) / divisor,
                float(place @ levels[:, 0] / (place @ place)),
                discs[:, 2].mean(),
                discs[:, :2].mean(),
            ],
        ]
    )


def _level(bone: float, soft: float, across: Float64, divisor: float) -> Float64:
    slope = np.gradient(_smooth(across))
    half = len(across) // 2
    return np.array(
        [
            bone,
            bone - soft,
            _ratio(bone - soft, bone + soft),
            (bone - soft) / divisor,
            0.5 * (slope[:half].max() - slope[half:].min()),
            float(np.mean(across > 0.5 * (bone + soft))),
        ]
    )


def _disc(along: Float64, border: int) -> Float64:
    """One disc, looked for a quarter of a level to either side of the border between two quarters."""
    quarter = len(along) // LEVELS
    middle, reach = border * quarter, quarter // 4
    near = _smooth(along)[middle - reach : middle + reach]
    slope = np.gradient(near)
    beside = 0.5 * (
        along[middle - 3 * reach : middle - reach].mean() + along[middle + reach : middle + 3 * reach].mean()
    )
    lowest = int(near.argmin())
    dip = beside - near[lowest]
    below_half = int(np.count_nonzero(near < beside - 0.5 * dip)) if dip > 0 else len(near)
    return np.array([-slope[: lowest + 1].min(), slope[lowest:].max(), dip, dip / max(below_half, 1)])


def _smooth(profile: Float64) -> Float64:
    return np.convolve(np.pad(profile, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")


def _in_stretches(profile: Float64, n: int) -> Float64:
    """Means of n stretches of equal length (shares of pixels counted as such)."""
    total = np.concatenate([[0.0], np.cumsum(profile)])
    at = np.linspace(0.0, len(profile), n + 1)
    return np.diff(np.interp(at, np.arange(len(total)), total)) * (n / len(profile))


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 1e-6 else 0.0
