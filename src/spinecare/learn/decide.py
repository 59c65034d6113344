"""From a model's probabilities for scans that it had not seen to how it decides: calibration, thresholds, sets.

What is fitted here is fitted on cross-fitted answers inside a training part, and then applied to the test rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from spinecare.errors import TrainingError
from spinecare.evaluate.metrics import categories, check_probabilities
from spinecare.learn.calibrate import Calibration, fit_calibration
from spinecare.learn.combine.base import Combiner
from spinecare.learn.folds import group_folds
from spinecare.learn.stack import OSTEOPOROSIS, conformal_threshold, operating_threshold, shares
from spinecare.runtime.calibrate import prior_shift
from spinecare.scan import LABELS


@dataclass(frozen=True)
class Targets:
    """What the decisions are to reach.

    sensitivity
        Of the yes/no answer, for osteoporosis.
    ppv, npv
        Of "yes" and "no" where "can't say" is allowed.
    coverage
        Of the prediction sets.
    """

    sensitivity: float = 0.85
    ppv: float = 0.95
    npv: float = 0.95
    coverage: float = 0.9

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1:
                raise TrainingError(f"The target {name} is {value}; it must lie between 0 and 1.")


@dataclass(frozen=True, eq=False)
class Answers:
    """What is answered to n scans.

    p
        float64 (n, 3), calibrated, for the assumed class shares.
    yes
        bool (n,): osteoporosis, at the target sensitivity.
    category
        int (n,), position in `LABELS`; osteoporosis just where `yes`.
    told
        int (n,): 1 yes, 0 no, -1 can't say, at the target PPV and NPV. A rule of its own beside `yes`.
    inside
        bool (n, 3): the prediction set.
    """

    p: np.ndarray
    yes: np.ndarray
    category: np.ndarray
    told: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True)
class Decisions:
    """Fitted decisions.

    calibration
        From a model's probabilities to calibrated ones.
    prevalence, assumed
        Class shares (3,) of the data of the fit, and those that answers are for.
    threshold
        On p(osteoporosis): yes from it on.
    threshold_yes, threshold_no
        Told yes from the first on, told no below the second; None where no threshold reaches the target.
    conformal
        A class is in the set where 1 - p is at most this.
    methods
        A sentence for each of them.
    """

    calibration: Calibration
    prevalence: tuple[float, ...]
    assumed: tuple[float, ...]
    threshold: float
    threshold_yes: float | None
    threshold_no: float | None
    conformal: float
    methods: tuple[str, ...]

    def apply(self, p: np.ndarray) -> Answers:
        """Answers to scans by the model's probabilities (n, 3)."""
        said = check_probabilities(p, len(p))
        shown = prior_shift(self.calibration(said), self.prevalence, self.assumed)
        category = categories(shown, self.threshold)
        ill = shown[:, OSTEOPOROSIS]
        told = np.full(len(shown), -1)
        if self.threshold_no is not None:
            told[ill < self.threshold_no] = 0
        if self.threshold_yes is not None:
            told[ill >= self.threshold_yes] = 1
        # The likeliest and the answered are always in, as in `runtime.conformal`.
        inside = 1.0 - shown <= self.conformal
        every = np.arange(len(shown))
        inside[every, shown.argmax(axis=1)] = True
        inside[every, category] = True
        return Answers(shown, ill >= self.threshold, category, told, inside)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def fit_decisions(
    p: np.ndarray,
    labels: np.ndarray,
    targets: Targets = Targets(),
    method: str = "temperature",
    assumed: Sequence[float] | None = None,
) -> Decisions:
    """Calibrate, then find the thresholds, on answers to scans that the model had not seen.

    Parameters
    ----------
    p
        float (n, 3), cross-fitted probabilities.
    labels
        int (n,), all three classes among them.
    targets
        What to reach.
    method
        "temperature", "platt" or, from a thousand scans on, "isotonic"; see `learn.calibrate`.
    assumed
        Class shares (3,) of the population that answers are for; None: those of the data.

    Raises
    ------
    TrainingError
        When a class is missing, or the method is unknown or needs more scans.
    """
    said = check_probabilities(p, len(labels))
    share = shares(labels)
    if not share.all():
        lacking = ", ".join(str(label) for label, s in zip(LABELS, share, strict=True) if not s)
        raise TrainingError(f"There is no scan of {lacking} to find thresholds on. Give more scans.")
    meant = share if assumed is None else np.asarray(assumed, dtype=np.float64)
    if meant.shape != share.shape or meant.min() <= 0 or abs(meant.sum() - 1) > 1e-6:
        raise TrainingError(f"The assumed class shares {list(meant)} must be three numbers above 0 that sum to 1.")
    calibration = fit_calibration(said, labels, method)
    shown = prior_shift(calibration(said), share, meant)
    weights = (meant / share)[labels]
    yes, no = told_thresholds(shown[:, OSTEOPOROSIS], labels == OSTEOPOROSIS, weights, targets.ppv, targets.npv)
    n = len(labels)
    return Decisions(
        calibration=calibration,
        prevalence=tuple(share.tolist()),
        assumed=tuple(meant.tolist()),
        threshold=operating_threshold(shown, labels, targets.sensitivity),
        threshold_yes=yes,
        threshold_no=no,
        conformal=conformal_threshold(shown, labels, weights, targets.coverage),
        methods=(
            f"Calibration: {calibration.about}, on {n} scans that the model had not seen.",
            f"Yes: from the highest threshold that found at least {targets.sensitivity:.0%} of the osteoporosis there.",
            f"Told yes: {_told_sentence('PPV', targets.ppv, yes)}",
            f"Told no: {_told_sentence('NPV', targets.npv, no)}",
            f"Prediction sets: least ambiguous sets, split conformal, coverage {targets.coverage:.0%}.",
        ),
    )


