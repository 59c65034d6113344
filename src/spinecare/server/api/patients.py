"""`/api/v1/patients`: whom scans are filed under, by pseudonym."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, selectinload

from spinecare.server.api import examples
from spinecare.server.api.listing import Cursor, Limit, lost_cursor, next_page, page_of
from spinecare.server.api.objects import BASE, when
from spinecare.server.api.replies import SIGNED_IN, OnlyProblems, Sees, ThisSite, empty, gone, known, ok, problems
from spinecare.server.api.schema import PatientOut, PatientPage, PatientSearch
from spinecare.server.problems import not_found
from spinecare.server.security.who import allow
from spinecare.store import audit, retention
from spinecare.store.actor import Actor, May
from spinecare.store.models import Identity, PatientRow, ScanRow

router = APIRouter(tags=["patients"], dependencies=SIGNED_IN)

PatientId = Annotated[str, known("patient", examples.PATIENT_ID)]
_NO_PATIENT = "There is no such patient, or the patient was deleted."


@router.get(
    f"{BASE}/patients",
    operation_id="listPatients",
    summary="List patients",
    response_model=PatientPage,
    response_class=JSONResponse,
    responses={**problems(404, _404="`cursor` names nobody any more."), **ok(examples.PATIENTS, "Newest first.")},
)
def list_patients(
    site: ThisSite,
    actor: Sees,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Everybody whom a scan is filed under, newest first. Follow `next` until it is null."""
    query = select(PatientRow.key)
    with site.db.begin() as session:
        if cursor is not None:
            last = session.scalar(select(PatientRow).where(PatientRow.key == cursor))
            if last is None:
                raise lost_cursor()
            query = query.where(tuple_(PatientRow.created_at, PatientRow.id) < (last.created_at, last.id))
        query = query.order_by(PatientRow.created_at.desc(), PatientRow.id.desc())
        keys, following = page_of(session, query, limit)
        items = _patient_objects(session, keys, actor)
        audit.note(site.db, session, actor, audit.Action.SEE, "patients", "", rows=len(items))
    return JSONResponse({"items": items, "next": next_page("patients", following, limit)})


@router.post(
    f"{BASE}/patient-search",
    operation_id="searchPatients",
    summary="Find a patient by the clinic's number",
    response_model=PatientPage,
    response_class=JSONResponse,
    responses={**problems(), **ok(examples.PATIENTS, "The patient, or an empty list.")},
)
def search_patients(
    site: ThisSite, actor: Annotated[Actor, Depends(allow(May.SEE, May.READ))], wanted: PatientSearch
) -> Response:
    """Find whom the clinic calls by this number. A POST, so that the number stands in no address and no log."""
    with site.db.begin() as session:
        query = (
            select(PatientRow.key)
            .join(Identity, Identity.patient_id == PatientRow.id)
            .where(Identity.clinic_id == wanted.clinic_id.replace("\0", "").strip())
        )
        items = _patient_objects(session, list(session.scalars(query)), actor)
        for item in items:
            audit.note(site.db, session, actor, audit.Action.SEE, "patient", item["id"])
    return JSONResponse({"items": items, "next": None})


@router.get(
    f"{BASE}/patients/{{id}}",
    operation_id="getPatient",
    summary="Get one patient",
    response_model=PatientOut,
    response_class=JSONResponse,
    responses={**problems(404, _404=_NO_PATIENT), **ok(examples.PATIENT, "The patient.")},
)
def get_patient(site: ThisSite, actor: Sees, id: PatientId) -> Response:
    """One patient; `links.assessments` lists the scans. `identity` is null unless you may read scans."""
    with site.db.begin() as session:
        items = _patient_objects(session, [id], actor)
        if not items:
            raise not_found("patient")
        audit.note(site.db, session, actor, audit.Action.SEE, "patient", id)
    return JSONResponse(items[0])


@router.delete(
    f"{BASE}/patients/{{id}}",
    operation_id="deletePatient",
    summary="Delete one patient",
    status_code=204,
    response_class=OnlyProblems,
    responses=gone("Gone, with everything of theirs.", _404=_NO_PATIENT),
)
def delete_patient(site: ThisSite, actor: Annotated[Actor, Depends(allow(May.MANAGE))], id: PatientId) -> Response:
    """Delete a patient with scans, assessments, readings and pictures. This cannot be taken back."""
    if not retention.delete_patient(site, id, actor):
        raise not_found("patient")
    return empty()


def _patient_objects(session: Session, keys: list[str], actor: Actor) -> list[dict[str, Any]]:
    rows = {
        row.key: row
        for row in session.scalars(
            select(PatientRow).where(PatientRow.key.in_(keys)).options(selectinload(PatientRow.identity))
        )
    }
    counted = (
        select(ScanRow.patient_id, func.count())
        .where(ScanRow.patient_id.in_([row.id for row in rows.values()]))
        .group_by(ScanRow.patient_id)
    )
    scans = dict(session.execute(counted).tuples().all())
    return [_patient_object(rows[key], scans.get(rows[key].id, 0), actor) for key in keys if key in rows]


def _patient_object(row: PatientRow, scans: int, actor: Actor) -> dict[str, Any]:
    identity = row.identity if May.READ in actor.may else None
    return {
        "id": row.key,
        "sex": row.sex,
        "birth_year": row.birth_year,
        "created_at": when(row.created_at),
        "scans": scans,
        "identity": identity
        and {
            "clinic_id": identity.clinic_id,
            "name": identity.name,
            "birth_date": identity.birth_date.isoformat() if identity.birth_date else None,
        },
        "links": {
            "self": f"{BASE}/patients/{row.key}",
            "page": f"/patients/{row.key}",
            "assessments": f"{BASE}/assessments?patient={row.key}",
        },
    }
