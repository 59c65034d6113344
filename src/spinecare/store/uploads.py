"""A file that is accepted: kept first, then written down with its assessment in one transaction, then woken."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from spinecare.errors import ConflictError, StoreError
from spinecare.store import audit, patients, work
from spinecare.store.actor import Actor
from spinecare.store.database import now
from spinecare.store.files import Incoming
from spinecare.store.models import AssessmentRow, Batch, ScanRow, State, Upload
from spinecare.store.site import Site

FILE_NAME_LENGTH = 128
_BATCH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Given:
    """What the sender says of the patient and the scan. Where the file says something itself, the file counts.

    clinic_id, name, birth_date
        Who it is, as the clinic calls them.
    acquired
        The day of the scan.
    """

    clinic_id: str | None = None
    name: str | None = None
    birth_date: date | None = None
    sex: Literal["F", "M"] | None = None
    age_years: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    acquired: date | None = None

    @classmethod
    def from_form(cls, fields: Mapping[str, str]) -> Given:
        """From the fields of a form; those that are empty or missing are not given.

        Raises
        ------
        ValueError
            With a sentence for the person who typed.
        """
        today = now().date()
        clinic_id = _text(fields, "clinic_id", "The patient's ID", 128)
        name = _text(fields, "name", "The patient's name", 256)
        born = _day(fields, "birth_date", "The date of birth", today)
        if clinic_id is None and (name or born):
            raise ValueError("Type the patient's ID too: a name or date of birth alone does not say who it is.")
        acquired = _day(fields, "acquired", "The day of the scan", today)
        if born and acquired and acquired < born:
            raise ValueError("The day of the scan is before the date of birth: check both.")
        age = _number(fields, "age_years", "The age", "years", 0.0, 130.0)
        if age is None and born is not None and acquired is not None:
            age = round((acquired - born).days / 365.25, 1)
        return cls(
            clinic_id=clinic_id,
            name=name,
            birth_date=born,
            sex=_sex(fields),
            age_years=age,
            height_cm=_number(fields, "height_cm", "The height", "cm", 30.0, 250.0),
            weight_kg=_number(fields, "weight_kg", "The weight", "kg", 1.0, 500.0),
            acquired=acquired,
        )

    def text(self) -> str:
        """What does not identify anybody, as canonical JSON text (`AssessmentRow.given`)."""
        values: dict[str, Any] = {
            "sex": self.sex,
            "age_years": self.age_years,
            "height_cm": self.height_cm,
            "weight_kg": self.weight_kg,
            "acquired": self.acquired.isoformat() if self.acquired else None,
        }
        said = {name: value for name, value in values.items() if value is not None}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Accepted:
    """What became of one file: its assessment's public key and row, and whether there was one `already`."""

    key: str
    assessment_id: int
    already: bool


def accept(site: Site, file: Incoming, name: str, given: Given, actor: Actor, batch_key: str | None = None) -> Accepted:
    """Keep a file and have it assessed. When this returns, it is not lost any more, whatever happens.

    The same bytes with the same words for the same model are the same assessment; one that failed is done again.

    Parameters
    ----------
    name
        The file's name as it came: shown to those who may see who it is.
    batch_key
        Of `new_batch`; files of a batch wait behind those that came alone.

    Raises
    ------
    StoreError
        When it cannot be kept, or there is no such batch.
    ConflictError
        When the scan is filed under another patient than the one that is given.
    """
    try:
        sha256 = file.keep()
    except OSError as error:
        raise StoreError("The file could not be kept.", "Tell who runs this service: the disk may be full.") from error
    with site.db.begin() as session:
        # The lock makes it one after the other, with deletion too: nobody removes the file from here on.
        site.db.lock(session, "files")
        if sha256 not in site.files:
            raise StoreError("The file was deleted while it came in.", "Send it again.")
        scan = _scan(session, sha256, file.size)
        _check_same_patient(scan, given)
        if given.clinic_id is not None and scan.patient_id is None and _may_file(session, scan):
            who = patients.find_or_make(site.db, session, given.clinic_id, given.name, given.birth_date, given.sex)
            patients.file_under(session, scan, who)
        row, already = _assessment(session, scan, given.text(), site.pool.model.sha256)
        session.add(
            Upload(
                assessment_id=row.id,
                batch_id=_batch_id(session, batch_key),
                file_name="".join(c for c in name if c.isprintable())[:FILE_NAME_LENGTH],
                by=actor.key,
            )
        )
        accepted = Accepted(row.key, row.id, already)
        needed = row.state == State.QUEUED
        audit.note(site.db, session, actor, audit.Action.UPLOAD, "assessment", row.key, bytes=file.size, again=already)
    if needed:
        site.queue.wake([accepted.assessment_id])
    return accepted


