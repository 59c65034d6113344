"""Level 1 of a run: what is fitted on the members' answers to pictures that they did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.bundle.schema import CalibrationSpec, ConformalSpec, StackSpec
from spinecare.evaluate.metrics import categories
from spinecare.learn.recipe import TrainSettings
from spinecare.learn.stack import (
    conformal_threshold,
    fit_stack,
    fit_temperature,
    operating_threshold,
    shares,
    unseen_by_stack,
)
from spinecare.runtime.calibrate import prior_shift, temperature_scale
from spinecare.runtime.stack import stack
from spinecare.scan import LABELS

Float = np.ndarray


@dataclass(frozen=True, eq=False)
class Answers:
    """Members' probabilities (n, 3) by name, with labels and patients of the n rows."""

    said: dict[str, Float]
    labels: np.ndarray
    patients: np.ndarray


@dataclass(frozen=True, eq=False)
class Level1:
    """All fitted numbers of level 1, and thresholds of the same rule for members and the unshifted stack."""

    stack: StackSpec
    calibration: CalibrationSpec
    prevalence: dict[str, float]
    assumed: dict[str, float]
    threshold: float
    threshold_rule: str
    conformal: ConformalSpec
    other_thresholds: dict[str, float]

    def calibrated(self, said: dict[str, Float]) -> Float:
        """Probabilities (n, 3) for the class mix of training."""
        return temperature_scale(stack(said, self.stack), self.calibration.temperature)

    def shown(self, calibrated: Float) -> Float:
        """Probabilities (n, 3) for the assumed prevalence: those that an answer shows."""
        return prior_shift(calibrated, _in_order(self.prevalence), _in_order(self.assumed))


def fit_level1(unseen: Answers, val: Answers, settings: TrainSettings) -> Level1:
    """Fit the stack on `unseen`, then everything after it on data that the stack did not see.

    Those are the validation part and the stack's own data, each patient of them answered by a stack fitted
    without that patient. Early stopping looked at the validation part; the test part is looked at by nothing here.

    Parameters
    ----------
    unseen
        From the training part, by members that were not fitted on these patients.
    val
        The validation part.
    """
    spec = fit_stack(unseen.said, unseen.labels, settings.stack_strength)
    own = unseen_by_stack(unseen.said, unseen.labels, unseen.patients, settings.stack_strength, settings.seed)
    p = np.concatenate([own, stack(val.said, spec)])
    labels = np.concatenate([unseen.labels, val.labels])
    where = f"{len(labels)} scans (validation part, and the stack's part answered by stacks fitted without the patient)"
    calibration = CalibrationSpec(temperature=fit_temperature(p, labels))
    prevalence = _named(shares(unseen.labels))
    assumed = settings.assumed_prevalence or prevalence
    odds = _in_order(assumed) / _in_order(prevalence)
    calibrated = temperature_scale(p, calibration.temperature)
    shown = prior_shift(calibrated, _in_order(prevalence), _in_order(assumed))
    others = {name: np.concatenate([unseen.said[name], val.said[name]]) for name in spec.inputs} | {"stack": calibrated}
    wanted = settings.target_sensitivity
    return Level1(
        stack=spec,
        calibration=calibration,
        prevalence=prevalence,
        assumed=assumed,
        threshold=operating_threshold(shown, labels, wanted),
        threshold_rule=(
            f"The highest threshold that found at least {wanted:.0%} of the people with osteoporosis "
            f"in {where}; the test part was not used."
        ),
        conformal=ConformalSpec(
            coverage=settings.coverage,
            threshold=conformal_threshold(shown, labels, odds[labels], settings.coverage),
            method=f"LAC, split conformal, weighted to the assumed prevalence, on {where}",
        ),
        other_thresholds={name: operating_threshold(q, labels, wanted) for name, q in others.items()},
    )


def sets_of(shown: Float, level1: Level1) -> np.ndarray:
    """Prediction sets, bool (n, 3), by the rule of `runtime.conformal`: the likeliest and the answered are in."""
    inside = 1.0 - shown <= level1.conformal.threshold
    every = np.arange(len(shown))
    inside[every, shown.argmax(axis=1)] = True
    inside[every, categories(shown, level1.threshold)] = True
    return inside


def describe_sets(shown: Float, labels: np.ndarray, level1: Level1) -> dict[str, float | int]:
    """How the prediction sets did: coverage in the assumed class mix, coverage by class, abstentions, size."""
    inside = sets_of(shown, level1)
    held = inside[np.arange(len(labels)), labels]
    weights = (_in_order(level1.assumed) / shares(labels))[labels]
    weights = weights / weights.sum()
    return {
        "n": len(labels),
        "coverage_assumed_mix": float(weights @ held),
        **{f"coverage_{label}": float(held[labels == k].mean()) for k, label in enumerate(LABELS)},
        "abstained_assumed_mix": float(weights @ (inside[:, 0] & inside[:, 2])),
        "mean_size_assumed_mix": float(weights @ inside.sum(axis=1)),
    }


def _named(values: Float) -> dict[str, float]:
    return {str(label): float(v) for label, v in zip(LABELS, values, strict=True)}


def _in_order(named: dict[str, float]) -> Float:
    return np.array([named[str(label)] for label in LABELS])
