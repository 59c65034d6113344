"""Bone as clouds of points that carry mass: tubes and sheets, and their projection along the beam.

A shell of cortical bone around spongy bone, sampled densely enough that the projection is smooth. Summing points
keeps what a thickness map would lose: slanted plates get brighter, overlaps add up, mass is conserved.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.phantom.maps import Float, Plane
from spinecare.scan import Float32

# Bone mineral in cortical bone: 1.1-1.2 g/cm3 (ICRU 46, 1992, cortical bone: 1.92 g/cm3, about 60 % of it mineral).
CORTICAL_G_CM3 = 1.15
_SMEAR_MM = 0.45
GOLDEN_SHARE = (5**0.5 - 1) / 2
PLASTIC_SHARE = 0.7548776662
Floating = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of bone.

    points
        float32 (n, 3): mm, (right, down, back) of some frame.
    mass_mg
        float32 (n,): bone mineral.
    volume_mm3
        float32 (n,): bone tissue, marrow included.
    """

    points: Float32
    mass_mg: Float32
    volume_mm3: Float32

    def moved(self, centre: Float, axes: Float) -> Cloud:
        """From a bone's own frame into the plane's: `axes` has the own axes as rows."""
        points = self.points @ axes.astype(np.float32) + centre.astype(np.float32)
        return Cloud(points, self.mass_mg, self.volume_mm3)

    def scaled(self, factor: float | Float32) -> Cloud:
        """The same points with more or less mineral."""
        return Cloud(self.points, np.asarray(self.mass_mg * np.float32(factor), np.float32), self.volume_mm3)


def joined(clouds: list[Cloud]) -> Cloud:
    """Several clouds as one."""
    return Cloud(
        np.concatenate([cloud.points for cloud in clouds]),
        np.concatenate([cloud.mass_mg for cloud in clouds]),
        np.concatenate([cloud.volume_mm3 for cloud in clouds]),
    )


def mirrored(cloud: Cloud) -> Cloud:
    """The same on the other side of the midline."""
    return Cloud(cloud.points * np.array([-1, 1, 1], np.float32), cloud.mass_mg, cloud.volume_mm3)


def smooth_path(knots: npt.ArrayLike, step_mm: float) -> Float:
    """A smooth curve through points, (n, k): about one row a `step_mm` of the first three columns.

    A cardinal (Catmull-Rom) spline; further columns ride along.
    """
    at = np.asarray(knots, np.float64)
    ends = np.vstack([2 * at[0] - at[1], at, 2 * at[-1] - at[-2]])
    out = []
    for i in range(len(at) - 1):
        a, b, c, d = ends[i : i + 4]
        n = max(2, round(float(np.linalg.norm((c - b)[:3])) / step_mm))
        t = (np.arange(n) / n)[:, None]
        out.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    return np.vstack([*out, at[-1:]])


def tube(
    axis: Float,
    across: npt.ArrayLike,
    half_across: npt.ArrayLike,
    half_other: npt.ArrayLike,
    shell_mm: npt.ArrayLike,
    spongy_g_cm3: npt.ArrayLike,
    *,
    around: int = 24,
    rings: int = 3,
    caps_mm: tuple[float, float] = (0.0, 0.0),
) -> Cloud:
    """An elliptical tube along a curve: a cortical shell, spongy bone inside.

    Parameters
    ----------
    axis
        float64 (n, 3): mm.
    across
        (3,): the direction of the ellipse's first half axis, made square to the curve.
    half_across, half_other
        Half axes, mm, one or n of them.
    shell_mm
        Thickness of the shell, one or n.
    spongy_g_cm3
        Mineral inside, one or n.
    around, rings
        How many points around, and in how many rings within.
    caps_mm
        Thickness of plates that close the first and the last end.
    """
    n = len(axis)
    along = np.gradient(axis, axis=0)
    step = np.linalg.norm(along, axis=1)
    step[[0, -1]] *= 0.5
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    first = np.asarray(across, np.float64) - along * (along @ np.asarray(across, np.float64))[:, None]
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    other = np.cross(along, first)
    given = (half_across, half_other, shell_mm, spongy_g_cm3)
    a, b, shell, spongy = (np.broadcast_to(np.asarray(v, np.float64), (n,)) for v in given)
    # Every slice is turned by another share of a step, and each ring against the next, so that points never line up
    # along the beam.
    turned = np.arange(n)[:, None] * GOLDEN_SHARE % 1
    angle = ((np.arange(around) + turned) * (2 * np.pi / around)).astype(np.float32)
    unit = np.cos(angle), np.sin(angle)
    inner_a, inner_b = (np.maximum(half - shell / 2, 0.1).astype(np.float32)[:, None] for half in (a, b))
    cos, sin = inner_a * unit[0], inner_b * unit[1]
    middle, one, two = (part.astype(np.float32) for part in (axis, first, other))
    points = [_placed(middle, one, two, cos, sin)]
    core = np.maximum(a - shell, 0.0) * np.maximum(b - shell, 0.0)
    wall = np.hypot(cos * (inner_b / inner_a), sin * (inner_a / inner_b))
    wall *= (np.pi * (a * b - core) * step / wall.sum(axis=1) * CORTICAL_G_CM3).astype(np.float32)[:, None]
    wide, high = a.astype(np.float32)[:, None], b.astype(np.float32)[:, None]
    for ring in range(rings):
        # Nor do radii repeat from slice to slice: rings would show as lines.
        share = np.sqrt((ring + np.arange(n)[:, None] * PLASTIC_SHARE % 1) / rings).astype(np.float32)
        cos, sin = (share * np.roll(part, 3 * ring + 2, axis=0) for part in unit)
        points.append(_placed(middle, one, two, wide * cos, high * sin))
    cell = np.pi * step / (around * rings)
    mass = [wall.ravel(), np.tile(np.repeat(core * cell * spongy, around), rings)]
    volume = [np.zeros(wall.size), np.tile(np.repeat(a * b * cell, around), rings)]
    for end, thick in zip((0, -1), caps_mm, strict=True):
        if thick > 0:
            p, q = _disc(6 * rings * around)
            points.append(_placed(middle[end], one[end], two[end], a[end] * p, b[end] * q))
            mass.append(np.full(len(p), np.pi * a[end] * b[end] * thick * CORTICAL_G_CM3 / len(p)))
            volume.append(np.zeros(len(p)))
    return Cloud(*(np.concatenate(parts).astype(np.float32) for parts in (points, mass, volume)))


