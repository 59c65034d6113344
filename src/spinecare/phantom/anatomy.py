"""A projected lumbar spine, T11 to the sacrum with ribs and iliac crests, drawn on the scan's own pixels.

Each vertebra is a sum of soft shapes in millimetres of its own frame (x to the picture's right, y down), then
scaled so that the mean over its mask is the areal BMD that `population` drew.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.phantom.population import People
from spinecare.scan import LEVEL_NAMES, Bool, Float32

Float = npt.NDArray[np.float64]

VERTEBRAE: tuple[str, ...] = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
FIRST = VERTEBRAE.index("L1")

# Pitch of a level (body and disc below) against the mean of L1-L4, and the body's share of it: bodies of
# about 25-29 mm, discs of 7-11 mm, growing downwards (Zhou et al. 2000, doi:10.1007/s005860000158).
PITCH = np.array([0.86, 0.91, 0.955, 0.99, 1.02, 1.035, 0.92])
BODY_SHARE = np.array([0.80, 0.80, 0.79, 0.78, 0.77, 0.76, 0.70])
PITCH_MM_PER_HEIGHT_CM = 0.2055
# The share of its slot (pitch x body width) that a level's mask fills, so that mask areas are the drawn ones.
FILL = 0.955


@dataclass(frozen=True)
class Grid:
    """The pixels that a spine is drawn on.

    `rows`, `cols`; `mm_row`, `mm_col`, the spacing; (`row0`, `col0`), the pixel of the spine's origin, which
    is midway between L2 and L3.
    """

    rows: int
    cols: int
    mm_row: float
    mm_col: float
    row0: float
    col0: float


@dataclass(frozen=True)
class Vertebra:
    """Where one vertebra lies and how big it is: mm from the origin, radians."""

    x: float
    y: float
    tilt: float
    half_width: float
    half_height: float
    pitch: float
    fracture_grade: int


@dataclass(frozen=True, eq=False)
class Spine:
    """T11-L5 in place, with the person's own proportions of bone.

    separators
        float64 (5, 2): the lines above L1 and below each of L1-L4 as y = a + b x, mm from the origin.
    cobb_deg
        The angle between the most tilted of T12-L5.
    """

    vertebrae: tuple[Vertebra, ...]
    separators: Float
    cobb_deg: float
    fracture_grade: dict[str, int]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A drawn spine.

    bone
        float32 (rows, cols): areal BMD as drawn, g/cm2.
    added
        float32 (rows, cols): what degeneration adds, g/cm2.
    masks
        bool (4, rows, cols), L1 first: the bone between each level's separators.
    """

    bone: Float32
    added: Float32
    masks: Bool


def place(person: People, rng: np.random.Generator) -> Spine:
    """Place T11-L5 of one person (one row of `People`): sizes follow height and drawn areas."""
    n = len(VERTEBRAE)
    pitch = PITCH_MM_PER_HEIGHT_CM * float(person.height_cm[0]) * PITCH * (1 + 0.015 * rng.standard_normal(n))
    # Fractures are rare and commoner in weak bone; the loss of height follows Genant's grades (1993).
    risk = 0.003 + 0.05 / (1 + np.exp((float(person.t_score[0]) + 2.6) * 2.2))
    grades = np.where(rng.random(n) < risk, rng.integers(1, 4, n), 0)
    pitch *= 1 - np.array([0.0, 0.10, 0.18, 0.28])[grades]
    width = person.area[0] * 100 / pitch[FIRST : FIRST + 4] / 2 / FILL
    width = np.concatenate([width[:1] * [0.92, 0.95], width, width[-1:] * 1.10])
    width[FIRST:-1] = 0.6 * width[FIRST:-1] + 0.4 * np.poly1d(np.polyfit(range(4), width[FIRST:-1], 1))(
        range(4)
    )
    y = np.concatenate([[0.0], np.cumsum((pitch[1:] + pitch[:-1]) / 2)])
    y -= (y[FIRST + 1] + y[FIRST + 2]) / 2
    # One slow bend and a lean; one person in ten has a scoliosis.
    bend = np.radians(rng.normal(0, 1.5 if rng.random() < 0.9 else 9.0))
    tilt = np.radians(rng.normal(0, 1.0)) + bend * np.sin(y / 48.0 + rng.uniform(-1.2, 1.2))
    tilt += np.radians(0.6) * rng.standard_normal(n)
    x = np.concatenate([[0.0], np.cumsum(-np.tan((tilt[1:] + tilt[:-1]) / 2) * np.diff(y))])
    x -= x[FIRST : FIRST + 4].mean()
    half = pitch * BODY_SHARE / 2
    vertebrae = tuple(
        Vertebra(*map(float, sizes), int(grade))
        for sizes, grade in zip(np.stack([x, y, tilt, width, half, pitch], 1), grades, strict=True)
    )
    lines = []
    for k in range(FIRST - 1, FIRST + 4):
        middle_x, slope = (x[k] + x[k + 1]) / 2, np.tan((tilt[k] + tilt[k + 1]) / 2)
        # Operators tilt a separator only where the disc clearly is.
        slope = slope if abs(slope) > np.tan(np.radians(3.0)) else 0.0
        lines.append((y[k] + pitch[k] / 2 - slope * middle_x, slope))
    degrees = np.degrees(tilt[1:])
    levels = {name: int(grades[FIRST + i]) for i, name in enumerate(LEVEL_NAMES)}
    return Spine(vertebrae, np.array(lines), float(degrees.max() - degrees.min()), levels)


