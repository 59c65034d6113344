"""The page of one assessment: its answer with the reasons, its pictures, what readers say, and what to do with it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload
from starlette.datastructures import FormData

from spinecare.scan import LABELS
from spinecare.server.pages import shown
from spinecare.server.problems import Problem, not_found
from spinecare.server.render import page
from spinecare.server.security.csrf import checked_form
from spinecare.server.security.who import allow
from spinecare.store import audit, history, patients, readings, retention, work
from spinecare.store.actor import Actor, May
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, Outcome, PatientRow, ScanRow, State
from spinecare.store.site import Site
from spinecare.store.uploads import Given

router = APIRouter(include_in_schema=False)


def known_key(key: str) -> str:
    """A dependency: the key of an address, when it has the form of one. Anything else is not asked of a database."""
    if not re.fullmatch("[0-9a-f]{16}", key):
        raise not_found()
    return key


Key = Annotated[str, Depends(known_key)]
Form = Annotated[FormData, Depends(checked_form)]
Seer = Annotated[Actor, Depends(allow(May.SEE))]
Reader = Annotated[Actor, Depends(allow(May.SEE, May.READ))]
Exporter = Annotated[Actor, Depends(allow(May.SEE, May.EXPORT))]
Sender = Annotated[Actor, Depends(allow(May.UPLOAD))]
Manager = Annotated[Actor, Depends(allow(May.MANAGE))]

STUCK_MINUTES = 5
CONFIRM = "delete"
# Notes on whose scan it is, as long as they are true: while it is filed under nobody, under somebody. They are said
# at the top, and not among the notes on the picture.
FILING_NOTES = {False: {patients.OTHER_ID, patients.OTHER_BIRTH}, True: {patients.OTHER_PATIENT}}


@router.get("/assessments/{key}.json")
def as_json(request: Request, key: Key, actor: Seer) -> Response:
    """The answer as programs get it, as a file."""
    site: Site = request.app.state.site
    with site.db.begin() as session:
        row = _done(_find(session, key))
        audit.note(site.db, session, actor, audit.Action.SEE, "assessment", key, format="json")
    record = {name: value for name, value in (row.record or {}).items() if name != "display"}
    if may_identify(actor):
        record["file"] = shown.file_name(row)
    return JSONResponse(record, headers={"Content-Disposition": f'attachment; filename="spinecare-{key}.json"'})


@router.get("/assessments/{key}.pdf")
def as_pdf(request: Request, key: Key, actor: Exporter) -> Response:
    """The report, as a file to print or to keep."""
    site: Site = request.app.state.site
    with site.db.begin() as session:
        row = _done(_find(session, key))
        if row.outcome == Outcome.UNREADABLE:
            raise Problem(409, "No report", "The file could not be read: there is nothing to report.", "Send another.")
        audit.note(site.db, session, actor, audit.Action.EXPORT, "assessment", key, format="pdf")
    from spinecare.report.pdf import report_pdf  # reportlab is slow to import

    record: dict[str, Any] = row.record or {}
    pictures = {name: site.files.get(kept["sha256"]) for name, kept in record["display"]["pictures"].items()}
    said = [
        {"verdict": r.verdict, "label": r.label, "reason": r.reason, "by": r.by_name, "at": shown.moment(r.at)}
        for r in row.readings
    ]
    body = report_pdf(record, pictures, report_header(row, actor), said)
    return Response(
        body, media_type="application/pdf", headers={"Content-Disposition": f'inline; filename="spinecare-{key}.pdf"'}
    )


@router.get("/assessments/{key}/pictures/{name}.png")
def picture(request: Request, key: Key, name: str, actor: Seer) -> Response:
    """One picture of the record."""
    site: Site = request.app.state.site
    with site.db.read() as session:
        record = session.scalar(select(AssessmentRow.record).where(AssessmentRow.key == key))
    kept = ((record or {}).get("display") or {}).get("pictures", {}).get(name)
    if kept is None:
        raise not_found("picture")
    return Response(site.files.get(kept["sha256"]), media_type="image/png")


@router.get("/assessments/{key}/state")
def state(request: Request, key: Key, actor: Seer) -> Response:
    """What a waiting page asks again and again (htmx): the same box, or that there is more to see."""
    site: Site = request.app.state.site
    with site.db.read() as session:
        row = _find(session, key)
        if shown.kind_of(row) != "waiting":
            return HTMLResponse("", headers={"HX-Refresh": "true"})
        return page(request, "result/_waiting.html", row=row, **_queue(session, row))


@router.get("/assessments/{key}")
def result(request: Request, key: Key, actor: Seer) -> Response:
    """The page; `?print` gives it as a sheet of paper."""
    return _result(request, key, actor)


@router.post("/assessments/{key}/reading")
def read(request: Request, key: Key, actor: Reader, form: Form) -> Response:
    """What the reader says of it."""
    site: Site = request.app.state.site
    given = {name: _text(form, name) for name in ("verdict", "label", "reason")}
    try:
        readings.add(site, key, given["verdict"], given["label"], given["reason"], actor)
    except LookupError:
        raise not_found("assessment") from None
    except ValueError as error:
        return _result(request, key, actor, status=422, reading_error=str(error), given=given)
    return _back(key, "#readings")


@router.post("/assessments/{key}/file")
def file(request: Request, key: Key, actor: Reader, form: Form) -> Response:
    """File the scan under the patient of this number, new or known; under nobody when there is none."""
    site: Site = request.app.state.site
    given = {name: _text(form, name) for name in ("clinic_id", "name", "birth_date")}
    try:
        _file(site, key, Given.from_form(given), actor)
    except ValueError as error:
        return _result(request, key, actor, status=422, filing_error=str(error), given=given)
    return _back(key)


@router.post("/assessments/{key}/retry")
def again(request: Request, key: Key, actor: Sender, form: Form) -> Response:
    """Ask once more for what failed, or took too much."""
    site: Site = request.app.state.site
    with site.db.begin() as session:
        row = _find(session, key)
        if work.retry(session, row):
            audit.note(site.db, session, actor, audit.Action.ASSESS, "assessment", key, again=True)
    site.queue.wake([row.id])
    return _back(key)


@router.post("/assessments/{key}/delete")
def delete(request: Request, key: Key, actor: Manager, form: Form) -> Response:
    """Delete it with its scan, when the word was typed."""
    site: Site = request.app.state.site
    if _text(form, "confirm").strip().lower() != CONFIRM:
        return _result(request, key, actor, status=422, delete_error=f"Type the word “{CONFIRM}” to delete this scan.")
    if not retention.delete_assessment(site, key, actor):
        raise not_found("assessment")
    return RedirectResponse("/deleted?what=scan", status_code=303)


def _file(site: Site, key: str, given: Given, actor: Actor) -> None:
    with site.db.begin() as session:
        row = _find(session, key)
        owner = None
        if given.clinic_id is not None:
            owner = patients.find_or_make(site.db, session, given.clinic_id, given.name, given.birth_date)
            if owner.identity and given.birth_date not in {None, owner.identity.birth_date}:
                raise ValueError("The patient with this ID has another date of birth: check both.")
        patients.file_under(session, row.scan, owner)
        audit.note(site.db, session, actor, audit.Action.CHANGE, "assessment", key, patient=owner.key if owner else "")


def may_identify(actor: Actor) -> bool:
    """Whether this person sees names, numbers and file names: readers do."""
    return May.READ in actor.may


def report_header(row: AssessmentRow, actor: Actor) -> dict[str, str]:
    """What stands above a report on paper: patient, scan, and the file's name for those who may see it."""
    who = row.scan.patient.identity if row.scan.patient and may_identify(actor) else None
    header = {
        "Patient": ", ".join(shown.identity(who)),
        "Scanned": shown.day(row.scan.acquired),
        "Scanner": row.scan.device or "",
        "File": shown.file_name(row) if may_identify(actor) else "",
        "Assessed": shown.moment(row.finished_at),
        "Assessment": row.key,
    }
    return {name: value for name, value in header.items() if value}


