"""A projected lumbar spine, T9 to the sacrum with ribs and iliac crests, drawn on the scan's own pixels.

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

VERTEBRAE: tuple[str, ...] = ("T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
FIRST = VERTEBRAE.index("L1")

# Pitch of a level (body and disc below) against the mean of L1-L4, and the body's share of it: bodies of
# about 25-29 mm, discs of 7-11 mm, growing downwards (after Nissan and Gilad 1986, J Biomech 19:753).
PITCH = np.array([0.80, 0.83, 0.86, 0.91, 0.955, 0.99, 1.02, 1.035, 0.92])
BODY_SHARE = np.array([0.82, 0.81, 0.80, 0.80, 0.79, 0.78, 0.77, 0.76, 0.70])
PITCH_MM_PER_HEIGHT_CM = 0.2055
# The share of its slot (pitch x body width) that a level's mask fills, so that mask areas are the drawn ones.
FILL = 0.985


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
    """T9-L5 in place, with the person's own proportions of bone.

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
    """Place T9-L5 of one person (one row of `People`): sizes follow height and drawn areas."""
    n = len(VERTEBRAE)
    pitch = PITCH_MM_PER_HEIGHT_CM * float(person.height_cm[0]) * PITCH * (1 + 0.015 * rng.standard_normal(n))
    # Fractures are rare and commoner in weak bone; the loss of height follows Genant's grades (1993).
    risk = 0.003 + 0.05 / (1 + np.exp((float(person.t_score[0]) + 2.6) * 2.2))
    grades = np.where(rng.random(n) < risk, rng.integers(1, 4, n), 0)
    pitch *= 1 - np.array([0.0, 0.10, 0.18, 0.28])[grades]
    width = person.area[0] * 100 / pitch[FIRST : FIRST + 4] / 2 / FILL
    width = np.concatenate([width[:1] * [0.84, 0.88, 0.92, 0.95], width, width[-1:] * 1.10])
    width[FIRST:-1] = 0.6 * width[FIRST:-1] + 0.4 * np.poly1d(np.polyfit(range(4), width[FIRST:-1], 1))(range(4))
    y = np.concatenate([[0.0], np.cumsum((pitch[1:] + pitch[:-1]) / 2)])
    y -= (y[FIRST + 1] + y[FIRST + 2]) / 2
    # One slow bend and a lean; one person in ten has a scoliosis.
    bend = np.radians(rng.normal(0, 1.5 if rng.random() < 0.9 else 9.0))
    tilt = np.radians(rng.normal(0, 1.0)) + bend * np.sin(y / 48.0 + rng.uniform(-1.2, 1.2))
    tilt += np.radians(0.6) * rng.standard_normal(n)
    x = np.concatenate([[0.0], np.cumsum(-np.tan((tilt[1:] + tilt[:-1]) / 2) * np.diff(y))])
    x -= x[FIRST : FIRST + 4].mean()
    half = pitch * BODY_SHARE / 2
    sizes = np.stack([x, y, tilt, width, half, pitch], axis=1)
    vertebrae = tuple(
        Vertebra(float(a), float(b), float(c), float(w), float(h), float(p), int(grade))
        for (a, b, c, w, h, p), grade in zip(sizes, grades, strict=True)
    )
    lines = []
    for k in range(FIRST - 1, FIRST + 4):
        middle_x, slope = (x[k] + x[k + 1]) / 2, np.tan((tilt[k] + tilt[k + 1]) / 2)
        # Operators tilt a separator only where the disc clearly is.
        slope = slope if abs(slope) > np.tan(np.radians(3.0)) else 0.0
        lines.append((y[k] + pitch[k] / 2 - slope * middle_x, slope))
    degrees = np.degrees(tilt[FIRST - 1 :])
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
    density = np.interp(positions, FIRST + np.arange(4), person.bmd[0]) * [0.76, 0.77, 0.80, 0.88, 1, 1, 1, 1, 0.95]
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
    np.minimum(added, np.where((band == 0) | (band == 5), np.float32(0.25), np.inf), out=added)
    # Ribs, pelvis and sacrum never change what was drawn inside the levels.
    beside, sacrum = _surroundings(spine, xs, ys, float(person.bmd[0].mean()), rng)
    bone += np.where(masks.any(axis=0), 0, beside * (1 - inside))
    np.maximum(bone, np.where(band == 5, sacrum, 0), out=bone)
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
    # How much each part of a vertebra shows in one person, against the body; sizes are shares of half width
    # or half height.
    endplate: float
    cortex: float
    pedicle: float
    facet: float
    lamina: float
    spinous: float
    transverse: float
    window: float  # the dark gap between pedicles where no arch lies behind the body
    hollow: float  # 0 solid pedicles ... 1 rings
    turn: float  # rotation of the arch behind the body
    drop: float  # how low the spinous process hangs
    splay: float  # how far its two sides part
    waist: float
    concave: float
    disc: float

    @staticmethod
    def draw(rng: np.random.Generator) -> _Look:
        g = np.exp(0.25 * rng.standard_normal(8))
        return _Look(
            endplate=0.17 * g[0],
            cortex=0.14 * g[1],
            pedicle=0.34 * g[2],
            facet=0.30 * g[3],
            lamina=0.26 * g[4],
            spinous=0.40 * g[5],
            transverse=0.08 * g[6],
            window=0.20 * g[7],
            hollow=rng.uniform(0, 0.8),
            turn=0.06 * rng.standard_normal(),
            drop=rng.normal(0.02, 0.14),
            splay=rng.uniform(0.06, 0.22),
            waist=rng.uniform(0.03, 0.15),
            concave=rng.uniform(0.02, 0.12),
            disc=rng.uniform(0.28, 0.55),
        )


