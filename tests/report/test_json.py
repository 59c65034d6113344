"""The object that other programs parse: its keys, and nothing that JSON does not have."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from answers import some_assessment
from spinecare.errors import AssessmentError, ScanError, UnreadableCode
from spinecare.report.json import to_json
from spinecare.scan import Check, Interval, RefusalCode, Refused

# DESIGN 7, to the letter.
ALWAYS = {"schema", "file", "sha256", "outcome"}
ASSESSED = ALWAYS | {
    "osteoporosis", "category", "prediction_set", "probabilities", "interval", "abstained", "levels",
    "members", "quality", "measurements", "model", "warnings", "acquired", "device", "uids",
}  # fmt: skip
NOT_ASSESSED = ALWAYS | {"code", "reason", "hint"}


def through_json(answer: Any, sha256: str | None = "ab" * 32) -> dict[str, Any]:
    text = json.dumps(to_json(answer, "scan.dcm", sha256), allow_nan=False)
    value: dict[str, Any] = json.loads(text)
    return value


def test_an_assessment_has_every_key_and_no_other() -> None:
    told = through_json(some_assessment())
    assert set(told) == ASSESSED
    assert (told["schema"], told["file"], told["outcome"]) == (
        "spinecare.assessment/1",
        "scan.dcm",
        "assessed",
    )
    assert (told["osteoporosis"], told["category"], told["abstained"]) == ("yes", "osteoporosis", False)
    assert told["prediction_set"] == ["low_bone_mass", "osteoporosis"]
    assert list(told["probabilities"]) == ["normal", "low_bone_mass", "osteoporosis"]
    assert set(told["model"]) == {"name", "version", "sha256", "trained_on"}
    assert told["acquired"] == "2024-02-29"
    assert told["uids"] == {"sop": "1.2.3", "study": "1.2"}
    assert told["interval"] is None


def test_levels_are_row_column_pairs() -> None:
    level = through_json(some_assessment())["levels"][0]
    assert set(level) == {"name", "polygon", "source", "confidence"}
    assert level["polygon"] == [[20, 60], [20, 100], [60, 100], [60, 60]]


def test_abstained_is_null_and_so_is_what_the_file_does_not_say() -> None:
    told = through_json(some_assessment(osteoporosis=None, category=None, abstained=True, acquired=None, device=None))
    assert told["abstained"] is True
    assert [told[key] for key in ("osteoporosis", "category", "acquired", "device")] == [None] * 4


def test_an_interval_has_its_five_fields() -> None:
    interval = Interval("osteoporosis", 0.9, 0.2, 0.7, "bootstrap")
    assert through_json(some_assessment(interval=interval))["interval"] == {
        "of": "osteoporosis", "level": 0.9, "low": 0.2, "high": 0.7, "method": "bootstrap",
    }  # fmt: skip


def test_numbers_of_numpy_and_numbers_that_json_lacks() -> None:
    check = Check("x", np.bool_(True), np.float32(np.nan), float("inf"), "mm", "s")  # type: ignore[arg-type]
    answer = some_assessment(measurements={"a_px": np.float32(1.5), "b_px": float("nan")}, quality=(check,))
    told = through_json(answer)
    assert told["measurements"] == {"a_px": 1.5, "b_px": None}
    assert (told["quality"][0]["value"], told["quality"][0]["limit"]) == (None, None)
    assert told["quality"][0]["passed"] is True


def test_a_probability_that_is_no_number_does_not_leave() -> None:
    broken = {"normal": float("nan"), "low_bone_mass": 0.5, "osteoporosis": 0.5}
    with pytest.raises(ValueError, match="probability of normal"):
        to_json(some_assessment(probabilities=broken), "x", None)


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (Refused(RefusalCode.OTHER_VIEW, "A femur.", "Send a spine."), "refused", "other_view"),
        (ScanError(UnreadableCode.DAMAGED, "Cut off.", "Send it again."), "unreadable", "damaged"),
        (AssessmentError("It broke.", "Report it."), "unreadable", "internal_error"),
    ],
)
def test_no_label_comes_with_code_reason_and_hint(answer: Any, outcome: str, code: str) -> None:
    told = through_json(answer, sha256=None)
    assert set(told) == NOT_ASSESSED
    assert (told["outcome"], told["code"], told["sha256"]) == (outcome, code, None)
    assert told["reason"] == answer.reason
    assert told["hint"] == answer.hint