def _result(request: Request, key: str, actor: Actor, status: int = 200, **more: Any) -> Response:
    site: Site = request.app.state.site
    with site.db.begin() as session:
        row = _find(session, key)
        kind = shown.kind_of(row)
        values = {"row": row, "kind": kind, "r": row.record, **_around(session, row, actor)}
        if kind == "waiting":
            values |= _queue(session, row)
        else:
            audit.note(site.db, session, actor, audit.Action.SEE, "assessment", key)
    if kind == "assessed":
        values |= shown.assessed(row.record or {})
    elif kind == "refused":
        values["scan"] = shown.drawing(row.record or {}, "scan")
        values["notes"] = shown.picture_notes(row.record or {})
    empty = {"reading_error": "", "filing_error": "", "delete_error": "", "given": {}}
    on_paper = "print" in request.query_params and kind in {"assessed", "refused"}
    template = "result/print.html" if on_paper else "result/page.html"
    return page(request, template, status, **{**empty, **values, **more})


def _around(session: Session, row: AssessmentRow, actor: Actor) -> dict[str, Any]:
    """What is known of scan, person and readers, as far as this person may see it."""
    patient = row.scan.patient
    identify = may_identify(actor)
    display = (row.record or {}).get("display") or {}
    who = patient.identity if patient and identify else None
    when = f"of {shown.day(row.scan.acquired)}" if row.scan.acquired else f"sent {shown.day(row.created_at.date())}"
    return {
        "title": f"Scan {when}",
        "identity": shown.identity(who),
        "file_name": shown.file_name(row) if identify else "",
        "patient_key": patient.key if patient else "",
        "others": _others(session, row, patient),
        "about": [row.scan.device, *shown.patient_words(display.get("patient") or {})],
        "filing_notes": [note for note in display.get("notes", []) if note in FILING_NOTES[patient is not None]],
        "readings": row.readings,
        "can_agree": readings.can_agree(row),
        "can_be_read": readings.can_be_read(row),
        "labels": [str(label) for label in LABELS],
        "is_dicom": "dicom" in (row.scan.media_type or ""),
        "header": report_header(row, actor),
        "shown": shown,
    }


