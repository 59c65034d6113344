"""Light denoising of a prepared picture: enough to calm the grain, not enough to take the trabeculae."""

from __future__ import annotations

import cv2
import numpy as np

from spinecare.scan import Float32
from spinecare.settings import Denoise

# Standard deviation of the Gaussian, in pixels of the prepared picture.
GAUSSIAN_SIGMA = 0.7
# Strength of non-local means in standard deviations of the noise (0.8 to 1 is usual for patches of 5 pixels).
NLM_STRENGTH = 0.8


def denoise(image: Float32, how: Denoise) -> Float32:
    """The picture with less noise.

    Parameters
    ----------
    image
        float32 (rows, cols) in [0, 1].
    how
        `off`; `gaussian` (sigma 0.7 pixels); `nlm`, non-local means (Buades, Coll, Morel 2005,
        doi:10.1109/CVPR.2005.38); `wavelet`, BayesShrink (Chang, Yu, Vetterli 2000, doi:10.1109/83.862633).

    Returns
    -------
    float32 (rows, cols) in [0, 1]; the picture itself for `off`.

    Raises
    ------
    ValueError
        For another name.
    """
    if how == "off":
        return image
    if how == "gaussian":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), GAUSSIAN_SIGMA), dtype=np.float32)
    if how == "nlm":
        return _non_local_means(image)
    if how == "wavelet":
        return _wavelet(image)
    raise ValueError(f"There is no denoising called {how!r}: use off, gaussian, nlm or wavelet.")


def noise_sigma(image: Float32) -> float:
    """Standard deviation of the noise, estimated with a mask blind to planes and edges.

    J. Immerkaer, "Fast noise variance estimation", 1996, doi:10.1006/cviu.1996.0060.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = cv2.filter2D(image, cv2.CV_32F, mask)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2.0) * np.abs(response).mean() / 6.0) if response.size else 0.0


def _non_local_means(image: Float32) -> Float32:
    # 16 bits, as 8 would leave steps in the dark parts; OpenCV then compares patches by their L1 distance.
    full = 65535.0
    strength = NLM_STRENGTH * noise_sigma(image) * full
    if strength <= 0.0:
        return image
    coarse = np.rint(np.clip(image, 0.0, 1.0) * full).astype(np.uint16)
    quiet = cv2.fastNlMeansDenoising(
        coarse, h=[strength], templateWindowSize=5, searchWindowSize=13, normType=cv2.NORM_L1
    )
    return np.asarray(quiet / np.float32(full), dtype=np.float32)


def _wavelet(image: Float32) -> Float32:
    from skimage.restoration import denoise_wavelet  # here, since importing it costs more than using it

    sigma = noise_sigma(image)
    if sigma <= 0.0:
        return image
    quiet = denoise_wavelet(image, sigma=sigma, wavelet="sym4", method="BayesShrink", mode="soft")
    return np.asarray(np.clip(quiet, 0.0, 1.0), dtype=np.float32)
