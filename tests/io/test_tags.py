"""Patient, spacing and date from tags."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import pytest
from pydicom import Dataset

from spinecare.io.tags import read_acquired, read_device, read_patient, read_spacing


def tagged(**tags: Any) -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = 780, 716
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def test_spacing_comes_from_the_first_source_that_is_usable() -> None:
    area = {"ExposedArea": [180, 197]}
    imager = {"ImagerPixelSpacing": [0.3, 0.4]} | area
    assert read_spacing(tagged(PixelSpacing=[0.1, 0.2], **imager)) == ((0.1, 0.2), "PixelSpacing")
    assert read_spacing(tagged(PixelSpacing=[0, 0.2], **imager)) == ((0.3, 0.4), "ImagerPixelSpacing")
    assert read_spacing(tagged(**area)) == ((197 / 780, 180 / 716), "ExposedArea")
    assert read_spacing(tagged()) == (None, "unknown")


@pytest.mark.parametrize("area", [[170, 197], [197, 180], [0, 0], [180]])
def test_an_exposed_area_that_gives_oblong_pixels_is_not_trusted(area: list[int]) -> None:
    assert read_spacing(tagged(ExposedArea=area)) == (None, "unknown")


def test_the_key_is_a_hash_of_the_patient_id_or_of_the_file() -> None:
    assert read_patient(tagged(PatientID="A 1 "), "f" * 12).key == hashlib.sha256(b"A 1").hexdigest()[:12]
    assert read_patient(tagged(PatientID=""), "f" * 12).key == "f" * 12


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({"PatientAge": "059Y"}, 59.0),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientBirthDate": "19500615", "AcquisitionDate": "20150614"}, 65.0),
        ({"PatientBirthDate": "19500615"}, None),
        ({"PatientBirthDate": "20200101", "AcquisitionDate": "20150614"}, None),
        ({"PatientBirthDate": "19509999", "AcquisitionDate": "20150614"}, None),
        ({"PatientAge": "999Y"}, None),
        ({}, None),
    ],
)
def test_age_is_as_written_else_from_the_dates(tags: dict[str, str], age: float | None) -> None:
    assert read_patient(tagged(**tags), "k").age_years == (None if age is None else pytest.approx(age, abs=0.01))


@pytest.mark.parametrize(("size", "height"), [("1.72", 172.0), ("172", 172.0), ("0", None), ("", None), ("900", None)])
def test_height_is_in_centimetres(size: str, height: float | None) -> None:
    assert read_patient(tagged(PatientSize=size), "k").height_cm == height


@pytest.mark.parametrize(("written", "sex"), [("F", "F"), ("M", "M"), ("O", None), ("", None)])
def test_sex(written: str, sex: str | None) -> None:
    assert read_patient(tagged(PatientSex=written), "k").sex == sex


def test_the_day_is_the_acquisition_else_the_study() -> None:
    assert read_acquired(tagged(AcquisitionDate="20150202", StudyDate="20150101")) == date(2015, 2, 2)
    assert read_acquired(tagged(AcquisitionDate="", StudyDate="20150101")) == date(2015, 1, 1)
    assert read_acquired(tagged()) is None


def test_device_is_maker_and_model() -> None:
    assert read_device(tagged(Manufacturer="Hologic", ManufacturerModelName="Horizon A")) == "Hologic Horizon A"
    assert read_device(tagged(ManufacturerModelName="Horizon A")) == "Horizon A"
    assert read_device(tagged()) is None
