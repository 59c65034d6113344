"""From rows of the store to the objects of the interface, and the HTTP status that says how an upload went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from spinecare.errors import UnreadableCode
from spinecare.report.json import SCHEMA
from spinecare.report.words import OUR_FAULT, OUR_FAULT_HINT
from spinecare.server.problems import not_found
from spinecare.store.actor import Actor, May
from spinecare.store.models import AssessmentRow, Outcome, ScanRow, State
from spinecare.store.worklist import Row

BASE = "/api/v1"

STATUS: dict[UnreadableCode, int] = {
    UnreadableCode.NOT_FOUND: 400,
    UnreadableCode.EMPTY_FILE: 400,
    UnreadableCode.TOO_MANY_BYTES: 413,
    UnreadableCode.TOO_MANY_PIXELS: 413,
    UnreadableCode.TOO_MANY_FRAMES: 422,
    UnreadableCode.NOT_A_PICTURE: 415,
    UnreadableCode.UNSUPPORTED_ENCODING: 415,
    UnreadableCode.NO_PIXELS: 422,
    UnreadableCode.DAMAGED: 422,
    UnreadableCode.TOO_COSTLY: 422,
    UnreadableCode.INTERNAL_ERROR: 500,
}
_YES_NO = {True: "yes", False: "no", None: None}


def load(session: Session, keys: Sequence[str]) -> dict[str, AssessmentRow]:
    """The assessments of these keys that there are, with all that an object needs."""
    found: dict[str, AssessmentRow] = {}
    for start in range(0, len(keys), 500):  # databases limit how many values one statement may hold
        rows = session.scalars(
            select(AssessmentRow)
            .where(AssessmentRow.key.in_(keys[start : start + 500]))
            .options(
                selectinload(AssessmentRow.scan).selectinload(ScanRow.patient),
                selectinload(AssessmentRow.uploads),
            )
        )
        found.update((row.key, row) for row in rows)
    return found


def one(session: Session, key: str) -> AssessmentRow:
    """The assessment of this key.

    Raises
    ------
    Problem
        404 when there is none.
    """
    row = load(session, [key]).get(key)
    if row is None:
        raise not_found("assessment")
    return row


def file_name(row: AssessmentRow, actor: Actor) -> str:
    """The name under which the file was sent: by this actor, or by anybody for those who read scans; else empty."""
    uploads = sorted(row.uploads, key=lambda upload: upload.id)
    own = [upload for upload in uploads if upload.by == actor.key]
    seen = own or (uploads if May.READ in actor.may else [])
    return seen[-1].file_name if seen else ""


def answer_object(row: AssessmentRow, name: str) -> dict[str, Any]:
    """One assessment, whole: the object of DESIGN 7 with `id`, `state`, times and `links`."""
    known = {
        "id": row.key,
        "state": row.state,
        "created_at": when(row.created_at),
        "finished_at": when(row.finished_at),
        "links": links(row),
    }
    if row.state == State.DONE and row.record is not None:
        record = {key: value for key, value in row.record.items() if key != "display"}
        if row.outcome == Outcome.ASSESSED:
            record["osteoporosis"] = _YES_NO[row.osteoporosis]
        return {**record, "file": name, "sha256": row.scan.sha256, **known}
    head = {"schema": SCHEMA, "file": name, "sha256": row.scan.sha256}
    if row.state == State.FAILED:
        return {**head, **_failed(), **known}
    return {**head, **known}


def summary_object(row: Row) -> dict[str, Any]:
    """One assessment in a list."""
    return {
        "id": row.key,
        "state": row.state,
        "outcome": row.outcome,
        "code": row.code,
        "osteoporosis": _YES_NO[row.osteoporosis],
        "category": row.category,
        "probability": row.probability,
        "file": row.file_name or "",
        "acquired": row.acquired.isoformat() if row.acquired else None,
        "created_at": when(row.at),
        "reading": row.verdict,
        "links": {
            "self": f"{BASE}/assessments/{row.key}",
            "page": f"/assessments/{row.key}",
            "patient": f"{BASE}/patients/{row.patient_key}" if row.patient_key else None,
        },
    }


def links(row: AssessmentRow) -> dict[str, Any]:
    """Where more of an assessment can be had."""
    base = f"{BASE}/assessments/{row.key}"
    names = sorted(pictures(row))
    patient = row.scan.patient
    return {
        "self": base,
        "page": f"/assessments/{row.key}",
        "readings": f"{base}/readings",
        "pictures": {name: f"{base}/pictures/{name}.png" for name in names},
        "report": f"{base}/report.pdf" if has_report(row) else None,
        "patient": f"{BASE}/patients/{patient.key}" if patient else None,
    }


def pictures(row: AssessmentRow) -> dict[str, dict[str, Any]]:
    """The pictures of an assessment: name -> `sha256`, `width`, `height`."""
    found: dict[str, dict[str, Any]] = ((row.record or {}).get("display") or {}).get("pictures") or {}
    return found


def has_report(row: AssessmentRow) -> bool:
    """Whether there is something to print: an answer or a refusal."""
    return row.state == State.DONE and row.outcome in {Outcome.ASSESSED, Outcome.REFUSED}


def status(answer: dict[str, Any]) -> int:
    """Of one object: 200 for assessed and refused, 202 while there is no answer, 4xx or 500 for unreadable."""
    outcome = answer.get("outcome")
    if outcome is None:
        return 202
    return STATUS[UnreadableCode(answer["code"])] if outcome == "unreadable" else 200


def joint_status(answers: Iterable[dict[str, Any]]) -> int:
    """The status of one request: one file's own; of several 500 if one failed, 422 if one was unreadable.

    As with the command line's exit code, a caller who looks at nothing else must not miss it.
    """
    each = [status(answer) for answer in answers]
    if len(each) == 1:
        return each[0]
    if 500 in each:
        return 500
    if any(one >= 400 for one in each):
        return 422
    return 202 if 202 in each else 200


def when(at: datetime | None) -> str | None:
    """A point in time as the interface writes it: UTC, with a Z."""
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _failed() -> dict[str, Any]:
    return {
        "outcome": "unreadable",
        "code": UnreadableCode.INTERNAL_ERROR.value,
        "reason": OUR_FAULT,
        "hint": OUR_FAULT_HINT,
    }
