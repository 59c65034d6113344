"""The sentences of a result say what its record holds, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from spinecare.report import words
from spinecare.scan import ModelInfo
from stored import hand_record


def changed(kind: str, **changes: Any) -> dict[str, Any]:
    return {**hand_record(kind), **changes}


@pytest.mark.parametrize(
    ("kind", "verdict", "start"),
    [
        ("yes", "Yes", "The model reads osteoporosis on this scan: probability 71\u00a0%, at or above"),
        ("no", "No", "The model reads no osteoporosis on this scan: probability 12\u00a0%, below"),
        ("abstain", "No answer", "The model abstains: it cannot tell"),
    ],
)
def test_the_answer_is_one_sentence_with_its_certainty(kind: str, verdict: str, start: str) -> None:
    record = hand_record(kind)
    assert words.verdict(record) == verdict
    assert words.sentence(record).startswith(start)
    if kind != "abstain":
        assert "31\u00a0%" in words.sentence(record)


def test_an_interval_of_osteoporosis_is_told_and_another_is_not() -> None:
    interval = {"of": "osteoporosis", "level": 0.95, "low": 0.05, "high": 0.2, "method": "bootstrap"}
    told = words.sentence(changed("no", interval=interval))
    assert "95\u00a0% interval 5\u00a0% to 20\u00a0%" in told
    assert "interval" not in words.sentence(changed("no", interval={**interval, "of": "normal"}))


@pytest.mark.parametrize(("p", "told"), [(0.0, "under 1"), (0.004, "under 1"), (0.5, "50"), (0.996, "over 99")])
def test_a_probability_is_never_told_as_certainty(p: float, told: str) -> None:
    assert words.percent(p) == told + "\u00a0%"


def test_what_cannot_be_ruled_out() -> None:
    assert words.set_sentence(hand_record("yes")).startswith("Only osteoporosis remains possible")
    assert words.set_sentence(hand_record("no")).endswith("Ruled out at the model’s coverage: osteoporosis.")
    assert words.set_sentence(hand_record("abstain")) == "None of the three classes can be ruled out."


def test_levels_tell_their_source_and_lowest_confidence() -> None:
    assert words.level_sentence(hand_record("no")) == (
        "L1 to L4, found by the operator’s own lines in the picture; lowest confidence 93\u00a0%."
    )
    assert words.level_sentence(changed("no", levels=[])) == "No levels were used."


def test_the_scale_is_that_of_the_who_and_marks_what_the_model_says() -> None:
    scale = words.who_scale(hand_record("no"))
    assert [step.key for step in scale] == ["osteoporosis", "low_bone_mass", "normal"]
    # WHO Technical Report Series 843 (1994): normal from -1 up, osteoporosis from -2.5 down.
    assert [step.t_scores for step in scale] == [
        "T-score −2.5 or lower",
        "T-score between −2.5 and −1.0",
        "T-score −1.0 or higher",
    ]
    assert [step.answered for step in scale] == [False, True, False]
    assert [step.possible for step in scale] == [False, True, True]


@pytest.mark.parametrize("kind", ["yes", "no", "abstain"])
def test_no_t_score_is_claimed(kind: str) -> None:
    assert words.who_sentence(hand_record(kind)).endswith("It measured no T-score and no BMD.")


def test_an_abstention_marks_no_category() -> None:
    assert not any(step.answered for step in words.who_scale(hand_record("abstain")))


def test_members_are_told_by_the_way_they_pulled() -> None:
    assert words.pull_sentence("vgg16", {"share": 0.3, "pull": -0.24}) == (
        "VGG16 pulled away from osteoporosis, with 30\u00a0% of the members’ weight."
    )
    assert "towards" in words.pull_sentence("cnn", {"share": 0.5, "pull": 1.0})
    assert "hardly" in words.pull_sentence("cnn", {"share": 0.0, "pull": 0.0})


def test_what_it_was_trained_on_is_told_of_a_record_and_of_a_model() -> None:
    record = hand_record("no")
    told = words.trained_sentence(record["model"])
    assert told == words.trained_sentence(ModelInfo(**record["model"]))
    assert record["model"]["trained_on"] in told


def test_every_outcome_has_a_headline() -> None:
    told = {words.headline(hand_record(kind)) for kind in ("yes", "no", "abstain", "refuse", "unreadable")}
    assert len(told) == 5
