"""The whole way: its order, its closed end, and real files on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import spinecare
from answers import some_prepared, some_scan
from make_bundle import TINY_LEVELS, make_bundle
from spinecare import assessor as way
from spinecare.assessor import Assessor
from spinecare.bundle.read import open_bundle
from spinecare.errors import AssessmentError, BundleError, ScanError, SpineCareError, UnreadableCode
from spinecare.prepare.locate import locate_levels
from spinecare.prepare.pipeline import prepare
from spinecare.quality.gate import gate
from spinecare.scan import Assessment, Check, RefusalCode, Refused, Scan

STEPS = ("find_levels", "gate", "prepare", "check", "refuse", "measure", "predict", "warnings")
REFUSED = Refused(RefusalCode.NOT_A_SPINE, "It shows no spine.", "Send a spine.")


@pytest.fixture(scope="module")
def assessor(tiny_bundle: Path) -> Assessor:
    return spinecare.load(tiny_bundle)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> dict[str, Any]:
    """Stand-ins for the steps around the model; change an entry to change what a step gives."""
    size = open_bundle(tiny_bundle).spec.prepare
    image = np.full((size.height, size.width), 0.5, dtype=np.float32)
    given: dict[str, Any] = {
        "find_levels": "found",
        "gate": None,
        "prepare": some_prepared(image=image),
        "check": (Check("contrast", True, 1.0, 0.1, "of white", "Good."),),
        "refuse": None,
    }

    def stand_in(name: str) -> Any:
        def step(*_: Any) -> Any:
            if isinstance(given[name], Exception):
                raise given[name]
            return given[name]

        return step

    for name in given:
        monkeypatch.setattr(way, name, stand_in(name))
    return given


def never(*_: Any) -> None:
    pytest.fail("a step after the refusal was reached")


def test_an_answer_carries_where_it_came_from(assessor: Assessor, steps: dict[str, Any]) -> None:
    scan = some_scan()
    answer = assessor.assess(scan)
    assert isinstance(answer, Assessment)
    assert (answer.source, answer.patient) == (scan.source, scan.patient)
    assert (answer.acquired, answer.device) == (scan.acquired, scan.device)
    assert answer.model.sha256 == assessor.bundle.sha256
    assert answer.quality == steps["check"]
    assert answer.warnings[0] == "For research, not a diagnosis."
    assert answer.osteoporosis is (answer.category == "osteoporosis") or answer.abstained
    assert set(answer.timings_ms) == {
        "read", "find_levels", "gate", "prepare", "checks", "measure", "predict", "clinical",
    }  # fmt: skip
    assert all(ms >= 0 for ms in answer.timings_ms.values())


@pytest.mark.parametrize(
    ("step", "later"),
    [("gate", "prepare"), ("prepare", "check"), ("refuse", "measure")],
)
def test_a_refusal_ends_the_way_and_no_later_step_runs(
    assessor: Assessor, steps: dict[str, Any], monkeypatch: pytest.MonkeyPatch, step: str, later: str
) -> None:
    steps[step] = REFUSED
    for name in STEPS[STEPS.index(later) :]:
        monkeypatch.setattr(way, name, never)
    answer = assessor.assess(some_scan())
    assert isinstance(answer, Refused)
    assert answer.code is RefusalCode.NOT_A_SPINE
    assert answer.source == some_scan().source


@pytest.mark.parametrize("step", ["find_levels", "gate", "prepare", "check", "refuse"])
def test_a_step_that_breaks_gives_an_error_that_names_it_and_never_a_label(
    assessor: Assessor, steps: dict[str, Any], step: str
) -> None:
    steps[step] = ZeroDivisionError("by zero")
    with pytest.raises(AssessmentError, match="failed on this scan") as caught:
        assessor.assess(some_scan())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_prepared_picture_that_is_not_finite_gets_no_label(assessor: Assessor, steps: dict[str, Any]) -> None:
    steps["prepare"] = some_prepared(image=np.full((192, 96), np.nan, dtype=np.float32))
    with pytest.raises(AssessmentError):
        assessor.assess(some_scan())


def test_an_error_with_a_sentence_of_its_own_passes_unchanged(assessor: Assessor, steps: dict[str, Any]) -> None:
    own = SpineCareError("A sentence of its own.")
    steps["prepare"] = own
    with pytest.raises(SpineCareError) as caught:
        assessor.assess(some_scan())
    assert caught.value is own


@pytest.mark.parametrize("x", [b"", b"just text\n", "no/such/file.dcm", Path("no/such/file.png")])
def test_what_cannot_be_read_raises(assessor: Assessor, x: Any) -> None:
    with pytest.raises(ScanError) as caught:
        assessor.assess(x, name="mine.txt")
    assert caught.value.code in set(UnreadableCode)


def test_a_bundle_that_does_not_open_gives_no_assessor(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        spinecare.load(tmp_path)


def test_the_settings_and_levels_that_were_found_are_handed_on(
    assessor: Assessor, steps: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(way, "prepare", lambda *given: seen.append(given) or steps["prepare"])
    assessor.assess(some_scan())
    assert seen[0][1:] == (assessor.bundle.spec.prepare, "found")


# Real files, on the real way.


def test_a_real_idxa_spine_is_assessed_as_file_bytes_and_scan(assessor: Assessor, idxa: Path) -> None:
    path = idxa / "ap_spine.dcm"
    answer = assessor.assess(path)
    assert isinstance(answer, Assessment)
    assert [level.name for level in answer.levels] == ["L1", "L2", "L3", "L4"]
    assert all(level.source == "image_processing" for level in answer.levels)
    assert "height_l1_l4_mm" in answer.measurements
    again = assessor.assess(path.read_bytes(), name="spine")
    assert isinstance(again, Assessment)
    assert again.probabilities == answer.probabilities
    assert again.source.sha256 == answer.source.sha256


def test_a_real_hologic_crop_uses_the_box_of_its_operator(assessor: Assessor, spine_dxa: Path) -> None:
    answer = assessor.assess(spine_dxa / "images" / "s001.png")
    assert isinstance(answer, Assessment)
    assert {level.source for level in answer.levels} == {"operator_roi"}
    assert not [w for w in answer.warnings if "image processing" in w]
    assert [w for w in answer.warnings if "age is not known" in w]


@pytest.mark.parametrize("name", ["left_femur.dcm", "lateral_spine.dcm"])
def test_other_views_are_refused(assessor: Assessor, idxa: Path, name: str) -> None:
    answer = assessor.assess(idxa / name)
    assert isinstance(answer, Refused)
    assert answer.source is not None


def test_a_blank_picture_is_refused(assessor: Assessor) -> None:
    ok, png = cv2.imencode(".png", np.zeros((400, 300), dtype=np.uint8))
    assert ok
    assert isinstance(assessor.assess(png.tobytes(), name="blank.png"), Refused)


def test_the_parts_agree_on_what_they_hand_each_other(idxa: Path) -> None:
    scan: Scan = way.read_scan(idxa / "ap_spine.dcm")
    found = way.find_levels(scan)
    assert gate(scan, found) is None
    alone, reused = prepare(scan), prepare(scan, found=found)
    assert not isinstance(alone, Refused)
    assert not isinstance(reused, Refused)
    np.testing.assert_array_equal(alone.image, reused.image)


def test_levels_are_found_by_the_bundles_network_where_it_has_one(assessor: Assessor, tmp_path: Path) -> None:
    """The tiny level network calls whatever is bright L1 to L4, by the row."""
    grey = np.full((224, 224), 0.05, np.float32)
    grey[:, 80:144] = 0.9
    valid = np.ones(grey.shape, dtype=np.bool_)
    with_network = spinecare.load(make_bundle(tmp_path / "b", levels=TINY_LEVELS))
    levels = with_network.locate(grey, valid).levels
    assert [level.source for level in levels] == ["network"] * 4
    assert levels[0].top_row == pytest.approx(0.2 * 224, abs=20)
    assert levels[3].bottom_row == pytest.approx(0.8 * 224, abs=20)
    assert assessor.locate is locate_levels
