"""What the tags say about the view."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from spinecare.io.view import read_view, read_view_tags
from spinecare.scan import View


def tagged(**tags: str) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("protocol", "view"),
    [
        ("AP Spine", View.AP_SPINE),
        ("AP Lumbar Spine", View.AP_SPINE),
        ("PA SPINE", View.AP_SPINE),
        ("L1-L4", View.AP_SPINE),
        ("LVA", View.LATERAL_SPINE),
        ("Lateral Spine", View.LATERAL_SPINE),
        ("AP Spine, lateral", View.LATERAL_SPINE),
        ("Left Femur", View.FEMUR),
        ("DualFemur", View.FEMUR),
        ("Right Hip", View.FEMUR),
        ("Left Forearm", View.FOREARM),
        ("Whole Body", View.WHOLE_BODY),
        ("Total Body", View.WHOLE_BODY),
        ("Hand", View.OTHER),
        ("Chest PA", View.OTHER),
        ("C-Spine AP", View.OTHER),
        ("TSPINE", View.OTHER),
        ("DEFAULT", View.UNKNOWN),
        ("", View.UNKNOWN),
    ],
)
def test_protocol_names(protocol: str, view: View) -> None:
    assert read_view(tagged(ProtocolName=protocol)) == view


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({"BodyPartExamined": "LSPINE", "ViewPosition": "AP"}, View.AP_SPINE),
        ({"BodyPartExamined": "LSPINE", "ViewPosition": "LL"}, View.LATERAL_SPINE),
        ({"BodyPartExamined": "HIP", "ViewPosition": "AP"}, View.FEMUR),
        ({"BodyPartExamined": "ABDOMEN"}, View.OTHER),
        ({"BodyPartExamined": "JAW"}, View.OTHER),
        ({"ViewPosition": "AP"}, View.UNKNOWN),
        # two strong witnesses that name two regions
        ({"ProtocolName": "AP Spine", "BodyPartExamined": "HIP"}, View.OTHER),
        # a weak witness speaks only when the strong are silent
        ({"ProtocolName": "AP Spine", "StudyDescription": "DXA Hip and Spine"}, View.AP_SPINE),
        ({"StudyDescription": "DXA Hip and Spine"}, View.UNKNOWN),
        ({"SeriesDescription": "Left Hip", "StudyDescription": "DXA Spine"}, View.FEMUR),
        ({"PerformedProcedureStepDescription": "AP Spine"}, View.AP_SPINE),
    ],
)
def test_several_tags_together(tags: dict[str, str], view: View) -> None:
    assert read_view(tagged(**tags)) == view


def test_raw_texts_are_kept_strong_witnesses_first() -> None:
    dataset = tagged(StudyDescription="DXA Exam", ProtocolName=" AP Spine ", BodyPartExamined="")
    assert read_view_tags(dataset) == ("ProtocolName: AP Spine", "StudyDescription: DXA Exam")
