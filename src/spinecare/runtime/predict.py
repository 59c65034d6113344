"""From a prepared picture to an answer: members, stack, temperature, prior shift, threshold, abstention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from spinecare.bundle.read import Bundle
from spinecare.bundle.schema import CLASSES, BundleSpec
from spinecare.runtime.calibrate import prior_shift, temperature_scale
from spinecare.runtime.conformal import must_abstain, prediction_set
from spinecare.runtime.members import ask_members
from spinecare.runtime.stack import Float64, stack
from spinecare.scan import LABELS, Float32, Label, Patient, Prepared


@dataclass(frozen=True)
class Prediction:
    """What the ensemble says. Abstained: `osteoporosis` and `category` are None.

    probabilities
        Class -> probability as shown, for the assumed prevalence.
    members
        Member -> class -> probability as the member itself says it, for the prevalence in training.
    features
        Member -> its last map, float32 (channels, h, w); empty where nobody asked the networks.
    """

    probabilities: dict[str, float]
    members: dict[str, dict[str, float]]
    prediction_set: tuple[Label, ...]
    abstained: bool
    osteoporosis: bool | None
    category: Label | None
    features: dict[str, Float32] = field(default_factory=dict, compare=False)


def predict(bundle: Bundle, prepared: Prepared, measurements: Mapping[str, float], patient: Patient) -> Prediction:
    """Ask the members, and combine what they say.

    Parameters
    ----------
    bundle
        The open bundle.
    prepared
        The picture, prepared with the bundle's settings.
    measurements, patient
        For members that declare them as inputs; none of format 1 does.

    Raises
    ------
    AssessmentError
        When a member's answer is not a set of probabilities.
    """
    said = ask_members(bundle, prepared.image)
    members = {name: one.probabilities for name, one in said.items()}
    decided = decide(members, combine(members, bundle.spec), bundle.spec)
    return replace(decided, features={name: one.features for name, one in said.items()})


def combine(members: Mapping[str, npt.ArrayLike], spec: BundleSpec) -> Float64:
    """The probabilities as shown, float64 (..., 3): stack, temperature, prior shift.

    `members` holds each member's probabilities (..., 3) by name.
    """
    stacked = stack(members, spec.stack)
    calibrated = temperature_scale(stacked, spec.calibration.temperature)
    return prior_shift(calibrated, _in_order(spec.prevalence), _in_order(spec.assumed_prevalence))


def decide(members: Mapping[str, npt.ArrayLike], probabilities: Float64, spec: BundleSpec) -> Prediction:
    """The yes/no answer, the category and the prediction set of one scan's probabilities (3,)."""
    shown = _named(probabilities)
    yes = shown[Label.OSTEOPOROSIS] >= spec.threshold
    category = _category(shown, yes)
    labels = prediction_set(probabilities, spec.conformal.threshold, category)
    abstained = must_abstain(labels)
    return Prediction(
        probabilities=shown,
        members={name: _named(np.asarray(p, dtype=np.float64)) for name, p in members.items()},
        prediction_set=labels,
        abstained=abstained,
        osteoporosis=None if abstained else yes,
        category=None if abstained else category,
    )


def _category(shown: dict[str, float], yes: bool) -> Label:
    if yes:
        return Label.OSTEOPOROSIS
    # Below the operating point osteoporosis is no answer, even where it is the likeliest single class.
    return Label.NORMAL if shown[Label.NORMAL] > shown[Label.LOW_BONE_MASS] else Label.LOW_BONE_MASS


def _in_order(shares: Mapping[str, float]) -> Float64:
    return np.array([shares[name] for name in CLASSES], dtype=np.float64)


def _named(p: Float64) -> dict[str, float]:
    return {label.value: float(v) for label, v in zip(LABELS, p, strict=True)}
