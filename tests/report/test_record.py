"""The record that is kept: the same keys as the one by hand that pages are tested on, and its pictures."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from answers import SOURCE, some_assessment, some_scan
from spinecare.assessor import Assessor
from spinecare.errors import AssessmentError, ScanError, UnreadableCode
from spinecare.io.read import read_scan
from spinecare.report.json import to_json
from spinecare.report.record import Record, make_record
from spinecare.scan import Assessment, RefusalCode, Refused
from stored import hand_record

SHA = "12" * 32


@pytest.fixture(scope="module")
def idxa_record(idxa: Path) -> Record:
    """The record of the real iDXA scan by the model in the package."""
    from spinecare.assessor import load

    return real_record(load(), idxa / "ap_spine.dcm")


def real_record(assessor: Assessor, path: Path) -> Record:
    scan = read_scan(path)
    return make_record(assessor.assess(scan), scan, SHA, 0.5, assessor.bundle)


def shape_of(value: Any) -> Any:
    """What a program that reads a record relies on: keys, and types below them."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    return "list" if isinstance(value, list) else "value"


def missing(told: dict[str, Any], wanted: dict[str, Any]) -> set[str]:
    return set(told) ^ set(wanted)


def test_a_real_assessment_has_the_keys_of_the_record_by_hand(idxa_record: Record) -> None:
    told, wanted = idxa_record.record, hand_record("no")
    assert missing(told, wanted) == set()
    assert missing(told["display"], wanted["display"]) == set()
    for key in ("scan", "patient", "prevalence", "assumed_prevalence", "weights"):
        assert missing(told["display"][key], wanted["display"][key]) == set(), key
    for key in ("levels", "levels_on_prepared"):
        assert missing(told["display"][key][0], wanted["display"][key][0]) == set(), key
    for picture in told["display"]["pictures"].values():
        assert set(picture) == {"sha256", "width", "height"}


def test_the_answer_in_it_is_the_answer_of_the_command_line(idxa: Path, idxa_record: Record) -> None:
    from spinecare.assessor import load

    answer = load().assess(idxa / "ap_spine.dcm")
    plain = to_json(answer, "", SHA)
    assert {key: idxa_record.record[key] for key in plain} == plain


def test_it_goes_through_json_and_names_no_file(idxa_record: Record) -> None:
    text = json.dumps(idxa_record.record, allow_nan=False)
    assert "ap_spine.dcm" not in text
    assert json.loads(text)["file"] == ""


def test_pictures_are_pngs_named_by_their_hash(idxa_record: Record) -> None:
    told = idxa_record.record["display"]["pictures"]
    assert set(told) == set(idxa_record.pictures)
    for name, png in idxa_record.pictures.items():
        assert told[name]["sha256"] == hashlib.sha256(png).hexdigest()
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.format == "PNG"
    with Image.open(io.BytesIO(idxa_record.pictures["scan"])) as picture:
        assert picture.size == (716, 780)
    # 180 x 197 mm over 716 x 780 pixels: nearly square, but not quite.
    assert told["scan"]["width"] == 716
    assert told["scan"]["height"] == pytest.approx(780 * (197 / 780) / (180 / 716), rel=0.01)


def test_a_refused_scan_shows_itself_and_no_answer() -> None:
    refused = Refused(RefusalCode.NOT_A_SPINE, "This is no spine.", "Send a spine.", SOURCE)
    kept = make_record(refused, some_scan(), SHA, 0.1, None)
    wanted = hand_record("refuse")
    assert missing(kept.record, wanted) == set()
    assert missing(kept.record["display"], wanted["display"]) == set()
    assert set(kept.pictures) == {"scan"}


def test_an_unreadable_file_leaves_no_picture() -> None:
    error = ScanError(UnreadableCode.DAMAGED, "The file breaks off.", "Send it again.")
    kept = make_record(error, None, SHA, 0.1, None)
    wanted = hand_record("unreadable")
    assert missing(kept.record, wanted) == set()
    assert missing(kept.record["display"], wanted["display"]) == set()
    assert kept.pictures == {}


def test_what_broke_inside_is_not_told_to_the_sender() -> None:
    error = AssessmentError("/srv/secret broke (KeyError: 'x').", "Look there.")
    kept = make_record(error, some_scan(), SHA, 0.1, None)
    assert kept.record["outcome"] == "unreadable"
    assert kept.record["code"] == "internal_error"
    assert "secret" not in json.dumps(kept.record)


def test_patient_and_spacing_are_as_used() -> None:
    kept = make_record(some_assessment(), some_scan(), SHA, 0.1, None)
    assert kept.record["display"]["patient"] == {"sex": "F", "age_years": 71.0, "height_cm": None, "weight_kg": None}
    assert kept.record["display"]["scan"]["spacing_mm"] == [0.5, 0.25]
    # Rows are twice as far apart as columns: a square centimetre is drawn square.
    assert kept.record["display"]["pictures"]["scan"] | {"sha256": ""} == {"sha256": "", "width": 160, "height": 480}


def test_an_assessment_without_its_scan_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="needs the scan"):
        make_record(some_assessment(), None, SHA, 0.1, None)


def test_a_number_that_is_none_never_leaves() -> None:
    broken: Assessment = some_assessment(probabilities={"normal": np.nan, "low_bone_mass": 0.5, "osteoporosis": 0.5})
    with pytest.raises(ValueError, match="probability of normal"):
        make_record(broken, some_scan(), SHA, 0.1, None)
