"""What the histogram of a region says, with no regard to where its pixels lie."""

from __future__ import annotations

import numpy as np

from spinecare.measure.texture.regions import Float64
from spinecare.scan import Float32

NAMES = ("mean", "std", "skewness", "kurtosis", "p05", "p25", "p50", "p75", "p95", "mad", "entropy")
_BINS = 64


def first_order(region: Float32) -> Float64:
    """float64 (11,), as `NAMES`.

    Grey in [0, 1]. `kurtosis` is 3 for a normal distribution; `mad` is the median distance from the median; `entropy`
    is in bits, of 64 equal bins over [0, 1]. Of a flat region, skewness is 0 and kurtosis 3.
    """
    grey = region.ravel().astype(np.float64)
    mean, std = grey.mean(), grey.std()
    z = (grey - mean) / std if std > 1e-6 else None
    percentiles = np.percentile(grey, (5, 25, 50, 75, 95))
    bins = np.clip((grey * _BINS).astype(np.int64), 0, _BINS - 1)
    share = np.bincount(bins, minlength=_BINS) / grey.size
    share = share[share > 0]
    return np.array(
        [
            mean,
            std,
            0.0 if z is None else (z * z * z).mean(),
            3.0 if z is None else (z * z * z * z).mean(),
            *percentiles,
            np.median(np.abs(grey - percentiles[2])),
            -(share * np.log2(share)).sum() + 0.0,
        ]
    )
