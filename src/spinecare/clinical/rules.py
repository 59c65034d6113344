"""What a person must know beside the answer: whom WHO categories are for, and what was not known here.

No clinical number stands in this file; they come from `tables/`.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from spinecare.bundle.schema import BundleSpec
from spinecare.scan import LABELS, Label, Level, Patient, Scan

RESEARCH_ONLY = "For research, not a diagnosis."


@cache
def who_table() -> dict[str, Any]:
    """The WHO categories and whom they apply to, with source, version and date."""
    text = resources.files("spinecare.clinical.tables").joinpath("who_categories.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def who_category(t_score: float) -> Label:
    """The WHO category of a T-score (WHO Technical Report Series 843, 1994).

    Raises
    ------
    ValueError
        When the T-score is not a number.
    """
    categories = who_table()["categories"]
    if t_score >= categories["normal"]["t_score_at_least"]:
        return Label.NORMAL
    if t_score <= categories["osteoporosis"]["t_score_at_most"]:
        return Label.OSTEOPOROSIS
    if t_score != t_score:
        raise ValueError("A T-score that is not a number has no WHO category.")
    return Label.LOW_BONE_MASS


def warnings(
    patient: Patient, scan: Scan, levels: tuple[Level, ...], spec: BundleSpec, notes: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The sentences that go with an answer, the most important first.

    Parameters
    ----------
    patient, scan
        Who and what was scanned, as far as the file says.
    levels
        The levels in use, for where they came from.
    spec
        The bundle that answered: what it was trained on, and for which class shares it answers.
    notes
        What preparing the picture had to say.
    """
    return (
        RESEARCH_ONLY,
        *_external_check(spec),
        f"The model was trained on {spec.trained_on.rstrip('.')}.",
        *_precision(spec),
        *_age(patient),
        *_sex(patient),
        *_density(scan),
        *_levels(levels),
        *_spacing(scan),
        *_prior_shift(spec),
        *notes,
    )


def _external_check(spec: BundleSpec) -> tuple[str, ...]:
    """What the bundle says of its answers on real scans, when somebody has looked (`benchmarks/look.py`)."""
    sentence = ((spec.metrics or {}).get("external_check") or {}).get("sentence")
    return (str(sentence),) if sentence else ()


def _precision(spec: BundleSpec) -> tuple[str, ...]:
    if not any(member.precision.startswith("int8") for member in spec.members):
        return ()
    return ("The model's weights are stored as int8; its card says how far that moves an answer.",)


def _age(patient: Patient) -> tuple[str, ...]:
    applies = who_table()["applies_to"]
    least = applies["least_age_years"]
    whom = f"WHO categories are for {applies['women']} and {applies['men']}"
    if patient.age_years is None:
        return (f"The age is not known; {whom}.",)
    if patient.age_years < least:
        return (f"The patient is under {least}; {whom}.",)
    return ()


def _sex(patient: Patient) -> tuple[str, ...]:
    if patient.sex is not None:
        return ()
    return ("The sex is not known; bone density and its categories depend on it.",)


def _density(scan: Scan) -> tuple[str, ...]:
    if scan.quantity == "bmd_g_cm2":
        return ()
    return ("A grey picture holds no calibrated bone mineral density: the answer is neither a BMD nor a T-score.",)


def _levels(levels: tuple[Level, ...]) -> tuple[str, ...]:
    if all(level.source == "operator_roi" for level in levels):
        return ()
    # How often: benchmarks/levels.py, 21 of the 114 unique scans of spine_dxa whose levels the network tells.
    return (
        "The levels L1-L4 were found from the picture alone and not set by an operator: check them. On real scans "
        "about one in five is counted a level too high or too low.",
    )


def _spacing(scan: Scan) -> tuple[str, ...]:
    if scan.spacing_mm is not None:
        return ()
    return ("The pixel spacing is not known: lengths are in pixels, and angles assume square pixels.",)


def _prior_shift(spec: BundleSpec) -> tuple[str, ...]:
    if all(abs(spec.assumed_prevalence[k] - spec.prevalence[k]) < 1e-9 for k in spec.prevalence):
        return ()
    assumed = ", ".join(
        f"{label.value.replace('_', ' ')} {spec.assumed_prevalence[label.value]:.0%}" for label in LABELS
    )
    trained = ", ".join(f"{spec.prevalence[label.value]:.0%}" for label in LABELS)
    return (f"The probabilities are for a population with {assumed} (in training: {trained}).",)
