"""The report on paper: read back with another library."""

from __future__ import annotations

import io
import re

import pypdf
import pytest

from spinecare.report.pdf import report_pdf
from stored import hand_pictures, hand_record

HEADER = {"Patient": "Müller, Zoë; Иванова", "Scanned": "2 Mar 2026", "Assessment": "0123456789abcdef"}
READING = {
    "verdict": "correct",
    "label": "low_bone_mass",
    "reason": "Osteophytes ≥ L3 <b>",
    "by": "Dr. Ada",
    "at": "22 Nov 2026",
}


def opened(kind: str, readings: tuple[dict[str, str], ...] = ()) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(report_pdf(hand_record(kind), hand_pictures(kind), HEADER, readings)))


def text_of(pdf: pypdf.PdfReader) -> str:
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pdf.pages))


@pytest.mark.parametrize(
    ("kind", "says"), [("yes", "reads osteoporosis"), ("no", "reads no osteoporosis"), ("abstain", "abstains")]
)
def test_an_answer_is_one_page_with_its_reasons(kind: str, says: str) -> None:
    pdf = opened(kind)
    text = text_of(pdf)
    assert len(pdf.pages) == 1
    for words in (
        says,
        "For research, not a diagnosis.",
        "T-score −2.5 or lower",
        "CNN",
        "VGG16",
        "WHO TRS 843",
        "The scan ends inside L4.",
    ):
        assert words in text, words
    assert "Müller, Zoë; Иванова" in text
    assert len(pdf.pages[0].images) >= 2


def test_a_refusal_has_its_reason_and_no_class() -> None:
    text = text_of(opened("refuse"))
    assert "This is no AP lumbar spine." in text
    assert "%" not in text
    assert "WHO" not in text


def test_readings_stand_on_it_as_they_were_written() -> None:
    text = text_of(opened("no", (READING,)))
    assert "Corrects: low bone mass. “Osteophytes ≥ L3 <b>” Dr. Ada, 22 Nov 2026" in text


def test_many_long_readings_go_on_a_second_page() -> None:
    pdf = opened("no", tuple({**READING, "reason": "word " * 150} for _ in range(12)))
    assert len(pdf.pages) >= 2
    assert text_of(pdf).count("Corrects") == 12


def test_it_says_what_it_is_to_a_screen_reader() -> None:
    pdf = opened("yes")
    assert pdf.metadata is not None
    assert pdf.metadata.title == "SpineCare report 0123456789abcdef"
    assert pdf.trailer["/Root"]["/Lang"] == "en"


def test_what_could_not_be_read_has_no_report() -> None:
    with pytest.raises(ValueError, match="no report"):
        report_pdf(hand_record("unreadable"), {}, HEADER)
