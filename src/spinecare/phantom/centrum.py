"""A vertebra's body (centrum) on a grid aligned to the beam: wall, endplates, trabecular core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.phantom import trabeculae
from spinecare.phantom.look import COMPACT_G_CM3, Look
from spinecare.phantom.maps import Float
from spinecare.phantom.skeleton import Vertebra
from spinecare.scan import Float32

# The grid's step along the beam; across it is the plane's.
STEP_MM = trabeculae.LAYER_MM / 2
# How softly a surface crosses a voxel, mm.
SOFT_MM = 0.9
# How round the rim between wall and endplate is, mm.
RIM_MM = 2.0
# How far the back wall is hollowed towards the canal, mm.
KIDNEY_MM = 1.6
# Layers worked on at once: they fit a processor's cache.
AT_ONCE = 3


@dataclass(frozen=True)
class Centrum:
    """A body's shape.

    half_width, half_height, half_depth, wedge_mm
        As in `Vertebra`.
    waist, flare
        How much narrower in the middle, and wider below than above; shares of the half width.
    square
        s of the cross-section |u|^4 + s u^2 w^2 + |w|^4 = 1: 2 is an ellipse, 0 nearly a rectangle.
    dish_mm
        How deep the upper and lower endplate are hollowed.
    plate_mm
        Thickness of compact bone that the upper and lower endplate have beyond the wall's.
    shell_mm, core_g_cm3
        Of the wall; of the trabecular core.
    """

    half_width: float
    half_height: float
    half_depth: float
    wedge_mm: float
    waist: float
    flare: float
    square: float
    dish_mm: tuple[float, float]
    plate_mm: tuple[float, float]
    shell_mm: float
    core_g_cm3: float


def shape_of(bone: Vertebra, look: Look, rng: np.random.Generator) -> Centrum:
    """One body's own shape: the person's look, its own variation, what a fracture did to it."""
    g = rng.standard_normal(8)
    hollow = 0.30 * bone.fracture_grade if bone.fracture_kind == "biconcave" else 0.02 * bone.fracture_grade
    dish = look.concave * np.exp(0.25 * g[:2]) * [1.0, 1.5] + 0.5 * hollow
    # Broken trabeculae are driven together, endplates doubled.
    plate = look.endplate_mm * np.exp(0.2 * g[2:4]) * [1.0, look.endplate_lower] + 0.06 * bone.fracture_grade
    return Centrum(
        half_width=bone.half_width,
        half_height=bone.half_height,
        half_depth=bone.half_depth,
        wedge_mm=bone.wedge_mm,
        waist=look.waist * np.exp(0.2 * g[4]),
        flare=0.025 + 0.012 * g[5],
        square=look.square,
        dish_mm=(float(dish[0] * bone.half_height), float(dish[1] * bone.half_height)),
        plate_mm=(float(plate[0]), float(plate[1])),
        shell_mm=look.shell_mm,
        core_g_cm3=look.core_g_cm3 * np.exp(0.05 * g[6]) * (1 + 0.25 * bone.fracture_grade),
    )


def layers_of(half_depth: float) -> int:
    """How many layers of trabecular field a body of that half depth (mm) needs, however it tips: even."""
    return 2 * int(np.ceil((half_depth + 8) / trabeculae.LAYER_MM))


def project(
    shape: Centrum, axes: Float, x: Float32, y: Float32, field: Float32, contrast: float
) -> tuple[Float32, Float32]:
    """Let the beam through a body.

    Parameters
    ----------
    shape
        The body.
    axes
        Its own axes as rows, (3, 3).
    x, y
        float32 (cols,), (rows,): the pixels' mm from its centre, evenly spaced.
    field
        float32 (`layers_of`, rows, cols): its trabecular field of unit variance.
    contrast
        Standard deviation of trabecular bone against its mean.

    Returns
    -------
    mineral, tissue
        float32 (rows, cols): bone mineral g/cm2; bone tissue with its marrow, cm.
    """
    a = axes.astype(np.float32)
    reach = shape.half_depth + 1.5 + shape.half_height * abs(float(a[1, 2]))
    layers = min(2 * int(np.ceil(reach / trabeculae.LAYER_MM)), len(field))
    skipped = (len(field) - layers) // 2
    z = (np.arange(2 * layers, dtype=np.float32) - np.float32(layers - 0.5)) * np.float32(STEP_MM)
    flat = [a[i, 0] * x[None, :] + a[i, 1] * y[:, None] for i in range(3)]
    mineral, tissue = (np.zeros((len(y), len(x)), np.float32) for _ in range(2))
    step = np.array([x[1] - x[0], y[1] - y[0]])
    for first in range(0, layers, AT_ONCE):
        part = z[2 * first : 2 * (first + AT_ONCE)]
        u, v, w = (flat[i][None] + (a[i, 2] * part)[:, None, None] for i in range(3))
        inside, compact = _fill(shape, u, v, w)
        mineral += compact.sum(axis=0)
        core = inside.reshape(-1, 2, *inside.shape[1:]).sum(axis=1)
        for k, layer in enumerate(core):
            tissue += layer
            depth = float(part[2 * k : 2 * k + 2].mean())
            to_own = np.array([[*(a[i, :2] * step), flat[i][0, 0] + a[i, 2] * depth] for i in range(2)], np.float64)
            struts = trabeculae.seen(field[skipped + first + k], to_own, layer.shape)
            struts *= np.float32(contrast)
            struts += 1
            np.maximum(struts, np.float32(0.1), out=struts)
            struts *= layer
            struts *= np.float32(shape.core_g_cm3)
            mineral += struts
    cm = np.float32(STEP_MM / 10)
    return mineral * cm, tissue * cm


def _fill(shape: Centrum, u: Float32, v: Float32, w: Float32) -> tuple[Float32, Float32]:
    # How much of each voxel is inside, in [0, 1], and its compact bone, g/cm3; u is used up.
    below = v > 0
    share = v * np.float32(1 / shape.half_height)
    # One over the half width: waisted in the middle, wider below than above.
    narrow = np.float32(1 + shape.waist) - np.float32(shape.flare) * share
    share *= share
    np.minimum(share, 1, out=share)
    share *= np.float32(shape.waist)
    narrow -= share
    u *= narrow
    u *= np.float32(1 / shape.half_width)
    u *= u
    back = np.minimum(u, 1)
    back *= np.float32(-KIDNEY_MM)
    back += w
    back += np.float32(KIDNEY_MM)
    back *= narrow
    back *= np.float32(1 / shape.half_depth)
    back *= back
    # rho^2 of the superellipse.
    rho2 = u * back
    rho2 *= np.float32(shape.square)
    u *= u
    rho2 += u
    back *= back
    rho2 += back
    np.sqrt(rho2, out=rho2)
    wall = np.sqrt(rho2, out=back)
    np.subtract(1, wall, out=wall)
    wall *= np.float32(np.sqrt(shape.half_width * shape.half_depth))
    dish = np.clip(np.subtract(1, rho2, out=rho2), 0, 1, out=rho2)
    dish *= np.where(below, np.float32(shape.dish_mm[1]), np.float32(shape.dish_mm[0]))
    plate = w * np.float32(-shape.wedge_mm / 4 / shape.half_depth)
    plate += np.float32(shape.half_height)
    plate -= np.abs(v)
    plate -= dish
    # A smooth minimum of the depths under wall and endplate: the rim is round.
    depth = wall - plate
    depth *= depth
    depth += np.float32(RIM_MM**2)
    np.sqrt(depth, out=depth)
    wall += plate
    np.subtract(wall, depth, out=depth)
    depth *= np.float32(0.5)
    inside = depth * np.float32(1 / SOFT_MM)
    inside += np.float32(0.5)
    np.clip(inside, 0, 1, out=inside)
    # Thin compact sheets: their mineral is spread over a tent that the grid can carry.
    compact = _tent(depth, 0.7)
    compact *= np.float32(COMPACT_G_CM3 * shape.shell_mm / TENT_MM)
    sheet = _tent(plate, 0.9)
    sheet *= inside
    thick = [np.float32(COMPACT_G_CM3 * t / TENT_MM) for t in shape.plate_mm]
    sheet *= np.where(below, thick[1], thick[0])
    compact += sheet
    return inside, compact


# Half the base, and the area, of the tent.
TENT_MM = 1.2


def _tent(depth: Float32, middle: float) -> Float32:
    # Changes `depth`.
    depth -= np.float32(middle)
    np.abs(depth, out=depth)
    depth *= np.float32(-1 / TENT_MM)
    depth += 1
    return np.maximum(depth, 0, out=depth)