def draw(person: People, spine: Spine, grid: Grid, rng: np.random.Generator) -> Anatomy:
    """Draw one person's spine.

    Parameters
    ----------
    person
        One row of `People`: its BMD, degeneration and texture are what is drawn.
    spine
        From `place`.
    grid
        The scan's pixels; L1-L4 must lie inside.
    rng
        Shapes and texture come from it.
    """
    xs = ((np.arange(grid.cols) - grid.col0) * grid.mm_col).astype(np.float32)
    ys = ((np.arange(grid.rows) - grid.row0) * grid.mm_row).astype(np.float32)
    bone, added, inside = (np.zeros((grid.rows, grid.cols), np.float32) for _ in range(3))
    positions = np.arange(len(VERTEBRAE))
    density = np.interp(positions, FIRST + np.arange(4), person.bmd[0]) * [0.84, 0.90, 1, 1, 1, 1, 1]
    worn = np.interp(positions, FIRST + np.arange(4), person.degeneration[0])
    look = _Look.draw(rng)
    for k, vertebra in enumerate(spine.vertebrae):
        reach_x, reach_y = 2.3 * vertebra.half_width, 0.95 * vertebra.pitch + 4
        r = slice(*np.searchsorted(ys, [vertebra.y - reach_y, vertebra.y + reach_y]))
        c = slice(*np.searchsorted(xs, [vertebra.x - reach_x, vertebra.x + reach_x]))
        if r.start == r.stop or c.start == c.stop:
            continue
        dx, dy = xs[None, c] - np.float32(vertebra.x), ys[r, None] - np.float32(vertebra.y)
        cos, sin = np.float32(np.cos(vertebra.tilt)), np.float32(np.sin(vertebra.tilt))
        shapes, sclerosis, outline = _vertebra(
            cos * dx + sin * dy, cos * dy - sin * dx, vertebra, look, density[k], worn[k], rng
        )
        bone[r, c] += shapes
        added[r, c] += sclerosis
        np.maximum(inside[r, c], outline, out=inside[r, c])
    bone *= _trabeculae(person, grid, rng)
    band = level_bands(spine, xs, ys)
    masks = np.stack([(band == i + 1) & (inside > 0.5) for i in range(4)])
    bone *= _scale(bone, masks, person.bmd[0])[band]
    added *= _scale(added, masks, person.degeneration[0])[band]
    bone += _surroundings(spine, xs, ys, float(person.bmd[0].mean()), rng) * (1 - inside)
    return Anatomy(bone, added, masks)


