"""Which of the levels that were found are L1-L4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinecare.prepare.spine import WORK_ROWS, Band, Float
from spinecare.scan import Float32

# An AP spine scan runs from the middle of L5 to the middle of T12 (ISCD), so the disc L2/L3 is near the middle of the picture.
MIDDLE, MIDDLE_SD = 0.49, 0.055


@dataclass(frozen=True)
class Numbering:
    """`first`: index of L1 in the chain. `confidence` in [0, 1]: of the four levels and their numbers."""

    first: int
    confidence: float
    notes: tuple[str, ...] = ()


def number(
    work: Float32, band: Band, strip: Float32, half_width: Float, chain: npt.NDArray[np.intp], fits: Float
) -> Numbering | None:
    """Choose L1 in a chain of levels; None when the chain has fewer than four."""
    count = len(fits) - 3
    if count < 1:
        return None
    middle = chain[2 : 2 + count] / WORK_ROWS
    place = -0.5 * ((middle - MIDDLE) / MIDDLE_SD) ** 2
    quality = np.array([fits[j : j + 4].mean() for j in range(count)])
    score = place + 2 * quality
    share = np.exp(score - score.max())
    share /= share.sum()
    first = int(score.argmax())
    confidence = float(share[first] * np.clip((quality[first] - 0.2) / 0.4, 0, 1))
    return Numbering(first, confidence)
