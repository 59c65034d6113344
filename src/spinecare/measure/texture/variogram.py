"""The experimental variogram: how different the grey of two pixels is, by how far they stand apart.

Matheron G. Principles of geostatistics. Econ Geol 1963;58:1246-1266. doi:10.2113/gsecongeo.58.8.1246. Its slope in
log-log is the idea behind trabecular bone scores (Pothuaud L, Carceller P, Hans D. Bone 2008;42:775-787.
doi:10.1016/j.bone.2007.11.018). What is measured here is not such a score: those are a maker's own computation on the
scanner's own pixels, of known size and grey scale, and were calibrated on them; here is a resized picture of unknown
gain.
"""

from __future__ import annotations

import numpy as np

from spinecare.measure.texture.regions import Float64
from spinecare.scan import Float32

# Pixels apart. The first lags give the first slope, the others the slope farther out.
NEAR = (1, 2, 3, 4)
FAR = (4, 6, 8, 12, 16)
LAGS = tuple(sorted({*NEAR, *FAR}))
_PARTS = ("log_g1", "log_g4", "log_g16", "near_slope", "far_slope")
NAMES = tuple(f"{direction}_{part}" for direction in ("vertical", "horizontal") for part in _PARTS)


def variogram(region: Float32) -> Float64:
    """float64 (10,), as `NAMES`: along columns, then along rows.

    `log_g*`: log10 of the variogram at 1, 4 and 16 pixels divided by the region's variance (no gain, no offset);
    `near_slope`, `far_slope`: slope of log variogram on log lag over 1 ... 4 and 4 ... 16 pixels, 2H for a
    fractional Brownian surface with Hurst exponent H, 0 for white noise. Of a flat region all are 0.
    """
    variance = float(region.var(dtype=np.float64))
    if variance < 1e-12:
        return np.zeros(len(NAMES))
    return np.concatenate([_along(region, variance), _along(region.T, variance)])


def gammas(region: Float32, lags: tuple[int, ...] = LAGS) -> Float64:
    """float64 (lags,): half the mean squared difference of pixels `lag` rows apart, in grey squared."""
    grey = region.astype(np.float64)
    steps = [(grey[lag:] - grey[:-lag]).ravel() for lag in lags]
    return np.array([0.5 * (step @ step) / step.size for step in steps])


def _along(region: Float32, variance: float) -> Float64:
    log_gamma = np.log(np.maximum(gammas(region) / variance, 1e-12))
    levels = [log_gamma[LAGS.index(lag)] / np.log(10.0) for lag in (1, 4, 16)]
    slopes = [_slope(log_gamma, lags) for lags in (NEAR, FAR)]
    return np.array([*levels, *slopes])


def _slope(log_gamma: Float64, lags: tuple[int, ...]) -> float:
    x = np.log(lags)
    y = log_gamma[[LAGS.index(lag) for lag in lags]]
    x = x - x.mean()
    return float(x @ y / (x @ x))