def new_batch(site: Site, actor: Actor) -> str:
    """A key for files that are sent together."""
    with site.db.begin() as session:
        batch = Batch(by=actor.key)
        session.add(batch)
        session.flush()
        return batch.key


def _scan(session: Session, sha256: str, size: int) -> ScanRow:
    scan = session.scalar(select(ScanRow).where(ScanRow.sha256 == sha256))
    if scan is None:
        scan = ScanRow(sha256=sha256, size_bytes=size)
        session.add(scan)
        session.flush()
    return scan


def _check_same_patient(scan: ScanRow, given: Given) -> None:
    # Taken in silence, the words about one person would stand beside the answer to another one's scan.
    filed = scan.patient.identity if scan.patient else None
    if given.clinic_id is not None and filed is not None and filed.clinic_id != given.clinic_id.strip():
        raise ConflictError(
            "This file was sent before and is filed under another patient than the one you typed.",
            "Check whose scan it is. Send it without a patient to see the answer; there it can be filed anew.",
        )


def _may_file(session: Session, scan: ScanRow) -> bool:
    # A DICOM file may name somebody else, and has been found to, or will be (`patients.file_by_identity`). Once it was
    # read and stays filed under nobody, a person has to say whose it is, on its page.
    if scan.media_type not in {None, "application/dicom"}:
        return True
    done = select(AssessmentRow.id).where(AssessmentRow.scan_id == scan.id, AssessmentRow.state == State.DONE)
    return session.scalar(done.limit(1)) is None


def _assessment(session: Session, scan: ScanRow, given: str, model_sha256: str) -> tuple[AssessmentRow, bool]:
    row = session.scalar(
        select(AssessmentRow).where(
            AssessmentRow.scan_id == scan.id,
            AssessmentRow.given == given,
            AssessmentRow.model_sha256 == model_sha256,
        )
    )
    if row is not None:
        work.retry(session, row)
        return row, True
    row = AssessmentRow(scan_id=scan.id, given=given, model_sha256=model_sha256, state=State.QUEUED, attempt=0)
    session.add(row)
    session.flush()
    return row, False


def _batch_id(session: Session, key: str | None) -> int | None:
    if key is None:
        return None
    found = session.scalar(select(Batch.id).where(Batch.key == key)) if _BATCH.fullmatch(key) else None
    if found is None:
        raise StoreError("There is no such batch of files.", "Reload the page and send the files again.")
    return found


def _text(fields: Mapping[str, str], name: str, what: str, length: int) -> str | None:
    text = " ".join(fields.get(name, "").split())
    if len(text) > length:
        raise ValueError(f"{what} is longer than {length} characters: shorten it.")
    if any(not c.isprintable() for c in text):
        raise ValueError(f"{what} holds characters that cannot be shown: type it again.")
    return text or None


def _day(fields: Mapping[str, str], name: str, what: str, today: date) -> date | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{what} must be a day, as 1950-02-28.") from None
    if not date(1880, 1, 1) <= day <= today:
        raise ValueError(f"{what} lies in the future or too long ago: check it.")
    return day


def _number(fields: Mapping[str, str], name: str, what: str, unit: str, low: float, high: float) -> float | None:
    text = fields.get(name, "").strip().replace(",", ".")
    if not text:
        return None
    plain = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", text)
    if plain is None or not low <= float(text) <= high:
        raise ValueError(f"{what} must be a number from {low:g} to {high:g} {unit}.")
    return float(text)


def _sex(fields: Mapping[str, str]) -> Literal["F", "M"] | None:
    text = fields.get("sex", "").strip().upper()
    if text in {"", "U", "UNKNOWN"}:
        return None
    if text not in {"F", "M"}:
        raise ValueError("The sex must be F, M or left out.")
    return cast(Literal["F", "M"], text)
