"""X-rays through a body onto a fan-beam densitometer's detector: attenuation, scatter, quanta, blur, line noise.

The beam's spectra and the tissues' attenuation stand in `tables/spectra.json`, which `phantom.spectra` makes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.phantom.maps import Float, Plane
from spinecare.scan import Float32

# Entrance air kerma of an AP spine scan, both pulses together: 0.07-0.2 mGy by scan mode (Blake, Naeem and Boutros
# 2006, Bone 38:935, QDR 4500 and Discovery); the spread is that of modes and tubes.
DOSE_UGY = 110.0
DOSE_LOG_SD = 0.30
LOW_SHARE = 0.6
# Part of the entrance quanta that become data: slit wider than the detectors, dead time between pulses, light
# collection. Fitted to the grain of real exports (even groups: SD of a tenth of the bone's contrast).
EFFICIENCY = 0.10
# Focal spot and detector element, before the quanta are counted (mm, SD of a Gaussian).
APERTURE_MM = 0.40
# The machine's own samples lie 0.9-1.0 mm apart and are interpolated: correlates the grain. Fitted to the
# autocorrelation of real exports beside the spine (even groups: 0.72 and 0.31 at 0.9 and 1.8 mm down, 0.88 and 0.66
# at 0.6 and 1.2 mm along a line). Along a line and across lines.
SAMPLING_MM = (0.76, 0.70)
# A fan collimated to a slit lets little scatter through; broad, about as far as the body is thick.
SCATTER = 0.015
SCATTER_MM = 30.0
# Gain of single lines (tube output between reference readings), SD of a logarithm: usual, and the share of scans
# with a bad tube or a thick body where streaks show.
LINE_SD = 0.0022
BAD_LINES = 0.07
BAD_LINE_SD = 0.013


@dataclass(frozen=True, eq=False)
class Beam:
    """Two spectra as the detector weighs them, and what attenuates them.

    energies_kev
        float64 (n,).
    low, high
        float64 (n,): share of the detector's signal of the unattenuated beam in each energy bin; each sums to 1.
    bone, lean, fat
        float64 (n,): mass attenuation, cm2/g, of hydroxyapatite, ICRU muscle and ICRU adipose tissue.
    quanta
        Detected quanta per mm2 and uGy of entrance air kerma in the unattenuated beam (low, high).
    """

    energies_kev: Float
    low: Float
    high: Float
    bone: Float
    lean: Float
    fat: Float
    quanta: tuple[float, float]

    @property
    def materials(self) -> Float:
        """float64 (3, n): bone, lean, fat, cm2/g."""
        return np.stack([self.bone, self.lean, self.fat])


@cache
def switched() -> Beam:
    """The 100/140 kVp beam of a Hologic fan-beam machine."""
    text = (resources.files("spinecare.phantom") / "tables" / "spectra.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    columns = {name: np.array(table[name]) for name in ("energies_kev", "low", "high", "bone", "lean", "fat")}
    quanta = table["quanta_per_mm2_ugy"]
    return Beam(**columns, quanta=(quanta["low"], quanta["high"]))


def monoenergetic(low_kev: float = 60.0, high_kev: float = 100.0) -> Beam:
    """A beam of two sharp energies (30-137 keV), for which logarithms are linear in the masses.

    Attenuation is interpolated in the table, log against log.
    """
    table = switched()
    at = np.log([low_kev, high_kev])
    bone, lean, fat = (
        np.exp(np.interp(at, np.log(table.energies_kev), np.log(values)))
        for values in (table.bone, table.lean, table.fat)
    )
    return Beam(np.exp(at), np.array([1.0, 0.0]), np.array([0.0, 1.0]), bone, lean, fat, table.quanta)


def attenuate(
    bone: npt.NDArray[np.floating],
    lean: npt.NDArray[np.floating],
    fat: npt.NDArray[np.floating],
    beam: Beam | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Logarithmic attenuation behind three tissues: -ln sum_E w(E) exp(-sum_m mu_m(E) mass_m), Beer and Lambert.

    Parameters
    ----------
    bone, lean, fat
        Floating maps of one shape, g/cm2. float64 is computed in float64, everything else in float32.
    beam
        None takes `switched()`.

    Returns
    -------
    low, high
        Maps of the same shape.
    """
    beam = switched() if beam is None else beam
    dtype = np.float64 if np.result_type(bone, lean, fat) == np.float64 else np.float32
    masses = np.stack([np.asarray(m, dtype).ravel() for m in (bone, lean, fat)], axis=1)
    mu: npt.NDArray[Any] = (-beam.materials).astype(dtype)
    weights = np.stack([beam.low, beam.high], axis=1).astype(dtype)
    out = np.empty((len(masses), 2), dtype)
    step = 16384  # keeps the exponentials of a piece in the processor's cache
    for start in range(0, len(masses), step):
        exponents = masses[start : start + step] @ mu
        np.exp(exponents, out=exponents)
        np.matmul(exponents, weights, out=out[start : start + step])
    np.log(out, out=out)
    out *= -1
    shape = np.shape(bone)
    return np.ascontiguousarray(out[:, 0]).reshape(shape), np.ascontiguousarray(out[:, 1]).reshape(shape)


