"""Trabecular bone as a random field: struts and plates, longer along the body's axis than across."""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.phantom.maps import PIXEL_MM, Float
from spinecare.scan import Float32

# The field is held in layers across the beam; neighbours farther apart than trabecular spacing (0.6-1 mm,
# Hildebrand et al. 1999, J Bone Miner Res 14:1167) are independent.
LAYER_MM = 2.4
# Standard deviations of the smoothing across and along the body's axis, mm: fine struts, and the patchiness of
# a body (basivertebral vein, denser corners).
FINE_MM = 0.55
PATCH_MM = 2.6
PATCH_SHARE = 0.45


def field(
    layers: int, half_height_mm: float, half_width_mm: float, coarse: float, upright: float, rng: np.random.Generator
) -> Float32:
    """A field of unit variance in a vertebra's own frame.

    Parameters
    ----------
    layers
        How many layers of `LAYER_MM`, front to back.
    half_height_mm, half_width_mm
        What the field has to cover, from the body's centre.
    coarse
        Size of the structures against the usual.
    upright
        Their length along the body's axis against across.
    rng
        The field comes from it.

    Returns
    -------
    float32 (layers, rows, cols)
        At `PIXEL_MM`, the body's centre in the middle.
    """
    rows, cols = (2 * int(np.ceil(half / PIXEL_MM)) + 1 for half in (half_height_mm, half_width_mm))
    noise = rng.standard_normal((rows, cols, layers), dtype=np.float32)
    across = FINE_MM * coarse / PIXEL_MM
    fine = _smooth(noise, across, across * upright)
    patch = PATCH_MM * coarse / PIXEL_MM
    patchy = _smooth(np.ascontiguousarray(noise[::-1, ::-1]), patch, patch * np.sqrt(upright))
    mixed = np.sqrt(1 - PATCH_SHARE**2) * fine + PATCH_SHARE * patchy
    return np.ascontiguousarray(np.moveaxis(mixed, 2, 0), dtype=np.float32)


def _smooth(noise: Float32, across: float, along: float) -> Float32:
    # Unit variance by the kernel's own sum of squares, so that no field depends on what else was drawn.
    kernels = [cv2.getGaussianKernel(2 * int(3 * s + 1) + 1, s) for s in (across, along)]
    smooth = cv2.sepFilter2D(noise, cv2.CV_32F, kernels[0], kernels[1], borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth / np.prod([np.sqrt((k**2).sum()) for k in kernels]), dtype=np.float32)


def seen(layer: Float32, to_own: Float, shape: tuple[int, int]) -> Float32:
    """One layer of a field on a picture's pixels.

    Parameters
    ----------
    layer
        float32 (rows, cols) of a `field`.
    to_own
        float64 (2, 3): own (x, y) in mm of a picture's pixel (column, row, 1).
    shape
        Of the picture, (rows, cols).

    Returns
    -------
    float32 `shape`
        Mirrored where the field does not reach.
    """
    matrix = to_own / PIXEL_MM
    matrix[:, 2] += (layer.shape[1] - 1) / 2, (layer.shape[0] - 1) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(layer, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT), dtype=np.float32
    )
