"""How rough the grey is, taken as a landscape: a fractal dimension between 2 (smooth) and 3 (fills space).

Two estimates. By boxes: differential box counting (Sarkar N, Chaudhuri BB. IEEE Trans Syst Man Cybern 1994;24:115-120,
doi:10.1109/21.259692) with boxes as low as one likes, which is the variation method (Dubuc B, Zucker SW, Tricot C,
Quiniou JF, Wehbi D. Evaluating the fractal dimension of surfaces. Proc R Soc Lond A 1989;425:113-127,
doi:10.1098/rspa.1989.0101). Boxes as high as they are wide give, on the 40 pixels of a level, 2.0 to 2.3 for
surfaces of dimension 2.1 to 2.9. And by the slope of the power spectrum, which for a fractional Brownian surface falls
as f^-(8 - 2D) (Voss RF, in The Science of Fractal Images, 1988, doi:10.1007/978-1-4612-3784-6_1).

A DXA picture is no fractal: its spectrum is bent by the scanner's blur and noise, so both describe this picture at
these scales and are no constants of the bone.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from spinecare.measure.texture.regions import Float64
from spinecare.scan import Float32

NAMES = ("dimension", "spectrum_slope")
# Half the width of a window in pixels.
REACHES = (1, 2, 3, 4, 6, 8)
# Cycles a pixel between which the spectrum's slope is taken: below, the region is too short; above, it is blur.
SLOPE_BAND = (0.05, 0.3)
RINGS = 8


def fractal(region: Float32) -> Float64:
    """float64 (2,), as `NAMES`. Of a flat region the dimension is 2 and the slope 0."""
    return np.array([dimension(region), spectrum_slope(region)])


def dimension(region: Float32) -> float:
    """3 less the slope of log(mean range of grey in a window) on log(the window's width); see the head of the file.

    2 exactly for a plane. On 40 x 40 pixels, surfaces of dimension 2.1, 2.5 and 2.9 give about 2.15, 2.35 and 2.5:
    a pixel is already a mean.
    """
    region = np.ascontiguousarray(region)
    ranges = np.empty(len(REACHES))
    for i, reach in enumerate(REACHES):
        window = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
        span = cv2.dilate(region, window) - cv2.erode(region, window)
        # Only windows that lie inside.
        ranges[i] = span[reach:-reach, reach:-reach].mean(dtype=np.float64)
    if ranges[0] < 1e-9:
        return 2.0
    return float(3.0 - np.polyfit(np.log(REACHES), np.log(ranges), 1)[0])


def spectrum_slope(region: Float32) -> float:
    """beta of power ~ f^-beta, by least squares over rings of equal width in log f, in a Hann window.

    0 for white noise; 8 - 2D for a fractional Brownian surface of dimension D.
    """
    centred = region.astype(np.float64) - region.mean()
    if centred.std() < 1e-6:
        return 0.0
    power = np.abs(fft.rfft2(centred * _hann(region.shape))) ** 2
    ring, log_f = _rings(region.shape)
    inside = ring >= 0
    n = np.bincount(ring[inside])
    mean = np.bincount(ring[inside], power[inside]) / n
    # A ring's mean over n frequencies scatters as 1 / sqrt(n).
    return float(-np.polyfit(log_f, np.log(np.maximum(mean, 1e-30)), 1, w=np.sqrt(n))[0])


@functools.cache
def _rings(shape: tuple[int, int]) -> tuple[npt.NDArray[np.intp], Float64]:
    """For each frequency of rfft2 the number of its ring, -1 outside; and the mean log f of each ring."""
    f = np.hypot(np.fft.fftfreq(shape[0])[:, np.newaxis], np.fft.rfftfreq(shape[1])[np.newaxis, :])
    edges = np.geomspace(*SLOPE_BAND, RINGS + 1)
    ring = np.where((f >= edges[0]) & (f < edges[-1]), np.searchsorted(edges, f, side="right") - 1, -1)
    # A ring may be empty where a region is small.
    kept, renumbered = np.unique(ring[ring >= 0], return_inverse=True)
    ring[ring >= 0] = renumbered
    log_f = np.array([np.log(f[ring == i]).mean() for i in range(len(kept))])
    return ring, log_f


@functools.cache
def _hann(shape: tuple[int, int]) -> Float64:
    return np.outer(np.hanning(shape[0] + 2)[1:-1], np.hanning(shape[1] + 2)[1:-1])