@dataclass(frozen=True)
class Exposure:
    """One scan's tube and detector: entrance air kerma (uGy, both pulses) and SD of the line gain (logarithm)."""

    dose_ugy: float = DOSE_UGY
    line_sd: float = LINE_SD

    @staticmethod
    def draw(rng: np.random.Generator) -> Exposure:
        """A machine and its mood on the day."""
        dose = DOSE_UGY * float(np.exp(DOSE_LOG_SD * rng.standard_normal()))
        bad = rng.random() < BAD_LINES
        sd = BAD_LINE_SD * rng.uniform(0.5, 1.5) if bad else LINE_SD * rng.exponential()
        return Exposure(dose, float(sd))


def expose(
    low: Float32,
    high: Float32,
    plane: Plane,
    rng: np.random.Generator,
    exposure: Exposure | None,
    beam: Beam | None = None,
) -> tuple[Float32, Float32]:
    """What the detector makes of two maps of logarithmic attenuation.

    Parameters
    ----------
    low, high
        float32 (rows, cols), from `attenuate`.
    exposure
        None leaves quantum and line noise away; blur and scatter stay.

    Returns
    -------
    low, high
        float32 (rows, cols): logarithms again, blurred, with scatter, quanta and line gain.
    """
    beam = switched() if beam is None else beam
    pixel_mm2 = plane.mm**2
    lines = np.zeros((2, *low.shape), np.float32)
    if exposure is not None:
        lines = _line_gain(low.shape, plane.mm, exposure.line_sd, rng)
    outs = []
    for log, quanta, share, line in zip((low, high), beam.quanta, (LOW_SHARE, 1 - LOW_SHARE), lines, strict=True):
        passed = _blur(cv2.exp(-log), APERTURE_MM / plane.mm)
        passed = passed + np.float32(SCATTER) * (_broad(passed, SCATTER_MM / plane.mm))
        if exposure is not None:
            full = np.float32(quanta * share * exposure.dose_ugy * EFFICIENCY * pixel_mm2)
            passed = _counted(passed * full, rng) / full
            passed *= cv2.exp(line)
        passed = _blur(passed, *(mm / plane.mm for mm in SAMPLING_MM))
        # The machine knows its mean scatter and takes it off; what varies across the body stays.
        passed = passed * np.float32(1 / (1 + SCATTER))
        outs.append(-cv2.log(np.maximum(passed, np.float32(1e-7))))
    return outs[0], outs[1]


def _counted(mean: Float32, rng: np.random.Generator) -> Float32:
    # Poisson's counts; above some hundred they are normal to what a picture can show, and ten times as fast.
    if float(mean.min()) < 100:
        return rng.poisson(mean).astype(np.float32)
    grain = rng.standard_normal(mean.shape, dtype=np.float32)
    grain *= np.sqrt(mean)
    grain += mean
    return grain


def _line_gain(shape: tuple[int, int], mm: float, sd: float, rng: np.random.Generator) -> Float32:
    # Each pulse of each line has its own output; along a line it drifts over some cm, which is why real streaks break
    # off.
    rows, cols = shape
    coarse = max(2, round(cols * mm / rng.uniform(6, 25)))
    field = rng.standard_normal((2 * rows, coarse), dtype=np.float32)
    field += np.float32(0.5) * rng.standard_normal((2 * rows, 1), dtype=np.float32)
    wide = cv2.resize(field, (cols, 2 * rows), interpolation=cv2.INTER_LINEAR)
    # Resampling along a line only: rows stay independent.
    return np.asarray(np.float32(sd) * wide, np.float32).reshape(2, rows, cols)


def _blur(image: Float32, along: float, across: float | None = None) -> Float32:
    across = along if across is None else across
    blurred = cv2.GaussianBlur(image, (0, 0), sigmaX=along, sigmaY=across, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _broad(image: Float32, sigma: float) -> Float32:
    rows, cols = image.shape
    small = cv2.resize(image, (max(cols // 8, 1), max(rows // 8, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigmaX=max(sigma / 8, 0.5), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR), np.float32)
