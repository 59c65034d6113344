"""What leaves the installation: a scan as it was sent, one without its person, and a patient's whole history so."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from spinecare import __version__
from spinecare.errors import ScanError, SpineCareError, StoreError
from spinecare.io.deidentify import LookFirstError, deidentify, new_uid, pseudonym
from spinecare.store import audit
from spinecare.store.actor import Actor
from spinecare.store.audit import Action
from spinecare.store.models import AssessmentRow, Outcome, PatientRow, ScanRow, State
from spinecare.store.secret import site_secret
from spinecare.store.site import Site

PREAMBLE = 128
OLDEST_YEARS = 90  # older ages are said as this one: they are rare enough to tell who it is (45 CFR 164.514(b)(2))

# What a record says of the picture and the answer. Names, dates, UIDs, hashes and sentences about the file stay here.
_OF_RECORD = (
    *("schema", "outcome", "code", "osteoporosis", "category", "prediction_set", "probabilities", "interval"),
    *("abstained", "levels", "members", "quality", "measurements", "model", "warnings"),
)
_OF_DISPLAY = ("threshold", "prevalence", "assumed_prevalence", "weights")

_README = """\
SpineCare {version}: the scans of one patient, without the patient.

Called here: {name}. Whoever runs the installation that this comes from can tell who that is; nobody else.

scans/      De-identified DICOM files (PS3.15 Basic Application Level Confidentiality Profile). Dates are gone.
            Pixels are unchanged: no program looked for writing in them. Look yourself before you share them.
records/    One answer each: probabilities, levels, measurements, readers' labels. "days_since_first" counts from the
            first scan whose date is known. Ages of 90 and more are said as 90.

Left out:
{left_out}

For research, not a diagnosis.
"""


@dataclass(frozen=True)
class ScanFile:
    """A scan to give out: its bytes, what they are, and a file name that tells nothing."""

    data: bytes
    media_type: str
    file_name: str


class NoExportError(SpineCareError):
    """A scan that there is no de-identified file of. `reason` and `hint` are sentences."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason} {hint}")
        self.reason = reason
        self.hint = hint


def given_back(data: bytes) -> bytes:
    """A file as it was sent, but for the preamble of DICOM: that may hold a program, and means nothing here."""
    return bytes(PREAMBLE) + data[PREAMBLE:] if data[PREAMBLE : PREAMBLE + 4] == b"DICM" else data


def original(site: Site, key: str, actor: Actor) -> ScanFile | None:
    """The scan of an assessment as it was sent (`given_back`); None when there is no such assessment."""
    with site.db.read() as session:
        row = _assessment(session, key)
        if row is None:
            return None
        scan = row.scan
    data = given_back(site.files.get(scan.sha256))
    _note(site, actor, "assessment", key, what="scan")
    ending = {
        "application/dicom": "dcm",
        "image/png": "png",
        "image/jpeg": "jpg",
        "image/tiff": "tif",
        "image/bmp": "bmp",
    }.get(scan.media_type or "", "bin")
    media_type = "application/octet-stream" if ending == "bin" else str(scan.media_type)
    return ScanFile(data, media_type, f"spinecare-{key}.{ending}")


def without_person(site: Site, key: str, actor: Actor, looked: bool = False) -> ScanFile | None:
    """The scan of an assessment, de-identified; None when there is no such assessment.

    Raises
    ------
    ScanError, LookFirstError
        As `deidentify`.
    NoExportError
        When the scan is a picture, or was never read.
    """
    with site.db.read() as session:
        row = _assessment(session, key)
        if row is None:
            return None
        scan, patient = row.scan, row.scan.patient
        # What no worker could read is not opened here either: this is the process that answers everybody.
        readable = row.state == State.DONE and row.outcome in {Outcome.ASSESSED, Outcome.REFUSED}
    if not readable:
        raise NoExportError("This scan has not been read.", "Wait until it is assessed, or send it again.")
    if scan.media_type != "application/dicom":
        raise NoExportError(
            "This scan is a picture, not DICOM: there are no tags to take a person out of.",
            "Use the scan as it was sent, once you have looked that no name stands in it.",
        )
    data = deidentify(
        site.files.get(scan.sha256),
        site_secret(site.settings.data),
        patient=patient.key if patient else None,
        looked=looked,
    )
    _note(site, actor, "assessment", key, what="deidentified", looked=looked)
    return ScanFile(data, "application/dicom", f"spinecare-{key}-deidentified.dcm")


