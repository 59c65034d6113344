"""The sentences of a result, from its record. Each says no more than the numbers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spinecare.clinical.rules import who_table
from spinecare.scan import LABELS, Label, ModelInfo

LABEL_WORDS: dict[str, str] = {
    Label.NORMAL: "Normal",
    Label.LOW_BONE_MASS: "Low bone mass",
    Label.OSTEOPOROSIS: "Osteoporosis",
}

SOURCE_WORDS: dict[str, str] = {
    "operator_roi": "the operator’s own lines in the picture",
    "network": "a network, from the picture alone",
    "image_processing": "image processing, from the picture alone",
    "simulated": "the simulator",
}

MEMBER_WORDS: dict[str, str] = {"cnn": "CNN", "vgg16": "VGG16", "resnet": "ResNet with a forest"}

DISCLAIMER = "For research, not a diagnosis."
NO_T_SCORE = "The model gives a class from the picture. It measured no T-score and no BMD."

OUR_FAULT = "The scan was not assessed, because of a fault in SpineCare and not in your file."
OUR_FAULT_HINT = "Try once more; if it happens again, tell who runs this service. No answer was given."

Record = Mapping[str, Any]


@dataclass(frozen=True)
class WhoStep:
    """One category of the WHO scale: its T-scores in words, and what the model says of it."""

    key: str
    name: str
    t_scores: str
    answered: bool
    possible: bool


def percent(p: float) -> str:
    """A probability for reading: whole per cents, with the ends kept apart from certainty."""
    if p < 0.01:
        return "under 1\u00a0%"
    if p > 0.99:
        return "over 99\u00a0%"
    return f"{100 * p:.0f}\u00a0%"


def share(p: float) -> str:
    """A threshold or a prevalence, to one decimal where that matters."""
    return f"{100 * p:.0f}\u00a0%" if abs(100 * p - round(100 * p)) < 0.05 else f"{100 * p:.1f}\u00a0%"


def megabytes(size: int) -> str:
    """A number of bytes as a person reads it."""
    return f"{size / 1024 / 1024:.0f} MB"


def member_name(name: str) -> str:
    """A member's name as a person reads it."""
    return MEMBER_WORDS.get(name, name)


def verdict(record: Record) -> str:
    """The yes/no answer in two words: Yes, No, or No answer."""
    if record["abstained"] or record["category"] is None:
        return "No answer"
    # Yes and the category osteoporosis are one and the same (DESIGN 7).
    return "Yes" if record["category"] == Label.OSTEOPOROSIS else "No"


def headline(record: Record) -> str:
    """What is read first, of an answer of any outcome."""
    if record["outcome"] == "refused":
        return "This scan gets no answer"
    if record["outcome"] == "unreadable":
        return "This file could not be read as a scan"
    words = {"Yes": "Osteoporosis", "No": "No osteoporosis", "No answer": "The model abstains"}
    return words[verdict(record)]


def sentence(record: Record) -> str:
    """The answer with its certainty, in one sentence."""
    p = record["probabilities"][Label.OSTEOPOROSIS]
    said = verdict(record)
    if said == "No answer":
        return (
            "The model abstains: it cannot tell on this scan whether there is osteoporosis "
            f"(it puts the probability at {percent(p)}{_interval(record)})."
        )
    limit = share(record["display"]["threshold"])
    if said == "Yes":
        return (
            f"The model reads osteoporosis on this scan: probability {percent(p)}{_interval(record)}, "
            f"at or above its decision threshold of {limit}."
        )
    return (
        f"The model reads no osteoporosis on this scan: probability {percent(p)}{_interval(record)}, "
        f"below its decision threshold of {limit}."
    )


def _interval(record: Record) -> str:
    i = record["interval"]
    if i is None or i["of"] != Label.OSTEOPOROSIS:
        return ""
    return f", {share(i['level'])} interval {percent(i['low'])} to {percent(i['high'])}"


def trained_sentence(model: Record | ModelInfo) -> str:
    """What the model learned from: it stands beside every answer. `model` is a record's, or a model itself."""
    trained_on = model.trained_on if isinstance(model, ModelInfo) else str(model["trained_on"])
    return f"The model was trained on {trained_on}."


def set_sentence(record: Record) -> str:
    """Which classes the model cannot rule out."""
    inside = record["prediction_set"]
    words = [LABEL_WORDS[label].lower() for label in inside]
    if len(words) == len(LABELS):
        return "None of the three classes can be ruled out."
    if len(words) == 1:
        return f"Only {words[0]} remains possible at the model’s coverage; the other two are ruled out."
    ruled_out = ", ".join(LABEL_WORDS[label].lower() for label in LABELS if label not in inside)
    return f"Still possible: {' and '.join(words)}. Ruled out at the model’s coverage: {ruled_out}."


def level_sentence(record: Record) -> str:
    """Where the levels come from, and how sure they are."""
    levels = record["levels"]
    if not levels:
        return "No levels were used."
    words = " and ".join(SOURCE_WORDS[source] for source in sorted({level["source"] for level in levels}))
    known = [level["confidence"] for level in levels if level["confidence"] is not None]
    sure = f"; lowest confidence {percent(min(known))}" if known else ""
    return f"{levels[0]['name']} to {levels[-1]['name']}, found by {words}{sure}."


def who_scale(record: Record) -> tuple[WhoStep, ...]:
    """The WHO categories, lowest T-scores first as a scale is drawn, with the answered and the possible marked."""
    categories = who_table()["categories"]
    osteoporosis = _number(categories["osteoporosis"]["t_score_at_most"])
    normal = _number(categories["normal"]["t_score_at_least"])
    t_scores = {
        Label.OSTEOPOROSIS: f"T-score {osteoporosis} or lower",
        Label.LOW_BONE_MASS: f"T-score between {osteoporosis} and {normal}",
        Label.NORMAL: f"T-score {normal} or higher",
    }
    return tuple(
        WhoStep(
            key=label.value,
            name=LABEL_WORDS[label],
            t_scores=words,
            answered=record["category"] == label,
            possible=label in record["prediction_set"],
        )
        for label, words in t_scores.items()
    )


def who_sentence(record: Record) -> str:
    """What the scale means for this answer: a class that a model gave, no measured T-score."""
    category = record["category"]
    if category is None:
        return f"The model names no WHO category here. {NO_T_SCORE}"
    return f"The model’s class is {LABEL_WORDS[category].lower()}. {NO_T_SCORE}"


def who_source() -> str:
    """Where the scale comes from."""
    table = who_table()
    return f"{table['name']}: {table['version']}."


def pull_sentence(name: str, weight: Record) -> str:
    """How one member moved the answer: `weight` is its entry in `display.weights`."""
    pull = weight["pull"]
    if abs(pull) < 0.05:
        return f"{member_name(name)} moved the answer hardly at all."
    way = "towards" if pull > 0 else "away from"
    return f"{member_name(name)} pulled {way} osteoporosis, with {percent(weight['share'])} of the members’ weight."


def _number(value: float) -> str:
    # A minus as printers set it, which screen readers say as such.
    return f"{value:.1f}".replace("-", "\u2212")
