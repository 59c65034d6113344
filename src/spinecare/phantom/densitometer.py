"""What a densitometer does with two logarithms: decomposition, baseline, calibration -> a BMD map in g/cm2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.phantom import baseline, body, xray
from spinecare.phantom.body import FAT_G_CM3, LEAN_G_CM3
from spinecare.phantom.maps import BmdMap, Float, Plane, Projection, SoftTissue
from spinecare.phantom.xray import Beam, Exposure
from spinecare.scan import Bool

# Calibration to the scale of a spine phantom: blur takes a little bone over the outline's edge.
SCALE = 1.035
# Error of the fitted ratio k against one that cancels soft tissue exactly, as bone equivalent per soft tissue
# (g/cm2 per g/cm2): leaves thickness, gas and flanks faintly visible, as they are on real exports.
RATIO_SD = 0.0015


@dataclass(frozen=True)
class Settings:
    """What to leave out, for tests and bounds: what differs from day to day in the soft tissue, noise of the
    detector, degeneration, error of the fitted ratio."""

    day: bool = True
    noise: bool = True
    degeneration: bool = True
    ratio_error: bool = True


IDEAL = Settings(day=False, noise=False, degeneration=False, ratio_error=False)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Polynomials from two logarithms to masses of bone and lean-equivalent soft tissue.

    ratio, unit
        The polynomials' variables are low - ratio * high and high / unit, which are nearly independent and near 1:
        float32 then loses nothing.
    bone, soft
        float64 (degree + 1, degree + 1): coefficient of the i-th power of the first times the j-th of the second.
    """

    ratio: float
    unit: float
    bone: Float
    soft: Float


@lru_cache(maxsize=8)
def step_wedges(beam: Beam | None = None, degree: int = 5) -> Calibration:
    """Calibrate as with wedges of hydroxyapatite on water-like slabs: fit masses to their two logarithms.

    Cardinal and Fenster 1990, Med Phys 17:327 (polynomial dual-energy calibration).

    Parameters
    ----------
    beam
        None takes `xray.switched()`.
    degree
        Of the polynomials; 1 is exact for a monoenergetic beam.
    """
    # Negative bone too: that is what fat reads as.
    bone, soft = (a.ravel() for a in np.meshgrid(np.linspace(-0.8, 3.2, 21), np.linspace(4, 48, 45)))
    low, high = xray.attenuate(bone, soft, np.zeros_like(bone), beam)
    middle = np.abs(bone) < 0.1
    ratio, unit = float((low[middle] / high[middle]).mean()), float(high.mean())
    x, y = low - ratio * high, high / unit
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i) if i + j > 0]
    terms = np.stack([x**i * y**j for i, j in powers], axis=1)
    fit, *_ = np.linalg.lstsq(terms, np.stack([bone, soft], axis=1), rcond=None)
    tables = np.zeros((2, degree + 1, degree + 1))
    for (i, j), values in zip(powers, fit, strict=True):
        tables[:, i, j] = values
    return Calibration(ratio, unit, tables[0], tables[1])


def decompose(
    low: npt.NDArray[np.floating], high: npt.NDArray[np.floating], calibration: Calibration
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Masses of bone and soft tissue, g/cm2, from two maps of logarithmic attenuation.

    Soft tissue comes out as lean; fat reads as lean and a little negative bone. Same shape and dtype as `low`.
    """
    x = low - low.dtype.type(calibration.ratio) * high
    y = high * low.dtype.type(1 / calibration.unit)
    bone, soft = _polynomial(x, y, calibration.bone), _polynomial(x, y, calibration.soft)
    return bone, soft


def _polynomial(x: npt.NDArray[Any], y: npt.NDArray[Any], table: Float) -> npt.NDArray[Any]:
    # Horner in y inside Horner in x.
    order = len(table) - 1
    out = np.zeros_like(x)
    for i in range(order, -1, -1):
        row = np.full_like(x, table[i, order - i])
        for j in range(order - i - 1, -1, -1):
            row *= y
            row += x.dtype.type(table[i, j])
        out *= x
        out += row
    return out


@cache
def fat_error_g_cm2_per_mm(thickness_cm: float = 20.0, fat_share: float = 0.3) -> float:
    """How much 1 mm more fat (and less lean) over the spine than beside it changes the BMD that is read, g/cm2.

    Negative: fat over the bone hides bone. About 0.05 g/cm2 per cm on real machines (Hangartner and Johnston 1990,
    Bone Miner 11:71).

    Parameters
    ----------
    thickness_cm
        Of soft tissue.
    fat_share
        Of its volume.
    """
    fat_cm = thickness_cm * fat_share + np.array([0.0, 0.1])
    lean = (thickness_cm - fat_cm) * LEAN_G_CM3
    zero = np.zeros(2)
    bone, soft = decompose(*xray.attenuate(zero, lean, fat_cm * FAT_G_CM3), step_wedges())
    ratio = bone[0] / soft[0]
    return float(SCALE * (bone[1] - ratio * soft[1]))


def scan_bmd(
    projection: Projection,
    tissue: SoftTissue,
    plane: Plane,
    rng: np.random.Generator,
    settings: Settings = Settings(),
) -> BmdMap:
    """Scan one person.

    Parameters
    ----------
    projection, tissue
        Bone and soft tissue in the beam, on `plane`.
    rng
        The exposure's stream: tube, quanta, lines.
    settings
        What to leave out.

    Returns
    -------
    BmdMap
        On the same plane.
    """
    bone = projection.bone + projection.added if settings.degeneration else projection.bone
    if settings.day:
        tissue = body.settle(tissue, projection, plane, rng)
    low, high = xray.attenuate(bone, tissue.lean, tissue.fat)
    exposure = Exposure.draw(rng) if settings.noise else None
    low, high = xray.expose(low, high, plane, rng, exposure)
    mineral, soft = decompose(low, high, step_wedges())
    beside = baseline.beside(projection, plane)
    ratio = float(mineral[beside].sum() / soft[beside].sum()) if beside.any() else 0.0
    error = RATIO_SD * float(rng.standard_normal())
    if settings.ratio_error:
        ratio += error
    signal = mineral - np.float32(ratio) * soft
    signal -= baseline.baseline(signal, beside, projection.column, plane)
    return BmdMap(np.float32(SCALE) * signal, low, high)


def read_bmd(bmd_map: BmdMap, masks: Bool) -> Float:
    """BMD of each level: content over area inside its outline, g/cm2.

    Parameters
    ----------
    masks
        bool (4, rows, cols), L1 first; none empty.

    Returns
    -------
    float64 (4,)
    """
    return np.array([bmd_map.bmd[mask].mean(dtype=np.float64) for mask in masks])
