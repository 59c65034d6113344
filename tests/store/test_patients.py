"""Under whom a scan is filed. On both databases."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydicom import Dataset
from sqlalchemy import select

from spinecare.io.tags import read_identity
from spinecare.store import patients, uploads, work
from spinecare.store.actor import DEMO
from spinecare.store.models import AssessmentRow, Identity, PatientRow, ScanRow
from spinecare.store.site import Answered, Site
from spinecare.store.uploads import Given
from stored import FakePool, make_png


class Names(FakePool):
    """A pool whose files say who they show."""

    def __init__(self, **identity: str | None) -> None:
        super().__init__()
        self.identity = identity

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        answered = super().assess(data, name, given)
        return Answered(answered.record, answered.pictures, self.identity)


def assessed(site: Site, pool: FakePool, given: Given | None = None, seed: int = 0) -> tuple[str | None, list[str]]:
    """The clinic's id of whom it was filed under, and the sentences about it."""
    with site.files.incoming() as file:
        file.write(make_png(seed))
        one = uploads.accept(site, file, "scan.png", given or Given(), DEMO)
    work.do(site.db, site.files, pool, one.assessment_id)
    with site.db.read() as session:
        row = session.get_one(AssessmentRow, one.assessment_id)
        assert row.record is not None
        notes = [n for n in row.record["display"]["notes"] if "patient" in n]
        patient = row.scan.patient
        return (patient.identity.clinic_id if patient and patient.identity else None), notes


def test_the_file_says_who_it_is(site: Site) -> None:
    pool = Names(clinic_id="P-1", name="Doe^Jane", birth_date="1950-02-03")
    assert assessed(site, pool) == ("P-1", [])
    assert assessed(site, pool, seed=1) == ("P-1", [])
    with site.db.read() as session:
        who = session.scalars(select(Identity)).one()
        assert (who.name, who.birth_date, who.patient.birth_year) == ("Doe^Jane", date(1950, 2, 3), 1950)
        assert len(who.patient.scans) == 2


def test_nobody_says_who_it_is(site: Site) -> None:
    assert assessed(site, Names()) == (None, [])
    with site.db.read() as session:
        assert session.scalars(select(PatientRow)).all() == []


def test_the_sender_says_who_it_is(site: Site) -> None:
    assert assessed(site, Names(), Given(clinic_id="P-2")) == ("P-2", [])


def test_both_say_the_same(site: Site) -> None:
    pool = Names(clinic_id="P-1", name="Doe^Jane")
    assert assessed(site, pool, Given(clinic_id="P-1")) == ("P-1", [])
    with site.db.read() as session:
        assert session.scalars(select(Identity)).one().name == "Doe^Jane"


def test_two_ids_that_differ_file_it_under_nobody(site: Site) -> None:
    assert assessed(site, Names(clinic_id="P-1"), Given(clinic_id="P-2")) == (None, [patients.OTHER_ID])


def test_a_date_of_birth_that_differs_files_it_under_nobody(site: Site) -> None:
    assessed(site, Names(clinic_id="P-1", birth_date="1950-02-03"))
    other = Names(clinic_id="P-1", birth_date="1980-01-01")
    assert assessed(site, other, seed=1) == (None, [patients.OTHER_BIRTH])
    typed = Given(clinic_id="P-1")
    assert assessed(site, other, typed, seed=2) == (None, [patients.OTHER_BIRTH])


def test_what_a_person_filed_by_hand_stays_filed(site: Site) -> None:
    pool = Names(clinic_id="P-1")
    assessed(site, pool)
    with site.db.begin() as session:
        scan = session.scalars(select(ScanRow)).one()
        patients.file_under(session, scan, patients.find_or_make(site.db, session, "P-9"))
    assert assessed(site, pool, Given(age_years=60)) == ("P-9", [patients.OTHER_PATIENT])


def test_what_is_known_of_a_patient_is_not_overwritten(site: Site) -> None:
    with site.db.begin() as session:
        first = patients.find_or_make(site.db, session, "P-1", "Doe^Jane", date(1950, 2, 3), "F")
        again = patients.find_or_make(site.db, session, " P-1 ", "Other", date(1960, 1, 1), "M")
        assert again.id == first.id
        assert again.identity is not None
        assert (again.sex, again.birth_year, again.identity.name) == ("F", 1950, "Doe^Jane")


@pytest.mark.parametrize("birth_date", ["", "not a day", "1950-13-01", None])
def test_a_date_that_is_none_is_no_date(site: Site, birth_date: str | None) -> None:
    assert assessed(site, Names(clinic_id="P-1", birth_date=birth_date)) == ("P-1", [])


def test_sending_it_again_does_not_get_round_two_ids_that_differ(site: Site) -> None:
    pool, typed = Names(clinic_id="P-1"), Given(clinic_id="P-2")
    with site.files.incoming() as file:
        file.write(make_png())
        sha256 = file.keep()
    assert assessed(site, pool, typed) == (None, [patients.OTHER_ID])
    with site.db.begin() as session:
        session.scalars(select(ScanRow).where(ScanRow.sha256 == sha256)).one().media_type = "application/dicom"
    assert assessed(site, pool, typed) == (None, [patients.OTHER_ID])


def test_a_picture_can_be_filed_by_sending_it_again(site: Site) -> None:
    assert assessed(site, Names()) == (None, [])
    assert assessed(site, Names(), Given(clinic_id="P-2")) == ("P-2", [])


@pytest.mark.parametrize(
    ("tags", "identity"),
    [
        (
            {"PatientID": " P\x07 1 ", "PatientName": "Doe^Jane", "PatientBirthDate": "19500203"},
            {"clinic_id": "P 1", "name": "Doe^Jane", "birth_date": "1950-02-03"},
        ),
        ({}, {"clinic_id": None, "name": None, "birth_date": None}),
        ({"PatientID": "ANONYMOUS"}, {"clinic_id": None, "name": None, "birth_date": None}),
        ({"PatientID": "000-000"}, {"clinic_id": None, "name": None, "birth_date": None}),
        ({"PatientID": "100"}, {"clinic_id": "100", "name": None, "birth_date": None}),
        ({"PatientBirthDate": "1950"}, {"clinic_id": None, "name": None, "birth_date": None}),
    ],
)
def test_what_a_dicom_file_says_of_who_it_is(tags: dict[str, str], identity: dict[str, str | None]) -> None:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    assert read_identity(dataset) == identity
