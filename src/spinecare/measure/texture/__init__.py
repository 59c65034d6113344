"""Texture of the raw crop (radiomics), in numbers.

`texture` measures the spine band as a whole, and the four levels one by one, of which it tells the mean and, for a few
numbers, each (see `regions`). Grey levels are taken relative to the band, so texture proper does not change with a
display's gain and offset; how bright the bone is stands in the first-order numbers.
"""

from __future__ import annotations

import numpy as np

from spinecare.measure.texture import first_order, fractal, gabor, glcm, gradients, lbp, runs, variogram
from spinecare.measure.texture.regions import (
    GREY_LEVELS,
    Float64,
    checked,
    in_grey_levels,
    level_cores,
    soft_tissue,
    spine_band,
)
from spinecare.scan import LEVEL_NAMES, Float32

# First-order numbers of soft tissue that say anything; the rest follow from them.
_SOFT = ("mean", "std", "p50", "p95")
# What is told of each level by itself.
_EACH = ("first_mean", "first_std", "edges_steepness_of_std", "fractal_dimension", "variogram_vertical_near_slope",
         "variogram_horizontal_near_slope")  # fmt: skip


def _prefixed(prefix: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}" for name in names)


# In one region, in the order in which `_region` has them.
_REGION = (
    *_prefixed("first", first_order.NAMES),
    *_prefixed("glcm", glcm.NAMES),
    *_prefixed("runs", runs.NAMES),
    *_prefixed("fractal", fractal.NAMES),
    *_prefixed("variogram", variogram.NAMES),
    *_prefixed("edges", gradients.NAMES),
)

TEXTURE_NAMES: tuple[str, ...] = (
    *_prefixed("spine", _REGION),
    *_prefixed("spine_lbp", lbp.NAMES),
    *_prefixed("spine_gabor", gabor.NAMES),
    *_prefixed("levels", _REGION),
    *(f"{level.lower()}_{name}" for level in LEVEL_NAMES for name in _EACH),
    *_prefixed("soft_first", _SOFT),
)
"""The names of the numbers that `texture` tells, in their order; part of what a model trained on them relies on."""


def texture(raw: Float32) -> dict[str, float]:
    """Texture of one raw crop, by name.

    Parameters
    ----------
    raw
        float32 (rows, cols), grey in [0, 1]: `Prepared.raw`, 192 x 96 by default. Lengths are in its pixels.

    Returns
    -------
    `TEXTURE_NAMES` in their order, every value finite. Grey is in shares of white, entropies in bits.

    Raises
    ------
    AssessmentError
        For a crop that is too small or not finite.
    """
    return dict(zip(TEXTURE_NAMES, texture_row(raw).tolist(), strict=True))


def texture_row(raw: Float32) -> Float64:
    """The same as a row, float64 (numbers,), in the order of `TEXTURE_NAMES`."""
    raw = checked(raw)
    windows = [spine_band(raw.shape), *level_cores(raw.shape)]
    fine = in_grey_levels(raw)
    # The same percentiles, so coarser steps are whole numbers of finer ones.
    coarse = fine // (GREY_LEVELS // runs.RUN_LEVELS)
    edges = gradients.gradients(raw, windows)
    found = []
    for window, steep in zip(windows, edges, strict=True):
        region = window.of(raw)
        found.append(
            np.concatenate(
                [
                    first_order.first_order(region),
                    glcm.glcm(window.of(fine)),
                    runs.runs(window.of(coarse)),
                    fractal.fractal(region),
                    variogram.variogram(region),
                    steep,
                ]
            )
        )
    band, levels = found[0], np.stack(found[1:])
    soft = first_order.first_order(soft_tissue(raw))
    return np.concatenate(
        [
            band,
            lbp.lbp(raw, windows[0]),
            gabor.gabor(windows[0].of(raw)),
            levels.mean(axis=0),
            levels[:, [_REGION.index(name) for name in _EACH]].ravel(),
            soft[[first_order.NAMES.index(name) for name in _SOFT]],
        ]
    )