def _soft(distance: npt.NDArray[np.floating], width: float = 0.7) -> Float32:
    # 1 where distance >> 0, 0 where << 0, in mm: a cheap smooth step.
    return np.asarray(np.clip(distance / np.float32(2 * width) + np.float32(0.5), 0, 1), np.float32)


def _blob(x: Float32, y: Float32, x0: float, y0: float, sx: float, sy: float) -> Float32:
    return np.exp(-0.5 * (((x - x0) / sx) ** 2 + ((y - y0) / sy) ** 2)).astype(np.float32)


def _rod(x: Float32, y: Float32, start: tuple[float, float], end: tuple[float, float], width: float) -> Float32:
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
    at_rim = np.exp(-(((ay - H * 0.95) / 3.0) ** 2))
    edge = W * (1.02 - look.waist * (1 - w2) + side * at_rim) - 0.5 * np.maximum(ay - H, 0)
    rim = H * (1 - concave * np.clip(1 - u2, 0, 1))
    wall, cap = _soft(edge - ax), _soft(rim - ay)
    cap = 0.5 * (cap + _soft(rim - ay, 1.8))
    body = wall * cap
    outline = wall * (ay <= 1.25 * P)
    depth = 0.72 + 0.28 * np.sqrt(np.clip(1 - u2, 0, 1))
    out = body_share * body * depth + look.disc * wall * (1 - cap) * _soft(P - ay, 1.5)
    out += look.endplate * vary[0] * wall * np.exp(-(((ay - rim + 1.0) / 1.6) ** 2))
    out += look.cortex * vary[1] * cap * np.exp(-(((ax - edge + 1.6) / 1.8) ** 2))
    # The arch behind: paired parts by symmetry about its own, slightly turned, midline.
    bx = x - np.float32(look.turn * W)
    pair = np.abs(bx)
    ring = np.hypot((pair - 0.64 * W) / (0.22 * W), (y + 0.42 * H) / (0.44 * H))
    hole = look.hollow * np.exp(-((ring / 0.55) ** 2))
    out += look.pedicle * vary[2] * (np.exp(-((ring / 1.15) ** 4)) - hole)
    out += look.facet * vary[3] * _blob(pair, y, 0.60 * W, -1.0 * H, 0.19 * W, 0.34 * H)
    out += look.facet * vary[4] * _blob(pair, y, 0.48 * W, 0.98 * H, 0.21 * W, 0.36 * H)
    out += look.lamina * vary[5] * _rod(pair, y, (0.58 * W, -0.15 * H), (0.10 * W, 0.42 * H), 0.15 * W)
    out += 0.6 * look.lamina * vary[5] * _rod(pair, y, (0.52 * W, 0.0), (0.46 * W, 0.9 * H), 0.15 * W)
    out += 0.5 * look.lamina * vary[8] * _blob(bx, y, 0.0, 0.6 * H, 0.34 * W, 0.30 * H)
    out -= look.window * vary[6] * _blob(bx, y, 0.0, (look.drop - 0.42) * H, 0.30 * W, 0.27 * H) * body
    top, bottom = (look.drop + 0.02) * H, (look.drop + 0.88 * vary[6]) * H
    out += look.spinous * vary[7] * _rod(pair, y, (0.01 * W, top), (look.splay * W, bottom), 0.06 * W)
    out += 0.5 * look.spinous * vary[7] * _blob(bx, y, 0.0, bottom - 2, 0.13 * W, 2.6)
    out += look.transverse * _rod(pair, y, (0.9 * W, -0.3 * H), (1.75 * W, -0.4 * H), 2.8)
    np.maximum(out, 0.02 * outline, out=out)
    out *= np.float32(density)
    sclerosis = at_rim * wall * (0.3 + 1.2 * side) + 0.6 * _blob(ax, y, 0.55 * W, 0.95 * H, 0.2 * W, 0.35 * H) * wall
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
    struts = _noise(grid, 1.7 * coarse, 0.9 * coarse, rng) + 0.7 * _noise(grid, 3.6 * coarse, 3.0 * coarse, rng)
    return np.maximum(1 + contrast * struts / 1.22, 0.2).astype(np.float32)


