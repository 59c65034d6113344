"""Warnings and WHO categories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answers import four_levels, some_scan
from make_bundle import tiny_spec
from spinecare.clinical.rules import warnings, who_category, who_table
from spinecare.scan import Label, Patient, Scan

SPEC = tiny_spec(assumed_prevalence=tiny_spec().prevalence)


def said(scan: Scan, source: str = "image_processing", spec: object = SPEC) -> str:
    return "\n".join(warnings(scan.patient, scan, four_levels(source=source), spec))  # type: ignore[arg-type]


def of_age(age: float | None) -> Scan:
    return some_scan(patient=Patient("x", sex="F", age_years=age))


@pytest.mark.parametrize(
    ("t_score", "category"),
    [
        (0.0, Label.NORMAL),
        (-1.0, Label.NORMAL),
        (-1.01, Label.LOW_BONE_MASS),
        (-2.49, Label.LOW_BONE_MASS),
        (-2.5, Label.OSTEOPOROSIS),
        (-4.0, Label.OSTEOPOROSIS),
    ],
)
def test_who_categories_with_their_bounds(t_score: float, category: Label) -> None:
    assert who_category(t_score) is category


def test_a_t_score_that_is_no_number_has_no_category() -> None:
    with pytest.raises(ValueError, match="no WHO category"):
        who_category(float("nan"))


def test_the_table_says_where_its_numbers_come_from() -> None:
    for part in (who_table(), who_table()["applies_to"]):
        assert all(part[key] for key in ("source", "version", "effective"))


def test_two_sentences_are_always_there() -> None:
    sentences = warnings(some_scan().patient, some_scan(), four_levels(source="operator_roi"), SPEC)
    assert sentences[0] == "For research, not a diagnosis."
    assert sentences[1].startswith("The model was trained on virtual patients only")


def test_what_a_look_at_real_scans_found_comes_before_everything_but_research_only() -> None:
    sentence = "Checked once on 126 real scans: it says yes too often."
    told = replace(SPEC, metrics={"external_check": {"sentence": sentence}})
    assert warnings(some_scan().patient, some_scan(), four_levels(source="operator_roi"), told)[1] == sentence


def test_weights_stored_as_int8_are_told() -> None:
    small = replace(SPEC, members=(replace(SPEC.members[0], precision="int8"), *SPEC.members[1:]))
    plain = replace(SPEC, members=tuple(replace(member, precision="float32") for member in SPEC.members))
    assert "int8" in said(some_scan(), spec=small)
    assert "int8" not in said(some_scan(), spec=plain)


@pytest.mark.parametrize(("age", "words"), [(49.9, "under 50"), (None, "age is not known"), (50.0, None), (80.0, None)])
def test_age(age: float | None, words: str | None) -> None:
    text = said(of_age(age))
    assert ("postmenopausal" in text) is (words is not None)
    assert words is None or words in text


def test_what_is_not_known_is_said_and_what_is_known_is_not() -> None:
    known = said(some_scan(), source="operator_roi")
    for words in ("sex is not known", "spacing is not known", "picture alone", "population with"):
        assert words not in known
    unknown = some_scan(patient=Patient("x"), spacing_mm=None)
    for words in ("sex is not known", "spacing is not known", "picture alone"):
        assert words in said(unknown)


def test_one_level_not_set_by_an_operator_is_enough_for_its_warning() -> None:
    levels = four_levels(source="operator_roi")
    mixed = (*levels[:3], replace(levels[3], source="image_processing"))
    text = "\n".join(warnings(some_scan().patient, some_scan(), mixed, SPEC))
    assert "picture alone" in text


def test_a_grey_picture_is_no_bmd_and_a_bmd_map_is_one() -> None:
    assert "no calibrated bone mineral density" in said(some_scan())
    assert "no calibrated" not in said(some_scan(quantity="bmd_g_cm2"))


def test_the_prior_shift_is_shown() -> None:
    text = said(some_scan(), spec=tiny_spec())
    assert "normal 40%, low bone mass 40%, osteoporosis 20% (in training: 40%, 35%, 25%)" in text