def _placed(axis: Float32, first: Float32, other: Float32, p: Floating, q: Floating) -> Float32:
    # Points (p, q) of every slice's ellipse in space.
    parts = [axis[..., k, None] + p * first[..., k, None] + q * other[..., k, None] for k in range(3)]
    return np.stack([part.ravel() for part in parts], axis=1)


def _disc(n: int) -> tuple[Float, Float]:
    # Points spread evenly over the unit disc (Vogel's sunflower).
    k = np.arange(n, dtype=np.float64)
    radius = np.sqrt((k + 0.5) / n)
    angle = 2 * np.pi * GOLDEN_SHARE * k
    return radius * np.cos(angle), radius * np.sin(angle)


def sheet(surface: Floating, thickness_mm: npt.ArrayLike, tables_mm: npt.ArrayLike, spongy_g_cm3: float) -> Cloud:
    """A curved plate: two tables of cortical bone, spongy bone between.

    Parameters
    ----------
    surface
        float (n, m, 3): points of the middle surface, mm.
    thickness_mm, tables_mm
        Whole thickness, and that of both tables together, one or (n, m).
    """
    surface = surface.astype(np.float32)
    one, two = np.gradient(surface, axis=0), np.gradient(surface, axis=1)
    normal = np.cross(one, two)
    area = np.linalg.norm(normal, axis=2)
    normal /= np.maximum(area, 1e-9)[..., None]
    whole = np.broadcast_to(np.asarray(thickness_mm, np.float32), area.shape)
    tables = np.minimum(np.broadcast_to(np.asarray(tables_mm, np.float32), area.shape), whole)
    mass = area * (tables * np.float32(CORTICAL_G_CM3 / 2) + (whole - tables) * np.float32(spongy_g_cm3 / 2))
    offset = normal * ((whole - tables / 2) / 2)[..., None]
    points = np.concatenate([(surface + offset).reshape(-1, 3), (surface - offset).reshape(-1, 3)])
    return Cloud(points, np.tile(mass.ravel(), 2), np.tile((area * whole / 2).ravel(), 2))


def project(cloud: Cloud, plane: Plane) -> tuple[Float32, Float32]:
    """A cloud in the plane's frame, as the beam (along z) sees it.

    Returns
    -------
    bone
        float32 (rows, cols): areal bone mineral, g/cm2.
    thickness_cm
        float32 (rows, cols): bone tissue in the beam.
    """
    bone, thickness = (np.zeros((plane.rows, plane.cols), np.float32) for _ in range(2))
    col = cloud.points[:, 0] / np.float32(plane.mm) + np.float32(plane.col0)
    row = cloud.points[:, 1] / np.float32(plane.mm) + np.float32(plane.row0)
    # A few pixels more than the plane's, as the smear reaches in.
    pad = 4
    seen = (col > -pad) & (row > -pad) & (col < plane.cols + pad) & (row < plane.rows + pad)
    if not seen.any():
        return bone, thickness
    col, row = col[seen], row[seen]
    top, left = int(np.floor(row.min())) - pad, int(np.floor(col.min())) - pad
    rows, cols = int(row.max()) + 2 + pad - top, int(col.max()) + 2 + pad - left
    first, second = np.floor(row), np.floor(col)
    down, right = row - first, col - second
    base = ((first - top) * cols + (second - left)).astype(np.intp)
    corners = (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (cols, down * (1 - right)),
        (cols + 1, down * right),
    )
    # Output window, cut where the plane ends.
    r0, r1, c0, c1 = max(top, 0), min(top + rows, plane.rows), max(left, 0), min(left + cols, plane.cols)
    for out, amount, unit in (
        (bone, cloud.mass_mg[seen], 1e-3 / (plane.mm / 10) ** 2),
        (thickness, cloud.volume_mm3[seen], 0.1 / plane.mm**2),
    ):
        total = np.zeros(rows * cols)
        for shift, share in corners:
            total += np.bincount(base + shift, amount * share, rows * cols)
        image = (total.reshape(rows, cols) * unit).astype(np.float32)
        image = cv2.GaussianBlur(image, (0, 0), _SMEAR_MM / plane.mm, borderType=cv2.BORDER_CONSTANT)
        out[r0:r1, c0:c1] = image[r0 - top : r1 - top, c0 - left : c1 - left]
    return bone, thickness