def _others(session: Session, row: AssessmentRow, patient: PatientRow | None) -> list[history.Entry]:
    # The person's other scans, the newest first.
    found = history.of_patient(session, patient.key) if patient else None
    return [entry for entry in reversed(found.entries) if entry.scan_key != row.scan.key] if found else []


def _queue(session: Session, row: AssessmentRow) -> dict[str, Any]:
    before = session.scalar(
        select(func.count())
        .select_from(AssessmentRow)
        .where(AssessmentRow.state == State.QUEUED, AssessmentRow.id < row.id)
    )
    waiting = (now() - row.created_at).total_seconds() / 60
    return {"before": before or 0, "is_stuck": waiting > STUCK_MINUTES}


def _find(session: Session, key: str) -> AssessmentRow:
    row = session.scalar(
        select(AssessmentRow)
        .where(AssessmentRow.key == key)
        .options(
            selectinload(AssessmentRow.scan).selectinload(ScanRow.patient).selectinload(PatientRow.identity),
            selectinload(AssessmentRow.uploads),
            selectinload(AssessmentRow.readings),
        )
    )
    if row is None:
        raise not_found("assessment")
    return row


def _done(row: AssessmentRow) -> AssessmentRow:
    if row.state != State.DONE:
        raise Problem(409, "Not yet", "This scan has no answer yet.", "Wait until it was assessed.", "not_done")
    return row


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _back(key: str, place: str = "") -> Response:
    return RedirectResponse(f"/assessments/{key}{place}", status_code=303)
