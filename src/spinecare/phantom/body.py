"""Soft tissue in the beam: how thick a person lies, where fat and lean are, organs, bowel, gas.

What of it a densitometer shows is where fat takes the place of lean: 1 cm reads as -0.04 g/cm2 (`densitometer.
fat_error_g_cm2_per_mm`). Thickness alone cancels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from spinecare.phantom import baseline
from spinecare.phantom.maps import Float, Plane, Projection, SoftTissue
from spinecare.phantom.population import People
from spinecare.scan import Bool, Float32

# Densities, g/cm3: muscle and adipose tissue (ICRU Report 44, 1989), hydroxyapatite (3.16).
LEAN_G_CM3 = 1.05
FAT_G_CM3 = 0.95
MINERAL_G_CM3 = 3.16

# Supine front-to-back thickness: sagittal abdominal diameter of US adults, about 22.4 cm at BMI 28.7 with SD 4.4 and
# r of about 0.9 to BMI (Kahn et al. 2014, PLoS One 9:e108707): 0.6 cm per kg/m2; the residual SD of 1.9 cm holds
# the caliper's error too, so 1.5.
THICKNESS_CM, THICKNESS_PER_BMI, THICKNESS_SD = 5.2, 0.6, 1.5
THICKNESS_LIMITS = (13.0, 36.0)
# Share of the fat at this height that lies inside the abdomen, more in men (Kvist et al. 1988, Am J Clin Nutr
# 48:1351); what lies under the skin spreads evenly, what lies inside makes patches.
VISCERAL_SHARE = {"M": 0.45, "F": 0.28}
# Fat in lumbar marrow: about 30 % of its volume at 20 years, 55-60 % at 75 (Griffith et al. 2012, J Magn Reson
# Imaging 36:225).
MARROW_FAT, MARROW_FAT_PER_YEAR = 0.30, 0.005
# How much the levels differ in that, mm (SD).
LEVEL_MM = 4.0
# How the fat over the spine settles from one scan to the next against the fat beside it, mm, and by how much more per
# kg/m2: set so that short-term precision is what it is in life, 1-2 % and worse in big people.
DAY_MM, DAY_MM_PER_BMI, DAY_MM_LEAST = 2.1, 0.12, 1.4


@dataclass(frozen=True)
class Build:
    """A person's trunk: `thickness_cm` at the spine, `half_width_cm`, and the share of its volume that is `fat`."""

    thickness_cm: float
    half_width_cm: float
    fat: float


def build(person: People, rng: np.random.Generator) -> Build:
    """The trunk of one person (a table of one row), with what BMI does not explain drawn from `rng`."""
    bmi = float(person.weight_kg[0] / (person.height_cm[0] / 100) ** 2)
    thickness = THICKNESS_CM + THICKNESS_PER_BMI * bmi + THICKNESS_SD * float(rng.standard_normal())
    thickness = float(np.clip(thickness, *THICKNESS_LIMITS))
    share = float(np.clip(person.fat_share[0], 0.03, 0.8))
    by_volume = share / FAT_G_CM3 / (share / FAT_G_CM3 + (1 - share) / LEAN_G_CM3)
    # Trunks are wider than deep, the more so the thinner they are.
    return Build(thickness, 6.0 + 0.5 * thickness + float(rng.normal(0, 0.8)), by_volume)