def _told_sentence(name: str, target: float, threshold: float | None) -> str:
    if threshold is None:
        return f"nobody, as no threshold made a {name} of {target:.0%} as likely as not."
    return f"from the threshold that tells most and makes a {name} of at least {target:.0%} as likely as not."


def told_thresholds(
    score: np.ndarray, positive: np.ndarray, weights: np.ndarray, ppv: float, npv: float
) -> tuple[float | None, float | None]:
    """Thresholds for "yes" (from it on) and "no" (below it), never crossing, that tell as many as they can.

    A region counts as good enough when the median of the posterior of its predictive value, Beta(right + 1/2,
    wrong + 1/2) (Jeffreys's prior: Brown, Cai and DasGupta 2001, doi:10.1214/ss/1009213286), reaches the target. Then
    the share seen there reaches it too, and three right answers in a row do not pass for 95 %: it takes five, or
    twenty-four with one mistake among them.

    Parameters
    ----------
    score, positive, weights
        (n,): p(osteoporosis), whether it is there, and how much each scan counts.

    Returns
    -------
    (yes or None, no or None), in [0, 1].
    """
    values = np.unique(score)
    # Halfway between neighbours, so that no threshold sits on a person's own value; the last tells everyone no.
    cuts = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2, [(1 + values[-1]) / 2]])
    w = weights / weights.mean()
    at = np.searchsorted(values, score)
    ill = np.bincount(at, w * positive, len(values))
    well = np.bincount(at, w * ~positive, len(values))
    below_ill, below_well = (np.concatenate([[0.0], np.cumsum(v)]) for v in (ill, well))
    above_ill, above_well = ill.sum() - below_ill, well.sum() - below_well
    good_yes = _likely(above_ill, above_well, ppv)
    good_no = _likely(below_well, below_ill, npv)
    many_yes = np.where(good_yes, above_ill + above_well, 0.0)
    many_no = np.where(good_no, below_ill + below_well, 0.0)
    # For each cut as "yes", the best "no" at or below it: the last good one.
    last_no = np.maximum.accumulate(np.where(good_no, np.arange(len(cuts)), -1))
    total = many_yes + np.where(last_no >= 0, many_no[np.maximum(last_no, 0)], 0.0)
    best = int(np.argmax(total))
    if total[best] <= 0:
        return None, None
    yes = float(cuts[best]) if many_yes[best] > 0 else None
    no = float(cuts[last_no[best]]) if last_no[best] >= 0 else None
    return yes, no


def _likely(right: np.ndarray, wrong: np.ndarray, target: float) -> np.ndarray:
    seen = right / np.maximum(right + wrong, 1e-12)
    median = betaincinv(np.maximum(right, 0) + 0.5, np.maximum(wrong, 0) + 0.5, 0.5)
    return (median >= target) & (seen >= target)


def cross_fit(
    combiner: Combiner,
    said: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
    folds: int = 5,
) -> np.ndarray:
    """Joined probabilities float64 (n, 3), each row by a combiner that was fitted without its group.

    Parameters
    ----------
    said
        Member → out-of-fold probabilities (n, 3).

    Raises
    ------
    TrainingError
        When a class has fewer than two groups, so that none can be spared.
    """
    out = np.empty((len(labels), len(LABELS)))
    for learnt, unseen in group_folds(labels, groups, folds, seed):
        rule = combiner.fit({name: p[learnt] for name, p in said.items()}, labels[learnt], groups[learnt], seed)
        out[unseen] = rule({name: p[unseen] for name, p in said.items()})
    return out
