"""Who a scan is of: the clinic's identifier alone says so, and two that disagree say nothing."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from spinecare.store.database import Database
from spinecare.store.models import AssessmentRow, Identity, PatientRow, ScanRow, State

LONGEST_ID, LONGEST_NAME = 128, 256
OTHER_ID = "The patient's ID that was typed and the one in the file differ, so the scan was filed under nobody."
OTHER_BIRTH = (
    "The date of birth in the file is not that of the patient with this ID, so the scan was filed under nobody."
)
OTHER_PATIENT = "The patient's ID in the file is not that of the patient under whom the scan is filed: check it."


def find_or_make(
    db: Database,
    session: Session,
    clinic_id: str,
    name: str | None = None,
    birth_date: date | None = None,
    sex: str | None = None,
) -> PatientRow:
    """The patient whom the clinic calls `clinic_id`, made if there is none. What was unknown of them is filled in;
    what is known is not changed.

    Parameters
    ----------
    session
        Of `db.begin()`.
    """
    db.lock(session, "patients")
    clinic_id = clinic_id.strip()
    identity = session.scalar(select(Identity).where(Identity.clinic_id == clinic_id))
    if identity is None:
        patient = PatientRow()
        session.add(patient)
        session.flush()
        identity = Identity(patient_id=patient.id, clinic_id=clinic_id)
        session.add(identity)
    else:
        patient = identity.patient
    identity.name = identity.name or name
    identity.birth_date = identity.birth_date or birth_date
    patient.sex = patient.sex or sex
    if patient.birth_year is None and identity.birth_date is not None:
        patient.birth_year = identity.birth_date.year
    session.flush()
    return patient


def file_under(session: Session, scan: ScanRow, patient: PatientRow | None) -> None:
    """File a scan under a patient, or under nobody, in the caller's transaction."""
    scan.patient_id = None if patient is None else patient.id
    session.flush()


def file_by_identity(
    db: Database,
    session: Session,
    scan: ScanRow,
    identity: dict[str, str | None],
    sex: str | None,
    assessment_id: int,
) -> list[str]:
    """File a scan under the patient whom its file names, when nothing speaks against it.

    Parameters
    ----------
    identity
        `clinic_id`, `name`, `birth_date` of the file (`store.site.Answered`).
    assessment_id
        The assessment that is being finished.

    Returns
    -------
    Sentences for people: why it was not filed.
    """
    clinic_id, name = identity.get("clinic_id"), identity.get("name")
    if not clinic_id or len(clinic_id) > LONGEST_ID:
        return []  # cut, it could be somebody else's
    born = _date(identity.get("birth_date"))
    filed = session.get(PatientRow, scan.patient_id) if scan.patient_id is not None else None
    if filed is not None and filed.identity is not None and filed.identity.clinic_id not in {None, clinic_id}:
        if _was_done_before(session, scan, assessment_id):
            return [OTHER_PATIENT]  # somebody may have filed it by hand
        file_under(session, scan, None)
        return [OTHER_ID]
    known = session.scalar(select(Identity).where(Identity.clinic_id == clinic_id))
    if known is not None and born is not None and known.birth_date not in {None, born}:
        if filed is None or not _was_done_before(session, scan, assessment_id):
            file_under(session, scan, None)
        return [OTHER_BIRTH]
    if filed is None or (filed.identity is not None and filed.identity.clinic_id == clinic_id):
        file_under(
            session, scan, find_or_make(db, session, clinic_id, name[:LONGEST_NAME] if name else None, born, sex)
        )
    return []


def _was_done_before(session: Session, scan: ScanRow, assessment_id: int) -> bool:
    others = select(func.count()).where(
        AssessmentRow.scan_id == scan.id, AssessmentRow.id != assessment_id, AssessmentRow.state == State.DONE
    )
    return bool(session.scalar(others))


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