def soft_tissue(
    person: People, projection: Projection, plane: Plane, rng: np.random.Generator, *, uniform: bool = False
) -> SoftTissue:
    """What one person's soft tissue puts into the beam at every scan; `settle` adds what differs from day to day.

    Parameters
    ----------
    person
        One row: height, weight, sex, age, `fat_share`, `fat_uneven_mm`.
    projection
        Their skeleton; its bone takes soft tissue's place and carries marrow.
    plane
        The scan plane of `projection`.
    rng
        The body's stream: the same at each visit.
    uniform
        The same mixture of fat and lean everywhere (tests, and the bound without fat's error).

    Returns
    -------
    SoftTissue
        Whose fat, over the L1-L4 masks, is `fat_uneven_mm` thicker than beside the spine.
    """
    trunk = build(person, rng)
    x, y = _around(projection, plane)
    deep = _thickness(trunk, x, y, rng)
    bony = np.minimum(projection.thickness_cm, 0.6 * deep)
    soft = deep - bony
    fat = np.float32(trunk.fat) * soft
    # Marrow fills the bone but for its mineral.
    filled = np.maximum(bony - (projection.bone + projection.added) / np.float32(MINERAL_G_CM3), 0)
    marrow = trunk.fat
    if not uniform:
        age = float(person.age_years[0])
        marrow = float(np.clip(MARROW_FAT + MARROW_FAT_PER_YEAR * (age - 20) + 0.05 * rng.standard_normal(), 0.15, 0.8))
        inside = VISCERAL_SHARE[str(person.sex[0])] * trunk.fat * trunk.thickness_cm
        # Organs have no edges finer than twice the pixel: drawn on every other one.
        coarse = replace(
            plane,
            rows=-(-plane.rows // 2),
            cols=-(-plane.cols // 2),
            mm=2 * plane.mm,
            row0=plane.row0 / 2,
            col0=plane.col0 / 2,
        )
        organs = _organs(x[::2, ::2], y[::2], coarse, inside, rng)
        fat += cv2.resize(organs, (plane.cols, plane.rows), interpolation=cv2.INTER_LINEAR)
    fat = np.clip(fat, 0.04 * soft, 0.96 * soft) + np.float32(marrow) * filled
    lean = soft + filled - fat
    tissue = SoftTissue(np.float32(LEAN_G_CM3) * lean, np.float32(FAT_G_CM3) * fat)
    if uniform:
        return tissue
    target = float(person.fat_uneven_mm[0]) + LEVEL_MM * _levels(rng)
    return _uneven(tissue, projection, baseline.beside(projection, plane), plane, target / 10)


def settle(tissue: SoftTissue, projection: Projection, plane: Plane, rng: np.random.Generator) -> SoftTissue:
    """The same body on the day of a scan: bowel filled and moved, gas, fat settled a little differently.

    Parameters
    ----------
    rng
        The exposure's stream: another one at each visit.
    """
    x, y = _around(projection, plane)
    fat, lean = tissue.fat / np.float32(FAT_G_CM3), tissue.lean / np.float32(LEAN_G_CM3)
    deep = float(np.median((fat + lean)[::8, ::8]))
    soft = baseline.beside(projection, plane)
    before = _excess_cm(tissue, projection, soft, plane)
    fatness = float(np.clip(np.median(fat[::8, ::8]) / 5.0, 0.25, 1.8))
    change = _bowel(y, plane, fatness, rng)
    change = np.clip(change, -0.8 * fat, 0.8 * lean)
    fat, lean = fat + change, lean - change
    gas = np.minimum(_gas(x, y, plane, rng), 0.5 * lean)
    lean -= gas
    # Read back from thickness, so that a scan needs the body alone: the inverse of `build`.
    bmi = (deep - THICKNESS_CM) / THICKNESS_PER_BMI
    shift = max(DAY_MM + DAY_MM_PER_BMI * (bmi - 22), DAY_MM_LEAST) / 10
    change_cm = shift * (float(rng.standard_normal()) + 0.7 * _levels(rng))
    tissue = SoftTissue(np.float32(LEAN_G_CM3) * lean, np.float32(FAT_G_CM3) * fat)
    return _uneven(tissue, projection, soft, plane, before + change_cm)


def _around(projection: Projection, plane: Plane) -> tuple[Float32, Float32]:
    # x (rows, cols) from the spine's own middle line, y (rows, 1); mm. The trunk bends with the spine, but less.
    weight = projection.column.sum(axis=1)
    rows = np.flatnonzero(weight)
    if not len(rows):
        return np.broadcast_to(plane.x[None, :], (plane.rows, plane.cols)), plane.y[:, None]
    middle = (projection.column[rows] @ plane.x) / weight[rows]
    line = np.polynomial.Polynomial.fit(plane.y[rows], middle, 1)
    return (plane.x[None, :] - line(plane.y[:, None])).astype(np.float32), plane.y[:, None]


def _thickness(trunk: Build, x: Float32, y: Float32, rng: np.random.Generator) -> Float32:
    # A lens across, a slope along the body.
    across = (np.abs(x) / np.float32(10 * trunk.half_width_cm)).clip(0, 0.97)
    lens = (1 - across**2.5) ** 0.4
    slope = 1 + np.float32(rng.normal(0, 0.04)) * y / 100
    return np.asarray(trunk.thickness_cm * lens * slope, np.float32)


def _field(plane: Plane, sigma_x: float, sigma_y: float, rng: np.random.Generator) -> Float32:
    # A smooth random field of unit variance; drawn coarsely where it is smooth.
    fx, fy = max(sigma_x / plane.mm / 2, 1), max(sigma_y / plane.mm / 2, 1)
    rows, cols = round(plane.rows / fy) + 6, round(plane.cols / fx) + 6
    coarse = rng.standard_normal((rows, cols), dtype=np.float32)
    coarse = cv2.GaussianBlur(
        coarse, (0, 0), sigmaX=max(sigma_x / plane.mm / fx, 0.3), sigmaY=max(sigma_y / plane.mm / fy, 0.3)
    )
    coarse = coarse[2:-2, 2:-2] / coarse.std()
    return np.asarray(cv2.resize(coarse, (plane.cols, plane.rows), interpolation=cv2.INTER_CUBIC), np.float32)


def _step(distance: Float32, width: float) -> Float32:
    # 0 where distance << 0, 1 where >> 0.
    t = np.clip(distance / np.float32(2 * width) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _levels(rng: np.random.Generator) -> Float:
    # Four levels that differ by about 1 and not in their mean.
    values = rng.standard_normal(4)
    return np.asarray(values - values.mean())


def _organs(x: Float32, y: Float32, plane: Plane, inside_cm: float, rng: np.random.Generator) -> Float32:
    # Fat in place of lean, cm, by organ; `inside_cm` is how much visceral fat there is to displace.
    much = np.float32(np.clip(inside_cm / 2.0, 0.3, 1.6))
    out = np.zeros((plane.rows, plane.cols), np.float32)
    # Liver: the patient's right is the picture's left, as in radiographs; of real exports (even groups) 81 % are
    # brighter there above L1. Its edge falls from the midline to the right flank; a smaller spleen on the other side.
    wavy = 6 * _field(plane, 14, 14, rng)
    for side, height, strength in (
        (-1, rng.normal(-38, 26), rng.uniform(1.5, 6.5)),
        (1, rng.normal(-58, 22), rng.uniform(0.5, 5.0)),
    ):
        aside = side * x
        edge = height + np.float32(rng.uniform(0.3, 0.9)) * (aside - 45) * np.where(aside > 45, 0.4, 1.0)
        out -= much * np.float32(strength) * _step(edge - y + wavy, rng.uniform(7, 22)) * _step(aside + 8, 20)
    # Psoas, wider further down, in the fat behind the peritoneum.
    reach = 22 + np.clip(y + 50, 0, 110) * np.float32(rng.uniform(0.10, 0.22))
    out -= much * np.float32(rng.uniform(0.1, 0.7)) * _step(reach - np.abs(x), 3) * _step(y + 55, 15)
    # Kidneys, in their capsule of fat: chords of two ellipsoids, one in the other.
    for side, low in ((-1, -12), (1, -24)):
        cx, cy = side * rng.normal(62, 8), rng.normal(low, 14)
        turn = side * rng.normal(-0.25, 0.1)
        u, v = (x - cx) + turn * (y - cy), (y - cy) - turn * (x - cx)
        r2 = (u / rng.uniform(22, 28)) ** 2 + (v / rng.uniform(45, 58)) ** 2
        kidney, capsule = np.sqrt(np.clip(1 - r2, 0, 1)), np.sqrt(np.clip(1 - r2 / rng.uniform(1.3, 2.2), 0, 1))
        out += much * np.float32(rng.uniform(0.0, 0.9)) * (0.8 * capsule - 1.8 * kidney)
    # Haze: one side more than the other, patches of some cm.
    out += np.float32(rng.normal(0, 0.25)) * x / 40 + much * np.float32(rng.uniform(0.15, 0.5)) * _field(
        plane, 24, 20, rng
    )
    # Planes of fat and vessels between organs: narrow arcs.
    out += much * _arcs(x, y, plane, rng)
    # What an organ displaces lies elsewhere: the person's share of fat stays what it is.
    return np.asarray(out - out.mean(), np.float32)


def _arcs(x: Float32, y: Float32, plane: Plane, rng: np.random.Generator) -> Float32:
    out = np.zeros((plane.rows, plane.cols), np.float32)
    for _ in range(rng.poisson(7)):
        cx, cy = rng.uniform(-70, 70), rng.uniform(plane.y[0], plane.y[-1])
        length, width = rng.uniform(8, 30), rng.uniform(1.2, 2.8)
        angle, bend = rng.normal(0, 0.5), rng.normal(0, 0.012)
        r0, r1 = np.searchsorted(plane.y, [cy - length, cy + length])
        c0, c1 = np.searchsorted(plane.x, [cx - 1.6 * length, cx + 1.6 * length])
        if r0 >= r1 or c0 >= c1:
            continue
        dx, dy = x[r0:r1, c0:c1] - np.float32(cx), y[r0:r1] - np.float32(cy)
        u, v = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
        v = v - bend * u * u
        line = np.exp(-0.5 * ((v / width) ** 2 + (u / (0.5 * length)) ** 4))
        out[r0:r1, c0:c1] += np.float32(rng.normal(0.5, 1.0)) * line
    return out


def _bowel(y: Float32, plane: Plane, fatness: float, rng: np.random.Generator) -> Float32:
    # Loops of lean wall and content in fatty mesentery, cm of fat in place of lean: loops have edges, so a field is
    # bent towards two values; what is finer is vessels and folds. Strength and grain fitted to the look of real exports
    # beside the spine (even groups).
    loops = np.tanh(1.3 * _field(plane, rng.uniform(6, 15), rng.uniform(4, 9), rng) + 0.6 * _field(plane, 4, 3, rng))
    fine = _field(plane, rng.uniform(2.2, 4.0), 1.9, rng)
    # Here full of it, there empty.
    where = np.clip(0.75 + 0.5 * _field(plane, 22, 22, rng), 0.1, 1.8)
    below = np.float32(0.6) + np.float32(0.4) * _step(y + 40, 30)
    loops *= where * np.float32(0.85 * np.exp(0.45 * rng.standard_normal()))
    fine *= np.float32(rng.uniform(0.8, 2.6))
    return np.asarray(np.float32(fatness**0.4) * below * (loops + fine), np.float32)


def _gas(x: Float32, y: Float32, plane: Plane, rng: np.random.Generator) -> Float32:
    # Gas, cm of lean that is not there: a bubble of the stomach at the picture's right above, pockets in the bowel.
    out = np.zeros((plane.rows, plane.cols), np.float32)
    pockets = (
        [(rng.normal(45, 15), rng.normal(-75, 15), rng.uniform(12, 28), rng.uniform(0.3, 4.0))]
        if rng.random() < 0.6
        else []
    )
    for _ in range(rng.poisson(5)):
        depth = rng.gamma(1.5, 1.0)
        pockets.append((rng.uniform(-75, 75), rng.uniform(-60, plane.y[-1]), rng.uniform(4, 14), depth))
    for cx, cy, radius, depth in pockets:
        long, angle = rng.uniform(1.0, 2.4), rng.uniform(-0.7, 0.7)
        reach = 1.3 * radius * long
        r0, r1 = np.searchsorted(plane.y, [cy - reach, cy + reach])
        c0, c1 = np.searchsorted(plane.x, [cx - reach - 15, cx + reach + 15])
        if r0 >= r1 or c0 >= c1:
            continue
        dx, dy = x[r0:r1, c0:c1] - np.float32(cx), y[r0:r1] - np.float32(cy)
        u, v = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
        r2 = (u / (radius * long)) ** 2 + (v / radius) ** 2
        # A bubble's chord, not deeper than it is wide.
        out[r0:r1, c0:c1] += np.float32(min(depth, radius / 5)) * np.sqrt(np.clip(1 - r2, 0, 1))
    return out


def _excess_cm(tissue: SoftTissue, projection: Projection, soft: Bool, plane: Plane) -> Float:
    # Fat in place of lean over each of L1-L4, cm, against the baseline beside them, as a densitometer feels it.
    rows = np.flatnonzero(soft.any(axis=1) | projection.masks.any(axis=(0, 2)))
    part = slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 0)
    fat, lean = tissue.fat[part] / np.float32(FAT_G_CM3), tissue.lean[part] / np.float32(LEAN_G_CM3)
    near = soft[part]
    if not near.any() or not projection.masks.any(axis=(1, 2)).all():
        return np.zeros(4)
    ratio = np.float32(fat[near].sum(dtype=np.float64) / lean[near].sum(dtype=np.float64))
    excess: Float32 = ((fat - ratio * lean) / (1 + ratio)).astype(np.float32)
    excess -= baseline.baseline(excess, near, projection.column[part], replace(plane, rows=len(fat)))
    return np.array([excess[mask[part]].mean(dtype=np.float64) for mask in projection.masks])


def _uneven(tissue: SoftTissue, projection: Projection, soft: Bool, plane: Plane, target_cm: Float) -> SoftTissue:
    # Swap lean for fat over the spine until each level's excess is its target; between levels it goes over smoothly.
    if not soft.any() or not projection.masks.any(axis=(1, 2)).all():
        return tissue
    bump = cv2.GaussianBlur(projection.column.astype(np.float32), (0, 0), sigmaX=4.0 / plane.mm)
    fat, lean = tissue.fat / np.float32(FAT_G_CM3), tissue.lean / np.float32(LEAN_G_CM3)
    centres = [float(plane.y[mask.any(axis=1)].mean()) for mask in projection.masks]
    for _ in range(2):
        missing = target_cm - _excess_cm(tissue, projection, soft, plane)
        swap = bump * np.interp(plane.y, centres, missing).astype(np.float32)[:, None]
        swap = np.clip(swap, -0.9 * fat, 0.9 * lean)
        fat, lean = fat + swap, lean - swap
        tissue = SoftTissue(np.float32(LEAN_G_CM3) * lean, np.float32(FAT_G_CM3) * fat)
    return tissue