def _surroundings(
    spine: Spine, xs: Float32, ys: Float32, density: float, rng: np.random.Generator
) -> tuple[Float32, Float32]:
    # Last ribs with iliac wings, and the top of the sacrum, g/cm2.
    x, y = xs[None, :], ys[:, None]
    out = np.zeros((len(ys), len(xs)), np.float32)
    for v, steep, strength in zip(spine.vertebrae, (0.25, 0.30, 0.42, 0.62), (0.2, 0.2, 0.2, 0.15), strict=False):
        slope = steep + 0.12 * rng.standard_normal()
        length = rng.uniform(25, 70)
        for sign in (-1, 1):
            start = (v.x + sign * v.half_width, v.y + rng.normal(0, 2))
            end = (start[0] + sign * length, start[1] + length * slope)
            out += np.float32(strength * rng.uniform(0.3, 1.2)) * _rod(x, y, start, end, 3.0)
    last = spine.vertebrae[-1]
    top, half = last.y + last.pitch / 2, last.half_width
    # The sacrum widens below L5; between their arches two dark eyes, as the beam runs along the tilted disc.
    spread = half * (1.0 + np.clip((y - top) / 38, -0.2, 0.7))
    sacrum = _soft(spread - np.abs(x - last.x), 3.0) * _soft(y - top + 4, 4.0)
    eyes = _blob(np.abs(x - last.x), y, 0.26 * half, top + rng.normal(1, 2), 0.20 * half, 3.2)
    wings = _blob(np.abs(x - last.x), y, 0.85 * half, top + 6, 0.35 * half, 7.0)
    middle = _rod(x, y, (last.x, top + 6), (last.x + rng.normal(0, 1), top + 32), 3.0)
    sacrum = np.float32(density) * sacrum * np.maximum(0.66 + 0.3 * wings + 0.3 * middle - 0.5 * eyes, 0)
    mottle = cv2.GaussianBlur(rng.standard_normal(out.shape, dtype=np.float32), (0, 0), 3.0)
    mottle = 1 + np.float32(0.10) * mottle / mottle.std()
    # Iliac wings: big, flat, fading inwards, their crests a soft bright edge.
    crest_y = top - 0.9 * last.pitch + rng.normal(4, 9)
    apart, radius = rng.normal(46, 7), rng.uniform(50, 85)
    for sign in (-1, 1):
        r = np.hypot(x - last.x - sign * (apart + 0.72 * radius), 1.25 * (y - crest_y) - radius)
        r = r + 1.5 * np.sin(y / rng.uniform(4, 8) + x / 9)
        crest = _soft(radius - r, rng.uniform(1.5, 3.5))
        fade = np.exp(-np.clip(radius - r, 0, None) / 22)
        wing = np.float32(density * rng.uniform(0.4, 0.75)) * crest * (0.35 + 0.65 * fade)
        out = np.maximum(out, wing * mottle)
    return out.astype(np.float32), (sacrum * mottle).astype(np.float32)
