"""A patient's scans over time, each with what was last said of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from spinecare.store.models import AssessmentRow, PatientRow, Reading, ScanRow, State


@dataclass(frozen=True)
class Who:
    """A patient's identifiers: for those who may see them."""

    clinic_id: str | None
    name: str | None
    birth_date: date | None


@dataclass(frozen=True, eq=False)
class Entry:
    """One scan and its newest answer (the newest assessment of any state, where none is done).

    day
        When the person was scanned; when the file came, where `is_acquired` is False.
    others
        How many further assessments there are of the same scan: by another model, or with other words.
    """

    scan_key: str
    assessment_key: str
    day: date
    is_acquired: bool
    device: str | None
    state: str
    outcome: str | None
    osteoporosis: bool | None
    category: str | None
    probability: float | None
    threshold: float | None
    model: str | None
    record: dict[str, Any] | None
    readings: tuple[Reading, ...]
    others: int


@dataclass(frozen=True, eq=False)
class History:
    """One patient: `entries` from the oldest scan to the newest."""

    key: str
    sex: str | None
    birth_year: int | None
    created_at: datetime
    who: Who | None
    entries: tuple[Entry, ...]


def of_patient(session: Session, key: str) -> History | None:
    """Everything that a patient's page shows; None when there is no such patient."""
    patient = session.scalar(select(PatientRow).where(PatientRow.key == key).options(selectinload(PatientRow.identity)))
    if patient is None:
        return None
    identity = patient.identity
    who = Who(identity.clinic_id, identity.name, identity.birth_date) if identity else None
    return History(patient.key, patient.sex, patient.birth_year, patient.created_at, who, _entries(session, patient.id))


def _entries(session: Session, patient_id: int) -> tuple[Entry, ...]:
    rows = session.scalars(
        select(AssessmentRow)
        .join(AssessmentRow.scan)
        .where(ScanRow.patient_id == patient_id)
        .order_by(AssessmentRow.created_at, AssessmentRow.id)
        .options(selectinload(AssessmentRow.scan), selectinload(AssessmentRow.readings))
    )
    by_scan: dict[int, list[AssessmentRow]] = defaultdict(list)
    for row in rows:
        by_scan[row.scan_id].append(row)
    entries = (_entry(rows) for rows in by_scan.values())
    return tuple(sorted(entries, key=lambda entry: (entry.day, entry.assessment_key)))


def _entry(rows: list[AssessmentRow]) -> Entry:
    done = [row for row in rows if row.state == State.DONE]
    row = (done or rows)[-1]
    scan, record = row.scan, row.record
    model = (record or {}).get("model")
    return Entry(
        scan_key=scan.key,
        assessment_key=row.key,
        day=scan.acquired or scan.created_at.date(),
        is_acquired=scan.acquired is not None,
        device=scan.device,
        state=row.state,
        outcome=row.outcome,
        osteoporosis=row.osteoporosis,
        category=row.category,
        probability=row.probability,
        threshold=((record or {}).get("display") or {}).get("threshold"),
        model=f"{model['name']} {model['version']}" if model else None,
        record=record,
        readings=tuple(sorted((reading for one in rows for reading in one.readings), key=lambda r: r.id)),
        others=len(rows) - 1,
    )
