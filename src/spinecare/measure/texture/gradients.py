"""Edges: how steep, how many, and whether they run one way.

Structure tensor: Bigun J, Granlund GH. Optimal orientation detection of linear symmetry. Proc ICCV 1987:433-438;
coherence as in Jahne B. Digital Image Processing, ch. 13. Derivatives are Scharr's, by OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.measure.texture.regions import Float64, Window
from spinecare.scan import Float32

# Over how many pixels (standard deviation) directions are compared.
SCALES = (1, 3)
NAMES = (
    "steepness",
    "steepness_of_std",
    "vertical_share",
    "edge_density",
    "steepness_cv",
    "laplace_of_std",
    *(f"coherence_s{s}" for s in SCALES),
)


def gradients(raw: Float32, windows: list[Window]) -> Float64:
    """float64 (windows, 8), as `NAMES`.

    `steepness`: mean length of the gradient, grey a pixel; `steepness_of_std`: the same divided by the region's
    standard deviation; `vertical_share`: of the gradient's energy, the share that points up or down; `edge_density`:
    share of pixels more than twice as steep as the region's median; `steepness_cv`: standard deviation of the
    gradient's length divided by its mean; `laplace_of_std`: standard deviation of the Laplacian by that of the grey;
    `coherence_s*`: mean of ((a - b) / (a + b))^2 of the structure tensor's eigenvalues a and b, 0 no direction
    ... 1 one direction. Of a flat region all are 0, but for the vertical share, 0.5.

    Parameters
    ----------
    raw
        float32 (rows, cols); derivatives are taken of the whole crop, so that a window's border is no edge.
    """
    # Scharr's weights add up to 32 for a step of one grey a pixel.
    across = cv2.Scharr(raw, cv2.CV_32F, 1, 0, scale=1.0 / 32.0, borderType=cv2.BORDER_REFLECT_101)
    down = cv2.Scharr(raw, cv2.CV_32F, 0, 1, scale=1.0 / 32.0, borderType=cv2.BORDER_REFLECT_101)
    laplace = cv2.Laplacian(raw, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
    length = cv2.magnitude(across, down)
    coherence = [_coherence(across, down, s) for s in SCALES]
    return np.stack(
        [
            _one([window.of(p) for p in (raw, across, down, length, laplace)], [window.of(c) for c in coherence])
            for window in windows
        ]
    )


def _one(parts: list[Float32], coherence: list[Float32]) -> Float64:
    grey, across, down, length, laplace = parts
    steep, std = float(np.mean(length)), float(np.std(grey))
    if std < 1e-6 or steep < 1e-9:
        return np.array([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, *(0.0 for _ in coherence)])
    up, side = float(np.mean(np.square(down))), float(np.mean(np.square(across)))
    return np.array(
        [
            steep,
            steep / std,
            up / (up + side),
            float(np.mean(length > 2.0 * np.median(length))),
            float(np.std(length)) / steep,
            float(np.std(laplace)) / std,
            *(float(np.mean(c)) for c in coherence),
        ]
    )


def _coherence(across: Float32, down: Float32, sigma: float) -> Float32:
    xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), sigma) for p in (across * across, down * down, across * down))
    energy = xx + yy
    # (a - b)^2 of the eigenvalues a, b without solving for them.
    found: Float32 = ((xx - yy) ** 2 + 4.0 * xy * xy) / np.maximum(energy * energy, 1e-20)
    return np.where(energy > 1e-10, found, np.float32(0.0))