def level_bands(spine: Spine, xs: npt.ArrayLike, ys: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Which separators each pixel lies below: 0 above L1, 1-4 in L1-L4, 5 below L4.

    Parameters
    ----------
    xs, ys
        (cols,) and (rows,) in mm from the origin.
    """
    x, y = np.asarray(xs)[None, :], np.asarray(ys)[:, None]
    return np.asarray(sum((y >= a + b * x).astype(np.intp) for a, b in spine.separators))


def _scale(image: Float32, masks: Bool, target: Float) -> Float32:
    # Factors for bands 0-5: the mean over each level's mask becomes its target; outside, the nearest level's.
    means = np.array([image[mask].mean() if mask.any() else 0.0 for mask in masks])
    factors = target / np.maximum(means, 1e-9)
    return np.concatenate([factors[:1], factors, factors[-1:]]).astype(np.float32)


@dataclass(frozen=True)
class _Look:
    # How much each part of a vertebra shows in one person, against the body.
    endplate: float
    cortex: float
    pedicle: float
    facet: float
    lamina: float
    spinous: float
    transverse: float
    turn: float  # rotation of the posterior arch, share of the half width
    drop: float  # how low the spinous process hangs, share of the half height
    waist: float
    concave: float
    disc: float

    @staticmethod
    def draw(rng: np.random.Generator) -> _Look:
        g = np.exp(0.25 * rng.standard_normal(7))
        return _Look(
            endplate=0.26 * g[0],
            cortex=0.22 * g[1],
            pedicle=0.30 * g[2],
            facet=0.42 * g[3],
            lamina=0.34 * g[4],
            spinous=0.50 * g[5],
            transverse=0.10 * g[6],
            turn=0.05 * rng.standard_normal(),
            drop=rng.normal(0.12, 0.12),
            waist=rng.uniform(0.03, 0.13),
            concave=rng.uniform(0.02, 0.12),
            disc=rng.uniform(0.10, 0.28),
        )


def _soft(distance: Float32, width: float = 0.7) -> Float32:
    # 1 where distance >> 0, 0 where << 0, in mm: a cheap smooth step.
    return np.asarray(np.clip(distance / np.float32(2 * width) + np.float32(0.5), 0, 1), np.float32)


def _blob(x: Float32, y: Float32, x0: float, y0: float, sx: float, sy: float) -> Float32:
    return np.exp(-0.5 * (((x - x0) / sx) ** 2 + ((y - y0) / sy) ** 2)).astype(np.float32)


def _rod(
    x: Float32, y: Float32, start: tuple[float, float], end: tuple[float, float], width: float
) -> Float32:
    # A soft bar between two points, mm.
    ax, ay = start
    ux, uy = end[0] - ax, end[1] - ay
    t = np.clip(((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy), 0, 1)
    d2 = (x - ax - t * ux) ** 2 + (y - ay - t * uy) ** 2
    return np.exp(d2 * np.float32(-0.5 / width**2)).astype(np.float32)


def _vertebra(
    x: Float32, y: Float32, v: Vertebra, look: _Look, density: float, worn: float, rng: np.random.Generator
) -> tuple[Float32, Float32, Float32]:
    # Bone (relative to density), sclerosis (relative), outline in [0, 1] of one vertebra in its own frame.
    W, H, P = v.half_width, v.half_height, v.pitch / 2
    vary = 1 + 0.14 * rng.standard_normal(9)
    # Trabecular bone goes first: in weak bone more of what is left is cortex (rims, arch), less is body.
    body_share = 0.62 * np.clip(density / 1.0, 0.4, 1.5) ** 0.35
    concave = look.concave * vary[8] + 0.09 * v.fracture_grade + 0.05 * float(np.clip(0.85 - density, 0, 0.4))
    ax, ay = np.abs(x), np.abs(y)
    u2, w2 = (x / W) ** 2, np.minimum((y / H) ** 2, 1)
    spur = min(4.0 * worn, 0.16) * rng.random(2)
    side = np.where(x < 0, spur[0], spur[1]).astype(np.float32)
    at_rim = np.exp(-(((ay - H * 0.97) / 2.2) ** 2))
    edge = W * (1.02 - look.waist * (1 - w2) + side * at_rim) - 0.5 * np.maximum(ay - H, 0)
    rim = H * (1 - concave * np.clip(1 - u2, 0, 1))
    wall, cap = _soft(edge - ax), _soft(rim - ay)
    body = wall * cap
    outline = wall * (ay <= 1.25 * P)
    depth = 0.72 + 0.28 * np.sqrt(np.clip(1 - u2, 0, 1))
    out = body_share * body * depth + look.disc * wall * _soft(1.1 * P - ay)
    out += look.endplate * vary[0] * wall * np.exp(-(((ay - rim + 1.0) / 1.3) ** 2))
    out += look.cortex * vary[1] * cap * np.exp(-(((ax - edge + 1.4) / 1.5) ** 2))
    # The arch behind: paired parts by symmetry about its own, slightly turned, midline.
    bx = x - np.float32(look.turn * W)
    pair = np.abs(bx)
    ring = np.hypot((pair - 0.66 * W) / (0.20 * W), (y + 0.34 * H) / (0.42 * H))
    out += look.pedicle * vary[2] * np.exp(-(((ring - 0.9) / 0.42) ** 2))
    out += look.facet * vary[3] * _blob(pair, y, 0.62 * W, -0.95 * H, 0.17 * W, 0.32 * H)
    out += look.facet * vary[4] * _blob(pair, y, 0.50 * W, 0.92 * H, 0.19 * W, 0.40 * H)
    out += look.lamina * vary[5] * _rod(pair, y, (0.62 * W, -0.15 * H), (0.12 * W, 0.30 * H), 0.13 * W)
    out += 0.5 * look.lamina * vary[5] * _rod(pair, y, (0.55 * W, 0.0), (0.48 * W, 0.9 * H), 0.14 * W)
    top, bottom = (look.drop - 0.05) * H, (look.drop + 0.95 * vary[6]) * H
    out += look.spinous * vary[7] * _rod(pair, y, (0.02 * W, top), (0.12 * W, bottom), 0.055 * W)
    out += 0.4 * look.spinous * vary[7] * _blob(bx, y, 0.0, bottom - 1.5, 0.10 * W, 2.4)
    out += look.transverse * _rod(pair, y, (0.9 * W, -0.3 * H), (1.75 * W, -0.4 * H), 2.8)
    out *= np.float32(density)
    sclerosis = (
        at_rim * wall * (0.3 + 2.0 * side) + 0.6 * _blob(ax, y, 0.55 * W, 0.95 * H, 0.2 * W, 0.35 * H) * wall
    )
    sclerosis *= np.where(x < 0, rng.random(), rng.random()).astype(np.float32) + 0.2
    return out.astype(np.float32), (worn * sclerosis).astype(np.float32), outline.astype(np.float32)


def _noise(grid: Grid, sigma_row_mm: float, sigma_col_mm: float, rng: np.random.Generator) -> Float32:
    # A Gaussian field of unit variance, smooth over the given lengths.
    field = rng.standard_normal((grid.rows, grid.cols), dtype=np.float32)
    sy, sx = sigma_row_mm / grid.mm_row, sigma_col_mm / grid.mm_col
    field = cv2.GaussianBlur(field, (0, 0), sigmaX=max(sx, 0.3), sigmaY=max(sy, 0.3))
    return np.asarray(field / field.std(), dtype=np.float32)


def _trabeculae(person: People, grid: Grid, rng: np.random.Generator) -> Float32:
    # Few, thick, far-apart struts in weak bone: coarser, relatively stronger texture; a part is the
    # person's own.
    weak = float(np.clip((1.05 - person.bmd[0].mean()) / 0.35, -1, 1.5))
    coarse = float(np.exp(0.22 * weak + 0.18 * person.texture[0]))
    contrast = float(np.clip(0.085 * np.exp(0.30 * weak + 0.20 * person.texture[0]), 0.03, 0.25))
    struts = _noise(grid, 1.7 * coarse, 0.9 * coarse, rng) + 0.7 * _noise(
        grid, 3.6 * coarse, 3.0 * coarse, rng
    )
    return np.maximum(1 + contrast * struts / 1.22, 0.2).astype(np.float32)


def _surroundings(
    spine: Spine, xs: Float32, ys: Float32, density: float, rng: np.random.Generator
) -> Float32:
    # Last ribs, iliac crests and the top of the sacrum, g/cm2.
    x, y = xs[None, :], ys[:, None]
    out = np.zeros((len(ys), len(xs)), np.float32)
    for k, steep, strength in ((0, 0.42, 0.16), (1, 0.62, 0.13)):
        v = spine.vertebrae[k]
        slope = steep + 0.12 * rng.standard_normal()
        length = rng.uniform(25, 70)
        for sign in (-1, 1):
            start = (v.x + sign * v.half_width, v.y + rng.normal(0, 2))
            end = (start[0] + sign * length, start[1] + length * slope)
            out += np.float32(strength * rng.uniform(0.3, 1.2)) * _rod(x, y, start, end, 3.0)
    last = spine.vertebrae[-1]
    top = last.y + last.pitch / 2
    # The sacrum widens below L5; its first gap shows dark where the arch is open.
    spread = last.half_width * (1.02 + np.clip((y - top) / 40, -0.2, 0.6))
    sacrum = _soft(np.asarray(spread - np.abs(x - last.x), np.float32), 2.0) * _soft(y - top, 1.5)
    gap = _blob(x, y, last.x, top + 5, 0.45 * last.half_width, 3.0)
    rim = np.exp(-(((y - top - 2 - 3 * ((x - last.x) / last.half_width) ** 2) / 1.6) ** 2))
    out += np.float32(density) * sacrum * (0.75 + 0.25 * rim - 0.55 * gap)
    crest_y = top - last.pitch + rng.normal(2, 9)
    apart, radius = rng.normal(47, 6), rng.uniform(32, 48)
    for sign in (-1, 1):
        r = np.hypot((x - last.x - sign * (apart + 0.8 * radius)), 0.9 * (y - crest_y - radius))
        crest = _soft(radius - r, 1.5)
        out += np.float32(density) * (0.35 * crest + 0.35 * np.exp(-(((r - radius + 2.5) / 2.2) ** 2)))
    return out
