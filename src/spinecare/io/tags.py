"""Patient, spacing, date and device from the tags of a DICOM file.

Tags are typed by hand or by programs in a hurry: a value that makes no sense is left out, never guessed.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from spinecare.scan import Patient, SpacingSource

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_ANISOTROPY = 0.03
"""ExposedArea is in whole millimetres: spacings that differ by more than this are not trusted."""

_NOBODY = frozenset(
    {"", "anon", "anonymous", "anonymised", "anonymized", "deidentified", "na", "none", "null", "unknown", "test"}
)
_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}


def read_spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, SpacingSource]:
    """(row, col) distance between pixel centres in mm, and where it came from.

    PixelSpacing (PS3.3 10.7.1.3), else ImagerPixelSpacing, else ExposedArea (0040,0303): its first value is
    the width in mm and its second the height (seen in GE Lunar iDXA files), so they are divided by Columns
    and Rows. (None, "unknown") when none of them is usable.
    """
    sources: tuple[Literal["PixelSpacing", "ImagerPixelSpacing"], ...] = (
        "PixelSpacing",
        "ImagerPixelSpacing",
    )
    for source in sources:
        pair = _positive_pair(dataset.get(source))
        if pair:
            return pair, source
    area = _positive_pair(dataset.get("ExposedArea"))
    if area:
        row_mm, col_mm = area[1] / int(dataset.Rows), area[0] / int(dataset.Columns)
        if max(row_mm, col_mm) / min(row_mm, col_mm) - 1 <= MAX_ANISOTROPY:
            return (row_mm, col_mm), "ExposedArea"
    return None, "unknown"


def read_patient(dataset: Dataset, fallback_key: str) -> Patient:
    """The patient. The key is the first 12 hex digits of the SHA-256 of PatientID, or `fallback_key`."""
    identity = _text(dataset, "PatientID")
    sex = _text(dataset, "PatientSex").upper()
    return Patient(
        key=hashlib.sha256(identity.encode()).hexdigest()[:12] if identity else fallback_key,
        sex="F" if sex == "F" else "M" if sex == "M" else None,
        age_years=_age(dataset),
        height_cm=_height(dataset),
        weight_kg=_within(_number(dataset.get("PatientWeight")), 1.0, 500.0),
        ethnicity=_text(dataset, "EthnicGroup") or None,
    )


def read_identity(dataset: Dataset) -> dict[str, str | None]:
    """Who the file says it shows: `clinic_id` (PatientID), `name`, `birth_date` (ISO), each None where it says nothing.

    For filing alone; nothing of it gets into an answer. A word that stands for nobody, as ANONYMOUS, is no PatientID:
    it would make one patient of many.
    """
    clinic_id, born = _line(dataset, "PatientID", 128), _date(dataset, "PatientBirthDate")
    letters = "".join(c for c in (clinic_id or "").lower() if c.isalnum()).strip("0")
    return {
        "clinic_id": None if letters in _NOBODY else clinic_id,
        "name": _line(dataset, "PatientName", 256),
        "birth_date": born.isoformat() if born else None,
    }


def read_acquired(dataset: Dataset) -> date | None:
    """The day of the scan: acquisition, else content, series or study date."""
    keywords = ("AcquisitionDate", "AcquisitionDateTime", "ContentDate", "SeriesDate", "StudyDate")
    return next((day for keyword in keywords if (day := _date(dataset, keyword))), None)


def read_device(dataset: Dataset) -> str | None:
    """Manufacturer and model, as "GE Healthcare Lunar iDXA"."""
    parts = (_text(dataset, "Manufacturer"), _text(dataset, "ManufacturerModelName"))
    return " ".join(part for part in parts if part) or None


def _age(dataset: Dataset) -> float | None:
    """Age in years: PatientAge as the scanner wrote it, else from the date of birth and of the scan."""
    written = re.fullmatch(r"(\d{1,3})([DWMY])", _text(dataset, "PatientAge").upper())
    if written:
        return _within(int(written[1]) * _DAYS[written[2]] / 365.25, 0.0, 130.0)
    born, acquired = _date(dataset, "PatientBirthDate"), read_acquired(dataset)
    if born is None or acquired is None:
        return None
    return _within((acquired - born).days / 365.25, 0.0, 130.0)


def _height(dataset: Dataset) -> float | None:
    """Height in cm. PatientSize is in metres (PS3.3 C.7.2.2); some scanners write centimetres."""
    size = _number(dataset.get("PatientSize"))
    return _within(size * 100.0 if size < 3.0 else size, 30.0, 250.0)


def _date(dataset: Dataset, keyword: str) -> date | None:
    written = re.match(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", _text(dataset, keyword))
    try:
        return date(*(int(part) for part in written.groups())) if written else None
    except ValueError:
        return None


def _positive_pair(value: Any) -> tuple[float, float] | None:
    try:
        first, second = (_number(part) for part in value)
    except (TypeError, ValueError):
        return None
    good = math.isfinite(first) and math.isfinite(second) and first > 0 and second > 0
    return (first, second) if good else None


def _within(number: float, low: float, high: float) -> float | None:
    """The number when it lies in low ... high, both included, else None."""
    return number if math.isfinite(number) and low <= number <= high else None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _line(dataset: Dataset, keyword: str, length: int) -> str | None:
    printable = "".join(c for c in _text(dataset, keyword) if c.isprintable())
    return " ".join(printable.split())[:length].strip() or None


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()
