"""Numbers that describe how a prepared crop looks: grey, grain, edges, shape. Each has a name one can argue about.

The crop has L1's top near its first row, L4's bottom near its last, and the spine in the middle half of its columns
(`prepare.crop`), so regions are shares of the crop. Everything is read from the raw crop: after overlay removal, before
denoising and normalising.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.prepare.crop import MARGIN, SPINE_WIDTHS
from spinecare.scan import Float32, Prepared

Float = npt.NDArray[np.float64]

THUMBNAIL = 14
# Grain is described in octaves: differences of Gaussians of these standard deviations, in crop pixels.
BANDS = (0.6, 1.2, 2.4, 4.8, 9.6)
LEVELS = 4
BLACK, WHITE = 2.5 / 255, 252.5 / 255


def features(prepared: Prepared) -> dict[str, float]:
    """Every number of one scan by its name. Grey in [0, 1]; lengths in shares of the spine's width or a level."""
    raw = np.asarray(prepared.raw, dtype=np.float32)
    u = _across(raw.shape[1])
    bone, soft = raw[:, np.abs(u) < 0.7], np.concatenate([raw[:, u < -1.4], raw[:, u > 1.4]])
    contrast = max(float(np.median(bone) - np.median(soft)), 1e-3)
    found = _grey(bone, soft, contrast)
    found |= _grain(raw, u, contrast)
    found |= _edges(raw, u, contrast)
    found |= _widths(raw, u, float(np.median(soft)) + 0.5 * contrast)
    found |= _profiles(raw, u, float(np.median(soft)), contrast)
    found |= _level_heights(prepared)
    return found


def thumbnail(prepared: Prepared) -> Float32:
    """The normalised picture at 14 x 14, flat: float32 (196,)."""
    small = cv2.resize(prepared.image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32).ravel()


def _across(cols: int) -> Float:
    """Each column's place across the spine: 0 in its middle, -1 and 1 at its usual edges."""
    return np.asarray((np.arange(cols) - (cols - 1) / 2) / (0.5 * cols / SPINE_WIDTHS), dtype=np.float64)


def _grey(bone: Float32, soft: Float32, contrast: float) -> dict[str, float]:
    found = {"grey.contrast": contrast}
    for name, part in (("bone", bone), ("soft", soft)):
        for percent in (5, 25, 50, 75, 95):
            found[f"grey.{name}_p{percent:02d}"] = float(np.percentile(part, percent))
        found[f"grey.{name}_spread_of_contrast"] = float(part.std()) / contrast
    found["grey.soft_black_share"] = float((soft < BLACK).mean())
    found["grey.bone_black_share"] = float((bone < BLACK).mean())
    found["grey.bone_white_share"] = float((bone > WHITE).mean())
    return found


def _grain(raw: Float32, u: Float, contrast: float) -> dict[str, float]:
    found: dict[str, float] = {}
    smooth = [cv2.GaussianBlur(raw, (0, 0), sigma) for sigma in BANDS]
    bands = [raw - smooth[0], *(a - b for a, b in pairwise(smooth))]
    regions = {"bone": np.abs(u) < 0.7, "soft": np.abs(u) > 1.4}
    for name, cols in regions.items():
        sds = np.array([float(band[:, cols].std()) for band in bands]) + 1e-4
        for k, sd in enumerate(sds):
            found[f"grain.{name}_band{k}_of_contrast"] = float(sd / contrast)
        found |= {f"grain.{name}_band{k}_over_{k + 1}": float(a / b) for k, (a, b) in enumerate(pairwise(sds))}
        part = raw[:, cols] - smooth[-1][:, cols]
        found |= {f"spectrum.{name}_{way}": v for way, v in zip(("down", "across"), _slopes(part), strict=True)}
        # One pixel apart along the rows against one pixel apart down the columns.
        down, across = np.diff(part, axis=0).std() + 1e-4, np.diff(part, axis=1).std() + 1e-4
        found[f"grain.{name}_across_over_down"] = float(np.log(across / down))
        found[f"grain.{name}_skew"] = float((part**3).mean() / (part.std() + 1e-4) ** 3)
    found["grain.soft_over_bone"] = found["grain.soft_band1_of_contrast"] / found["grain.bone_band1_of_contrast"]
    # Line noise: row means of the flanks' grain against what independent pixels of that grain would give.
    part = (raw - smooth[2])[:, regions["soft"]]
    found["grain.row_streaks"] = float(np.log((part.mean(axis=1).std() + 1e-5) / (part.std() + 1e-4)))
    return found


def _slopes(part: Float32) -> tuple[float, float]:
    """Slope of log power against log frequency, down the columns and along the rows."""
    slopes = []
    for view in (part, part.T):
        length = view.shape[0]
        tapered = (view - view.mean(axis=0)) * np.hanning(length)[:, None]
        power = (np.abs(np.fft.rfft(tapered, axis=0)) ** 2).mean(axis=1)
        frequency = np.arange(len(power)) / length
        use = (frequency > 0.06) & (frequency < 0.45)
        slopes.append(float(np.polyfit(np.log(frequency[use]), np.log(power[use] + 1e-7), 1)[0]))
    return slopes[0], slopes[1]


