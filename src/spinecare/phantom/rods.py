"""Rods and plates of compact bone around a spongy core, in a box of voxels: what a vertebra's arch is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.phantom.look import COMPACT_G_CM3
from spinecare.phantom.maps import Float
from spinecare.scan import Float32


@dataclass(frozen=True, eq=False)
class Box:
    """Voxels aligned to the scan plane, around a vertebra's centre.

    x, y, z
        float32 (nx,), (ny,), (nz,): mm from the centre.
    density
        float32 (nz, ny, nx): bone mineral, g/cm3.
    """

    x: Float32
    y: Float32
    z: Float32
    density: Float32

    @staticmethod
    def empty(x: Float32, y: Float32, z: Float32) -> Box:
        """A box of nothing."""
        return Box(x, y, z, np.zeros((len(z), len(y), len(x)), np.float32))


@dataclass(frozen=True, eq=False)
class Rod:
    """A rounded rod or plate in a vertebra's own frame, mm.

    start, end
        (x, y, z) of its axis' ends.
    across
        The direction (own frame) of `half_across`; made square to the axis.
    half_across, half_other
        Half thickness in that direction and in the third.
    compact_mm
        Thickness of its compact wall; inside is `core_g_cm3`.
    taper
        How much thinner its end is than its start, a share.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    across: tuple[float, float, float]
    half_across: float
    half_other: float
    compact_mm: float
    core_g_cm3: float
    taper: float = 0.0


def add(box: Box, rod: Rod, axes: Float) -> None:
    """Put a rod into a box; where bone is already, the denser stays.

    Parameters
    ----------
    box
        Its `density` is changed in place.
    rod
        In the own frame whose rows in the plane's coordinates are `axes`.
    """
    start, along = np.asarray(rod.start), np.subtract(rod.end, rod.start)
    length = float(np.linalg.norm(along))
    along = along / length
    across = np.asarray(rod.across) - np.dot(rod.across, along) * along
    across /= np.linalg.norm(across)
    to_plane = axes.T
    origin, along, across, other = (to_plane @ v for v in (start, along, across, np.cross(along, across)))
    reach = max(rod.half_across, rod.half_other)
    spread = np.sqrt((rod.half_across * across) ** 2 + (rod.half_other * other) ** 2) + np.abs(along) * min(
        rod.half_across, rod.half_other
    )
    ends = np.stack([origin, origin + length * along])
    low, high = ends.min(axis=0) - spread - 0.8, ends.max(axis=0) + spread + 0.8
    cut = tuple(
        slice(*np.searchsorted(a, [lo, hi])) for a, lo, hi in zip((box.x, box.y, box.z), low, high, strict=True)
    )
    x, y, z = (a[s] - np.float32(o) for a, s, o in zip((box.x, box.y, box.z), cut, origin, strict=True))
    if not (len(x) and len(y) and len(z)):
        return
    x, y, z = x[None, None, :], y[None, :, None], z[:, None, None]
    t = _linear(along, x, y, z)
    beyond = np.clip(t, 0, np.float32(length))
    shrink = 1 / (1 - np.float32(rod.taper / length) * beyond) if rod.taper else None
    np.subtract(t, beyond, out=t)
    # The rod's end is round with its smaller half thickness.
    small = min(rod.half_across, rod.half_other)
    t *= np.float32(1 / small)
    q = _linear(across / rod.half_across, x, y, z)
    r = _linear(other / rod.half_other, x, y, z)
    q *= q
    r *= r
    q += r
    if shrink is not None:
        q *= shrink * shrink
    t *= t
    q += t
    np.sqrt(q, out=q)
    # Depth under the surface; exact across the thin direction, a fair guess along the wide one.
    depth = np.subtract(np.float32(1), q, out=q)
    depth *= np.float32(small + 0.35 * (reach - small))
    inside = np.clip(depth * np.float32(1 / 0.9) + np.float32(0.5), 0, 1)
    core = np.clip((depth - np.float32(rod.compact_mm)) * np.float32(1 / 0.9) + np.float32(0.5), 0, 1)
    inside *= np.float32(COMPACT_G_CM3)
    core *= np.float32(COMPACT_G_CM3 - rod.core_g_cm3)
    inside -= core
    part = box.density[cut[2], cut[1], cut[0]]
    np.maximum(part, inside, out=part)


def _linear(v: Float, x: Float32, y: Float32, z: Float32) -> Float32:
    plane = np.float32(v[0]) * x + np.float32(v[1]) * y
    return np.asarray(plane + np.float32(v[2]) * z)
