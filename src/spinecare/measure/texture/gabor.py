"""Energies of a bank of Gabor filters: how much of a region's variance has which wavelength and direction.

Jain AK, Farrokhnia F. Unsupervised texture segmentation using Gabor filters. Pattern Recognit 1991;24:1167-1186.
doi:10.1016/0031-3203(91)90143-S. Kernels are scikit-image's. The energy of a filtered picture, summed over the picture,
is a sum over its spectrum (Parseval), so that the whole bank costs one Fourier transform.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import fft
from skimage.filters import gabor_kernel

from spinecare.measure.texture.regions import Float64
from spinecare.scan import Float32

WAVELENGTHS = (3, 6, 12, 24)
# Direction along which the grey waves, from the horizontal: 90 waves down the spine, as endplates do.
ANGLES_DEG = (0, 45, 90, 135)
BANDWIDTH_OCTAVES = 1.0
NAMES = tuple(f"w{w}_a{a}" for w in WAVELENGTHS for a in ANGLES_DEG)
# Least share told: of a flat region every share is this.
FLOOR = 1e-9


def gabor(region: Float32) -> Float64:
    """float64 (16,), as `NAMES`: log10 of each filter's energy per unit of the region's variance.

    The region, less its mean, fades out to all sides (Tukey window over half of each side), so that its borders
    make no waves; a change of gain or offset changes nothing.
    """
    faded = (region - region.mean()) * _window(region.shape)
    total = float((faded.astype(np.float64) ** 2).sum())
    if total < 1e-9 * region.size:
        return np.full(len(NAMES), np.log10(FLOOR))
    return np.log10(np.maximum(energies(faded) / total, FLOOR))


def energies(region: Float32) -> Float64:
    """float64 (16,): sum of |filtered|^2 over all pixels, for each filter of the bank, on black ground."""
    shape = _padded(region.shape)
    power = np.abs(fft.rfft2(region, shape)) ** 2
    found: Float64 = (_bank(shape) @ power.ravel()).astype(np.float64)
    return found / (shape[0] * shape[1])


def _padded(shape: tuple[int, ...]) -> tuple[int, int]:
    # As much black ground as the longest kernel, so that nothing comes round on the other side.
    reach = _kernel(WAVELENGTHS[-1], 0).shape[0]
    return fft.next_fast_len(shape[0] + reach, real=True), fft.next_fast_len(shape[1] + reach, real=True)


@functools.cache
def _kernel(wavelength: int, angle_deg: int) -> np.ndarray[tuple[int, int], np.dtype[np.complex128]]:
    kernel: np.ndarray[tuple[int, int], np.dtype[np.complex128]] = gabor_kernel(
        1.0 / wavelength, theta=np.deg2rad(angle_deg), bandwidth=BANDWIDTH_OCTAVES
    )
    return kernel


@functools.cache
def _bank(shape: tuple[int, int]) -> Float32:
    """float32 (16, frequencies of rfft2): |transfer function|^2, both halves of the plane added up in one."""
    rows = []
    for wavelength in WAVELENGTHS:
        for angle in ANGLES_DEG:
            whole = np.abs(np.fft.fft2(_kernel(wavelength, angle), shape)) ** 2
            # A real picture's power is the same at f and -f.
            opposite = np.roll(whole[::-1, ::-1], 1, axis=(0, 1))
            half = (whole + opposite)[:, : shape[1] // 2 + 1]
            half[:, 0] *= 0.5
            if shape[1] % 2 == 0:
                half[:, -1] *= 0.5
            rows.append(half.ravel())
    return np.stack(rows).astype(np.float32)


@functools.cache
def _window(shape: tuple[int, int]) -> Float32:
    from scipy.signal.windows import tukey

    return np.outer(tukey(shape[0], 0.5), tukey(shape[1], 0.5)).astype(np.float32)
