"""Which of the levels that were found are L1-L4.

Counting needs a landmark. Four cues are read in every cell (a level of the chain, or the space of one beyond its
ends) and compared with what is usual there: how bright the soft tissue is near the spine (ribs at T12 and above,
nothing at L3) and far from it (iliac crests beside L5 and below), how wide the spine is (it widens at L5), and how
well the cell looks like a vertebra (L5 and the sacrum less). A fifth says where in the picture an operator puts the
lumbar spine. No cue decides alone, and the margin between the best and the next answer becomes the confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from spinecare.prepare.spine import WORK_ROWS, Band, Float
from spinecare.scan import Float32

# An AP spine scan runs from the middle of L5 to the middle of T12, so the disc L2/L3 is near the picture's middle
# row. Mean and SD as a share of the rows: operators' boxes on the development half of spine_dxa (n = 64).
MIDDLE, MIDDLE_SD = 0.49, 0.055

# Mean and SD of each cue by cell: T10 and above, T11, T12, L1, L2, L3, L4, L5, sacrum. Rounded from the operators'
# boxes on the same half (benchmarks/levels.py says which scans those are); no diagnosis was used.
# near, far: grey of the flank, 0 at its darker quarter, 1 at the median of the bone.
_NEAR = ((0.42, 0.16), (0.36, 0.14), (0.23, 0.10), (0.12, 0.08), (0.09, 0.06), (0.08, 0.06), (0.06, 0.06),
         (0.12, 0.09), (0.26, 0.13))  # fmt: skip
_FAR = ((0.32, 0.15), (0.30, 0.15), (0.22, 0.11), (0.15, 0.10), (0.06, 0.07), (0.04, 0.06), (0.02, 0.06),
        (0.20, 0.18), (0.55, 0.30))  # fmt: skip
# width: of the spine at the cell over its median. fit: to the template of `vertebra.py`.
_WIDTH = ((0.94, 0.05), (0.94, 0.05), (0.96, 0.04), (0.96, 0.04), (0.96, 0.04), (0.99, 0.04), (1.08, 0.06),
          (1.22, 0.11), (1.24, 0.12))  # fmt: skip
_FIT = ((0.60, 0.12), (0.60, 0.12), (0.60, 0.12), (0.68, 0.10), (0.68, 0.10), (0.68, 0.10), (0.68, 0.10),
        (0.47, 0.12), (0.35, 0.15))  # fmt: skip
CUES: Float = np.array([_NEAR, _FAR, _WIDTH, _FIT]).transpose(1, 0, 2)  # (cells, cues, mean and SD)
_L1 = 3  # index of L1 among the cells
_CUE_WEIGHT = 0.5  # the cues are not independent of each other: their log-likelihoods count half
# The evidence is surer of itself than it is right: divided by this, the mean share of the chosen number is 0.79 on the
# 128 unique scans of spine_dxa, and 0.78 of them are numbered as the operator did.
DOUBT = 3.0
# Even the surest numberings, those without an alternative in the picture among them, are right in about five of six.
MOST_SURE = 0.85
_MOST_SURPRISE = 8.0  # squared SDs: one strange cell (metal, a calcified vessel) must not outvote the rest
_LEAST_SHARE = 0.35  # of a level's height must be inside the picture for a cell to count

_FLANK = np.concatenate([np.linspace(-3.2, -1.25, 40), np.linspace(1.25, 3.2, 40)])  # in half widths
_IS_NEAR, _IS_FAR = np.abs(_FLANK) < 2.0, np.abs(_FLANK) > 2.2


@dataclass(frozen=True)
class Numbering:
    """`first`: index of L1 in the chain. `share`: how likely it is the right one, in [0, MOST_SURE]."""

    first: int
    share: float


def flanks(work: Float32, band: Band, half_width: Float, bone: float) -> Float32:
    """Grey beside the spine, float32 (WORK_ROWS, 80): 0 at its darker quarter, 1 at `bone`; nan outside the picture."""
    col = band.centre[:, None] + _FLANK * half_width[:, None]
    row = np.repeat(np.arange(WORK_ROWS, dtype=np.float32)[:, None], len(_FLANK), axis=1)
    soft = cv2.GaussianBlur(work, (0, 0), 1.0)
    grey = cv2.remap(
        soft,
        col.astype(np.float32),
        row,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float("nan"),
    )
    seen = np.isfinite(grey)
    dark = float(np.percentile(grey[seen], 25)) if seen.any() else 0.0
    return np.asarray((grey - dark) / max(bone - dark, 1e-3), dtype=np.float32)


def cells(chain: npt.NDArray[np.intp]) -> tuple[list[tuple[int, int]], int]:
    """Row ranges of all cells in the picture, top first, and how many lie above the chain."""
    above: list[tuple[int, int]] = []
    below: list[tuple[int, int]] = []
    top, height = float(chain[0]), 0.97 * float(chain[1] - chain[0])
    while top > _LEAST_SHARE * height:
        above.insert(0, (round(max(top - height, 0)), round(top)))
        top -= height
    bottom, height = float(chain[-1]), 0.97 * float(chain[-1] - chain[-2])
    while bottom < WORK_ROWS - _LEAST_SHARE * height:
        below.append((round(bottom), round(min(bottom + height, WORK_ROWS))))
        bottom += height
    inside = [(int(a), int(b)) for a, b in pairwise(chain)]
    return above + inside + below, len(above)


def read_cues(
    work: Float32, band: Band, strip: Float32, half_width: Float, chain: npt.NDArray[np.intp], fits: Float
) -> tuple[Float, int]:
    """Cues (cells, 4), nan where one cannot be read, and the index of the chain's first level among the cells."""
    inside = np.abs(np.linspace(-1.25, 1.25, strip.shape[1])) < 0.9
    beside = flanks(work, band, half_width, float(np.median(strip[:, inside])))
    width = (band.right - band.left) / 2 / np.median(half_width)
    spans, first = cells(chain)
    cues = np.full((len(spans), 4), np.nan)
    for cue, where in ((0, _IS_NEAR), (1, _IS_FAR)):
        seen = np.isfinite(beside[:, where])
        grey, count = np.where(seen, beside[:, where], 0.0).sum(axis=1, dtype=np.float64), seen.sum(axis=1)
        for i, (top, bottom) in enumerate(spans):
            if count[top:bottom].any():
                cues[i, cue] = grey[top:bottom].sum() / count[top:bottom].sum()
    cues[:, 2] = [width[top:bottom].mean() for top, bottom in spans]
    cues[first : first + len(fits), 3] = fits
    return cues, first


def number(
    work: Float32, band: Band, strip: Float32, half_width: Float, chain: npt.NDArray[np.intp], fits: Float
) -> Numbering | None:
    """Choose L1 in a chain of levels; None when the chain has fewer than four."""
    count = len(fits) - 3
    if count < 1:
        return None
    cues, above = read_cues(work, band, strip, half_width, chain, fits)
    evidence = np.empty(count)
    for j in range(count):
        usual = CUES[np.clip(np.arange(len(cues)) - (above + j) + _L1, 0, len(CUES) - 1)]
        mean, sd = usual[..., 0], usual[..., 1]
        log_likelihood = -0.5 * np.minimum(((cues - mean) / sd) ** 2, _MOST_SURPRISE) - np.log(sd)
        place = (chain[j + 2] / WORK_ROWS - MIDDLE) / MIDDLE_SD
        evidence[j] = _CUE_WEIGHT * np.nansum(log_likelihood) - 0.5 * place**2
    share = np.exp((evidence - evidence.max()) / DOUBT)
    first = int(evidence.argmax())
    return Numbering(first, min(float(share[first] / share.sum()), MOST_SURE))
