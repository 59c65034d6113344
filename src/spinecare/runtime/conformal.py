"""The prediction set: the classes that cannot be ruled out, and when to abstain.

Least ambiguous set-valued classifiers (LAC): Sadinle, Lei, Wasserman, JASA 114 (2019),
doi:10.1080/01621459.2017.1395341.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinecare.scan import LABELS, Label


def prediction_set(probabilities: npt.ArrayLike, threshold: float, answered: Label) -> tuple[Label, ...]:
    """Every class with 1 - p <= threshold, in the order of `LABELS`; the likeliest and the answered are always in.

    The operating point may answer with a class that is not the likeliest; a set without it would contradict the
    answer. Adding a class can only raise the coverage.

    Parameters
    ----------
    probabilities
        (3,), those that are shown.
    threshold
        The calibrated quantile of 1 - p(true class).
    answered
        The category at the operating point.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    inside = 1.0 - p <= threshold
    inside[[int(np.argmax(p)), LABELS.index(answered)]] = True
    return tuple(label for label, kept in zip(LABELS, inside, strict=True) if kept)


def must_abstain(labels: tuple[Label, ...]) -> bool:
    """Whether the set holds both ends, normal and osteoporosis: no answer would mean anything."""
    return Label.NORMAL in labels and Label.OSTEOPOROSIS in labels
