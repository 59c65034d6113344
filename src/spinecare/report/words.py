"""The sentences of a result. Each says no more than the numbers do."""

from __future__ import annotations

from spinecare.scan import Assessment, Label, LevelSource, ModelInfo

LABEL_WORDS: dict[str, str] = {
    Label.NORMAL: "Normal",
    Label.LOW_BONE_MASS: "Low bone mass",
    Label.OSTEOPOROSIS: "Osteoporosis",
}

SOURCE_WORDS: dict[LevelSource, str] = {
    "operator_roi": "the operator’s own lines in the picture",
    "network": "a network, from the picture alone",
    "image_processing": "image processing, from the picture alone",
    "simulated": "the simulator",
}

DISCLAIMER = "For research, not a diagnosis."


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


def verdict(answer: Assessment) -> str:
    """The yes/no answer in two words: Yes, No, or No answer."""
    if answer.abstained or answer.osteoporosis is None:
        return "No answer"
    return "Yes" if answer.osteoporosis else "No"


def sentence(answer: Assessment) -> str:
    """The answer with its certainty, in one sentence."""
    p = answer.probabilities[Label.OSTEOPOROSIS]
    if answer.abstained or answer.osteoporosis is None:
        return (
            "The model abstains: it cannot tell on this scan whether there is osteoporosis "
            f"(it puts the probability at {percent(p)}{_interval(answer)})."
        )
    limit = share(answer.threshold)
    if answer.osteoporosis:
        return (
            f"The model reads osteoporosis on this scan: probability {percent(p)}{_interval(answer)}, "
            f"at or above its decision threshold of {limit}."
        )
    return (
        f"The model reads no osteoporosis on this scan: probability {percent(p)}{_interval(answer)}, "
        f"below its decision threshold of {limit}."
    )


def _interval(answer: Assessment) -> str:
    i = answer.interval
    if i is None or i.of != Label.OSTEOPOROSIS:
        return ""
    return f", {share(i.level)} interval {percent(i.low)} to {percent(i.high)}"


def trained_sentence(model: ModelInfo) -> str:
    """What the model learned from: it stands beside every answer."""
    return f"The model was trained on {model.trained_on}."


def set_sentence(answer: Assessment) -> str:
    """Which classes the model cannot rule out."""
    words = [LABEL_WORDS[label].lower() for label in answer.prediction_set]
    if len(words) == len(Label):
        return "None of the three classes can be ruled out."
    if len(words) == 1:
        return f"Only {words[0]} remains possible at the model’s coverage; the other two are ruled out."
    ruled_out = ", ".join(LABEL_WORDS[k].lower() for k in Label if k not in answer.prediction_set)
    return f"Still possible: {' and '.join(words)}. Ruled out at the model’s coverage: {ruled_out}."


def level_sentence(answer: Assessment) -> str:
    """Where the levels come from, and how sure they are."""
    if not answer.levels:
        return "No levels were used."
    sources = {level.source for level in answer.levels}
    words = " and ".join(SOURCE_WORDS[source] for source in sorted(sources))
    low = min(level.confidence for level in answer.levels)
    names = f"{answer.levels[0].name} to {answer.levels[-1].name}"
    return f"{names}, found by {words}; lowest confidence {percent(low)}."
