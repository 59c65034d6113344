"""Numbers measured on the raw crop."""

from __future__ import annotations

import math

from spinecare.measure.density import grey_by_level
from spinecare.measure.shape import lengths_and_tilt
from spinecare.scan import Prepared


def measure(prepared: Prepared, spacing_mm: tuple[float, float] | None = None) -> dict[str, float]:
    """Everything that is measured on one prepared picture, by a name that ends in its unit.

    A number that cannot be had (no soft tissue beside a level, no spacing) is left out, never invented;
    every value is finite.

    Parameters
    ----------
    prepared
        The picture and its levels.
    spacing_mm
        (row, col) distance between pixel centres of the scan, or None.
    """
    found = {**grey_by_level(prepared), **lengths_and_tilt(prepared.levels, spacing_mm)}
    return {name: value for name, value in found.items() if math.isfinite(value)}