def _edges(raw: Float32, u: Float, contrast: float) -> dict[str, float]:
    quiet = cv2.GaussianBlur(raw, (0, 0), sigmaX=0.01, sigmaY=2.0)
    fall = np.abs(np.diff(quiet, axis=1)) / contrast
    middle = (u[1:] + u[:-1]) / 2
    steepest = np.stack([fall[:, (middle > 0.6) & (middle < 1.4)].max(axis=1),
                         fall[:, (middle < -0.6) & (middle > -1.4)].max(axis=1)])  # fmt: skip
    inner, rim = (np.median(quiet[:, (np.abs(u) > a) & (np.abs(u) < b)]) for a, b in ((0.35, 0.6), (0.65, 0.9)))
    near, far = (np.median(quiet[:, (np.abs(u) > a) & (np.abs(u) < b)]) for a, b in ((1.1, 1.35), (1.5, 2.0)))
    return {
        "edge.steepest_median": float(np.median(steepest)),
        "edge.steepest_p90": float(np.percentile(steepest, 90)),
        "edge.rim_over_inner": float((rim - inner) / contrast),
        "edge.near_over_far": float((near - far) / contrast),
    }


def _widths(raw: Float32, u: Float, half_grey: float) -> dict[str, float]:
    """Where the bone ends, row by row: the outermost crossing of half the contrast near the usual edge."""
    quiet = cv2.GaussianBlur(raw, (0, 0), 1.5)
    ends = []
    for side in (1.0, -1.0):
        outward = np.argsort(side * u)
        outward = outward[(side * u[outward] > 0.5) & (side * u[outward] < 1.6)]
        bright = quiet[:, outward] > half_grey
        first_dark = np.where(bright.all(axis=1), len(outward) - 1, bright.argmin(axis=1))
        ends.append(side * u[outward][first_dark])
    width = (ends[0] + ends[1]) / 2
    rows = np.linspace(-MARGIN, 1 + MARGIN, len(width))
    by_level = [float(width[(rows >= k / LEVELS) & (rows < (k + 1) / LEVELS)].mean()) for k in range(LEVELS)]
    bend = np.polyval(np.polyfit(rows, width, 2), rows)
    return {
        "shape.width_mean": float(width.mean()),
        "shape.width_l4_over_l1": by_level[3] / by_level[0],
        "shape.width_l4_over_l3": by_level[3] / by_level[2],
        "shape.width_ripple": float((width - bend).std()),
        "shape.edge_roughness": float(np.mean([np.abs(np.diff(end)).mean() for end in ends])),
        "shape.middle_wander": float((ends[0] - ends[1]).std()),
    }


def _profiles(raw: Float32, u: Float, soft: float, contrast: float) -> dict[str, float]:
    shown = (raw - soft) / contrast
    across = shown.mean(axis=0)
    found = {}
    for low, high in pairwise((0.0, 0.15, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.6, 2.0)):
        found[f"across.{low:.2f}_{high:.2f}"] = float(across[(np.abs(u) >= low) & (np.abs(u) < high)].mean())
    left, right = shown[:, u < 0], shown[:, u > 0][:, ::-1]
    found["symmetry.mirror_r"] = float(np.corrcoef(left.ravel(), right.ravel())[0, 1])
    found["symmetry.flanks"] = float(abs(shown[:, u < -1.4].mean() - shown[:, u > 1.4].mean()))
    # One level, top to bottom, averaged over the four: in the middle (spinous process) and beside it (pedicles).
    share = np.linspace(-MARGIN, 1 + MARGIN, len(shown)) * LEVELS
    inside = (share >= 0) & (share < LEVELS)
    phase = np.floor((share[inside] % 1) * 8).astype(int)
    for name, cols in (("middle", np.abs(u) < 0.25), ("beside", (np.abs(u) > 0.4) & (np.abs(u) < 0.85))):
        down = shown[:, cols].mean(axis=1)
        found |= {f"down.{name}_{k}": float(down[inside][phase == k].mean()) for k in range(8)}
        discs = np.array([down[np.abs(share - k) < 0.09].mean() for k in (1, 2, 3)])
        bodies = np.array([down[np.abs(share - k - 0.5) < 0.3].mean() for k in range(LEVELS)])
        found[f"down.{name}_disc_below_body"] = float(bodies.mean() - discs.mean())
        found[f"down.{name}_l4_over_l1"] = float(bodies[3] - bodies[0])
    flank = shown[:, np.abs(u) > 1.4].mean(axis=1)
    thirds = [float(part.mean()) for part in np.array_split(flank, 3)]
    return found | {"flank.top_over_middle": thirds[0] - thirds[1], "flank.bottom_over_middle": thirds[2] - thirds[1]}


def _level_heights(prepared: Prepared) -> dict[str, float]:
    heights = np.array([level.bottom_row - level.top_row for level in prepared.levels])
    slopes = [abs(float(p[1, 0] - p[0, 0])) for p in (level.polygon for level in prepared.levels)]
    return {
        "level.l1_over_l4": float(heights[0] / heights[3]),
        "level.l2_over_l3": float(heights[1] / heights[2]),
        "level.unevenness": float(np.std(np.diff(np.log(heights)))),
        "level.slant": float(np.mean(slopes) / heights.mean()),
    }
