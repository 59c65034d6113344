"""What leaves the service: the file as sent, the scan without its person, a patient without the patient."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date

import numpy as np
import pydicom
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm.attributes import flag_modified

from spinecare.server.app import create_app
from spinecare.store.export import given_back
from spinecare.store.models import AssessmentRow, AuditEntry, Identity, PatientRow, Reading, ScanRow, Upload
from spinecare.store.site import Site
from stored import make_png, put_assessment, put_patient


def dicom(seed: int = 0, **tags: object) -> bytes:
    """A small DICOM picture of a person, with a program in its preamble."""
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 48), dtype=np.uint8)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = pydicom.uid.ComputedRadiographyImageStorage
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = f"1.2.3.{seed + 1}", "1.2.3"
    dataset.PatientName, dataset.PatientID = "Testperson^Eins", "P-1"
    dataset.Modality, dataset.PhotometricInterpretation = "CR", "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PixelRepresentation = 64, 48, 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.add_new("PixelData", "OB", pixels.tobytes())
    dataset.preamble = b"MZ" + bytes(126)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def put_dicom(site: Site, key: str, data: bytes, **columns: object) -> None:
    """Makes DICOM of the scan of an assessment."""
    sha256 = site.files.put(data)
    with site.db.begin() as session:
        row = session.scalars(select(AssessmentRow).where(AssessmentRow.key == key)).one()
        scan = row.scan
        scan.sha256, scan.size_bytes, scan.media_type = sha256, len(data), "application/dicom"
        for name, value in columns.items():
            setattr(scan, name, value)


def exports(site: Site) -> list[tuple[str, str, dict[str, object]]]:
    with site.db.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "export")).all()
        return [(entry.object_kind, entry.object_key, entry.details) for entry in entries]


def test_a_preamble_is_emptied_and_nothing_else() -> None:
    data = dicom()
    assert given_back(data) == bytes(128) + data[128:]
    for other in (make_png(), b"", b"MZ" + bytes(300)):
        assert given_back(other) == other


def test_the_scan_comes_back_as_it_was_sent(client: TestClient, site: Site) -> None:
    key = put_assessment(site, file_name="Eins, Testperson.png")
    answer = client.get(f"/assessments/{key}/scan")
    assert answer.content == make_png(0, "no")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == f'attachment; filename="spinecare-{key}.png"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    put_dicom(site, key, dicom())
    answer = client.get(f"/assessments/{key}/scan")
    assert answer.content == bytes(128) + dicom()[128:]
    assert answer.headers["content-type"] == "application/dicom"
    assert exports(site) == [("assessment", key, {"what": "scan"})] * 2


def test_the_scan_comes_without_its_person(client: TestClient, site: Site) -> None:
    patient = put_patient(site)
    one, two = (put_assessment(site, seed=seed, patient=patient) for seed in (0, 1))
    put_dicom(site, one, dicom(0))
    put_dicom(site, two, dicom(1))
    first, second = (client.get(f"/assessments/{key}/deidentified.dcm") for key in (one, two))
    assert first.status_code == 200
    assert b"Testperson" not in first.content
    assert first.content[:128] == bytes(128)
    files = [pydicom.dcmread(io.BytesIO(answer.content)) for answer in (first, second)]
    assert files[0].PatientID == files[1].PatientID
    assert files[0].StudyInstanceUID == files[1].StudyInstanceUID
    assert files[0].SOPInstanceUID != files[1].SOPInstanceUID
    assert exports(site)[0] == ("assessment", one, {"what": "deidentified", "looked": False})


def test_writing_in_a_picture_is_looked_at_first(client: TestClient, site: Site) -> None:
    key = put_assessment(site)
    put_dicom(site, key, dicom(BurnedInAnnotation="YES"))
    asked = client.get(f"/assessments/{key}/deidentified.dcm")
    assert asked.status_code == 409
    assert "Look at the picture first" in asked.text
    assert not exports(site)
    answer = client.get(f"/assessments/{key}/deidentified.dcm?looked=yes")
    assert answer.status_code == 200
    assert exports(site) == [("assessment", key, {"what": "deidentified", "looked": True})]


@pytest.mark.parametrize("kind", ["no", "unreadable"])
def test_what_cannot_be_given_out_says_why(client: TestClient, site: Site, kind: str) -> None:
    key = put_assessment(site, kind)
    answer = client.get(f"/assessments/{key}/deidentified.dcm")
    assert answer.status_code == 409
    assert "a picture, not DICOM" in answer.text or "has not been read" in answer.text
    assert not exports(site)


def test_a_patients_archive_names_nobody(client: TestClient, site: Site) -> None:
    patient = put_patient(site)
    keys = [
        put_assessment(site, kind, seed=seed, patient=patient, file_name="Testperson.dcm", acquired=day)
        for seed, (kind, day) in enumerate((("yes", date(2024, 3, 1)), ("no", date(2023, 3, 2)), ("refuse", None)))
    ]
    put_dicom(site, keys[0], dicom(0), sop_uid="1.2.3.1")
    put_dicom(site, keys[1], dicom(1, BurnedInAnnotation="YES"), sop_uid="1.2.3.2")
    with site.db.begin() as session:
        row = session.scalars(select(AssessmentRow).where(AssessmentRow.key == keys[0])).one()
        row.record["display"]["patient"] = {"sex": "F", "age_years": 93.4, "height_cm": 160.0, "weight_kg": None}
        row.record |= {"acquired": "2024-03-01", "uids": {"sop": "1.2.3.1", "study": None}, "file": "Testperson.dcm"}
        flag_modified(row, "record")
        session.add(
            Reading(
                assessment_id=row.id,
                verdict="correct",
                label="normal",
                reason="Frau Testperson",
                by="k",
                by_name="Dr X",
            )
        )
        hashes = set(session.scalars(select(ScanRow.sha256)))
    answer = client.get(f"/patients/{patient}/export.zip")
    assert answer.status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    # In the order of their dates; the unknown one last.
    assert sorted(archive.namelist()) == [
        "README.txt", "records/001a.json", "records/002a.json", "records/003a.json", "scans/002.dcm"]  # fmt: skip
    everything = b"\n".join(archive.read(name) for name in archive.namelist())
    for secret in ("Testperson", "P-1", "2024", "2023-", "1.2.3.1", "Dr X", patient, *keys, *hashes):
        assert secret.encode() not in everything, secret
    record = json.loads(archive.read("records/002a.json"))
    scan = pydicom.dcmread(io.BytesIO(archive.read("scans/002.dcm")))
    assert record["patient"] == scan.PatientID
    assert record["sop_instance_uid"] == scan.SOPInstanceUID
    assert record["scan"] == "scans/002.dcm"
    assert (record["days_since_first"], record["person"]["age_years"]) == (365, 90)
    assert record["readings"] == [{"verdict": "correct", "label": "normal"}]
    readme = archive.read("README.txt").decode()
    assert "scan 001: The file says that writing" in readme
    assert "scan 003: a picture" in readme
    assert exports(site) == [("patient", patient, {"what": "archive", "scans": 1})]


def test_nobody_and_nothing(client: TestClient, site: Site) -> None:
    for path in ("/assessments/0/scan", "/assessments/0/deidentified.dcm", "/patients/0/export.zip"):
        assert client.get(path).status_code == 404
    assert not exports(site)


def test_only_who_may_export(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    key = put_assessment(site)
    with TestClient(create_app(site), base_url="http://127.0.0.1", follow_redirects=False) as client:
        for path in (f"/assessments/{key}/scan", f"/assessments/{key}/deidentified.dcm", "/patients/0/export.zip"):
            assert client.get(path).status_code in {303, 401}


def test_the_tables_with_names_are_the_known_ones() -> None:
    """Who adds a column that holds a name must think of what leaves the house (docs/privacy.md lists these)."""
    assert {column.name for column in Identity.__table__.columns} == {"patient_id", "clinic_id", "name", "birth_date"}
    assert "file_name" in Upload.__table__.columns
    assert {column.name for column in PatientRow.__table__.columns} == {"id", "key", "sex", "birth_year", "created_at"}
