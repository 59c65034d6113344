"""Grey-level co-occurrence: how often two grey levels stand a given step apart.

Haralick RM, Shanmugam K, Dinstein I. Textural features for image classification. IEEE Trans Syst Man Cybern
1973;3:610-621. doi:10.1109/TSMC.1973.4309314. Pairs are counted by scikit-image.
"""

from __future__ import annotations

import functools

import numpy as np
from skimage.feature import graycomatrix

from spinecare.measure.texture.regions import GREY_LEVELS, Float64
from spinecare.scan import UInt8

DISTANCES = (1, 2, 4, 8)
# Beside, diagonal, above, the other diagonal: scikit-image's angles, in radians.
ANGLES = (0.0, 0.25 * np.pi, 0.5 * np.pi, 0.75 * np.pi)
PROPERTIES = (
    "contrast",
    "dissimilarity",
    "homogeneity",
    "asm",
    "correlation",
    "entropy",
    "difference_entropy",
    "sum_entropy",
    "sum_skewness",
    "sum_kurtosis",
    "imc1",
    "imc2",
)
# Properties of which the difference between the vertical and the horizontal step is kept too.
_DIRECTED = ("contrast", "correlation", "entropy")
NAMES = tuple(f"{p}_d{d}" for d in DISTANCES for p in PROPERTIES) + tuple(
    f"{p}_d{d}_vertical_less_horizontal" for d in DISTANCES for p in _DIRECTED
)


def glcm(region: UInt8, levels: int = GREY_LEVELS) -> Float64:
    """float64 (60,), as `NAMES`: each property as the mean over four directions, and some as vertical less horizontal.

    Parameters
    ----------
    region
        uint8 (rows, cols), grey levels 0 ... levels - 1.
    """
    pairs = graycomatrix(region, DISTANCES, ANGLES, levels=levels, symmetric=True, normed=True)
    found = properties(pairs.reshape(levels, levels, -1)).reshape(len(PROPERTIES), len(DISTANCES), len(ANGLES))
    directed = found[[PROPERTIES.index(p) for p in _DIRECTED]]
    difference = directed[:, :, 2] - directed[:, :, 0]
    return np.concatenate([found.mean(axis=2).T.ravel(), difference.T.ravel()])


def properties(pairs: Float64) -> Float64:
    """The properties of symmetric co-occurrence matrices.

    Parameters
    ----------
    pairs
        float64 (levels, levels, m): m matrices, each symmetric and with sum 1.

    Returns
    -------
    float64 (12, m), as `PROPERTIES`. Entropies are in bits. `sum_skewness` and `sum_kurtosis` are cluster shade and
    cluster prominence divided by the third and fourth power of the standard deviation of i + j, which makes them
    shares and not powers of a grey scale. `imc1`, `imc2` are the information measures of correlation. Of a flat region
    correlation is 1 (as in scikit-image), skewness and imc 0, kurtosis 3.
    """
    levels, _, m = pairs.shape
    flat = pairs.reshape(levels * levels, m)
    by_difference, by_sum = _folds(levels)
    d, s = by_difference @ flat, by_sum @ flat
    side = pairs.sum(axis=0)
    k = np.arange(levels, dtype=np.float64)
    # The matrices are symmetric, so i - j has mean 0, and its variance is the contrast.
    contrast = k**2 @ d
    away = np.arange(2 * levels - 1)[:, np.newaxis] - np.arange(2 * levels - 1) @ s
    square = away * away
    variance = (square * s).sum(axis=0)
    spread = np.where(variance > 1e-12, variance, 1.0)
    some = variance > 1e-12
    entropy, side_entropy = _entropy(flat), _entropy(side)
    # Of independent pixels with these margins, the pair's entropy would be twice the margin's.
    mutual = 2.0 * side_entropy - entropy
    return np.stack(
        [
            contrast,
            k @ d,
            (1.0 / (1.0 + k**2)) @ d,
            (flat**2).sum(axis=0),
            np.where(variance + contrast > 1e-12, (variance - contrast) / np.maximum(variance + contrast, 1e-12), 1.0),
            entropy,
            _entropy(d),
            _entropy(s),
            np.where(some, (square * away * s).sum(axis=0) / spread**1.5, 0.0),
            np.where(some, (square * square * s).sum(axis=0) / spread**2, 3.0),
            -mutual / np.maximum(side_entropy, 1e-12) * (side_entropy > 1e-12),
            np.sqrt(np.maximum(1.0 - np.exp(-2.0 * np.log(2.0) * mutual), 0.0)),
        ]
    )


@functools.cache
def _folds(levels: int) -> tuple[Float64, Float64]:
    """Matrices that add up the cells of equal |i - j|, and of equal i + j."""
    i, j = np.divmod(np.arange(levels * levels), levels)
    by_difference = np.equal(np.abs(i - j), np.arange(levels)[:, np.newaxis]).astype(np.float64)
    by_sum = np.equal(i + j, np.arange(2 * levels - 1)[:, np.newaxis]).astype(np.float64)
    return by_difference, by_sum


def _entropy(share: Float64) -> Float64:
    told: Float64 = -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=0)
    return told + 0.0