def patient_archive(site: Site, key: str, actor: Actor, out: IO[bytes]) -> bool:
    """Write a ZIP of everything known of a patient, de-identified, to `out`; False when there is no such patient."""
    secret = site_secret(site.settings.data)
    with site.db.read() as session:
        patient = session.scalar(select(PatientRow).where(PatientRow.key == key))
        if patient is None:
            return False
        scans = sorted(patient.scans, key=lambda scan: (scan.acquired or date.max, scan.id))
        days = _days(scans)
        records = [(scan, [_record(row, days[scan.id], secret) for row in _done(scan)]) for scan in scans]
    name = pseudonym(secret, key)
    left_out: list[str] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (scan, answers) in enumerate(records, 1):
            path, why = f"scans/{number:03d}.dcm", None
            try:
                if scan.media_type != "application/dicom" or not answers:
                    why = "a picture, not DICOM" if scan.media_type else "not read"
                else:
                    archive.writestr(path, deidentify(site.files.get(scan.sha256), secret, patient=key))
            except LookFirstError as error:
                why = error.reason
            except (ScanError, StoreError):
                why = "cannot be read"
            if why:
                left_out.append(f"scan {number:03d}: {why}")
            for letter, answer in enumerate(answers):
                full = {"patient": name, "scan": None if why else path, **answer}
                text = json.dumps(full, indent=1, ensure_ascii=False)
                archive.writestr(f"records/{number:03d}{chr(97 + letter % 26)}.json", text)
        readme = _README.format(version=__version__, name=name, left_out="\n".join(left_out) or "nothing")
        archive.writestr("README.txt", readme)
    _note(site, actor, "patient", key, what="archive", scans=len(records) - len(left_out))
    return True


def _assessment(session: Session, key: str) -> AssessmentRow | None:
    return session.scalar(select(AssessmentRow).where(AssessmentRow.key == key))


def _days(scans: list[ScanRow]) -> dict[int, int | None]:
    """Days since the first scan, by the scan's id; None where the date is unknown."""
    known = [scan.acquired for scan in scans if scan.acquired]
    return {scan.id: (scan.acquired - min(known)).days if scan.acquired else None for scan in scans}


def _done(scan: ScanRow) -> Iterator[AssessmentRow]:
    return (row for row in sorted(scan.assessments, key=lambda row: row.id) if row.state == State.DONE and row.record)


def _record(row: AssessmentRow, days: int | None, secret: bytes) -> dict[str, Any]:
    """What an assessment says, without saying of whom."""
    record = row.record or {}
    display = record.get("display", {})
    person = dict(display.get("patient") or {})
    if (age := person.get("age_years")) is not None:
        person["age_years"] = min(int(age), OLDEST_YEARS)
    uid = row.scan.sop_uid
    return {
        "sop_instance_uid": new_uid(secret, uid) if uid else None,
        "days_since_first": days,
        "person": {name: person.get(name) for name in ("sex", "age_years", "height_cm", "weight_kg")},
        **{name: record[name] for name in _OF_RECORD if name in record},
        **{name: display[name] for name in _OF_DISPLAY if name in display},
        # A reader's reason is free text, and who read it is a person too.
        "readings": [{"verdict": reading.verdict, "label": reading.label} for reading in row.readings],
    }


def _note(site: Site, actor: Actor, kind: str, key: str, **details: Any) -> None:
    with site.db.begin() as session:
        audit.note(site.db, session, actor, Action.EXPORT, kind, key, **details)
