"""`/api/v1/assessments`: send scans, and get what was answered."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import StatementError

from spinecare.scan import Label
from spinecare.server.api import examples, parts
from spinecare.server.api.listing import Cursor, Limit, lost_cursor, next_page
from spinecare.server.api.objects import BASE, answer_object, file_name, joint_status, load, one, summary_object
from spinecare.server.api.replies import (
    SIGNED_IN,
    Day,
    OnlyProblems,
    Sees,
    ThisSite,
    empty,
    gone,
    known,
    ok,
    problems,
    site_of,
)
from spinecare.server.api.schema import (
    Answer,
    Assessed,
    Refused,
    SeveralAnswers,
    SummaryPage,
)
from spinecare.server.api.sending import Sent, preference, send
from spinecare.server.api.upload_words import FORM, POST_REPLIES
from spinecare.server.problems import not_found
from spinecare.server.security.who import allow
from spinecare.server.upload import receive
from spinecare.store import audit, retention, work, worklist
from spinecare.store.actor import Actor, May
from spinecare.store.models import Outcome, State
from spinecare.store.site import Site
from spinecare.store.worklist import Filters

router = APIRouter(tags=["assessments"], dependencies=SIGNED_IN)


@router.post(
    f"{BASE}/assessments",
    operation_id="assess",
    summary="Assess scans",
    response_model=Assessed | Refused | SeveralAnswers,
    responses=POST_REPLIES,
    openapi_extra=FORM,
    response_class=JSONResponse,
)
async def assess(
    request: Request,
    actor: Annotated[Actor, Depends(allow(May.UPLOAD))],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=r"^[\x21-\x7e]{1,128}$",
            description="A word of your choice, new for each upload, remembered for a day. Sent again with the same "
            "upload (after a broken connection), it gives the same assessments and makes no others.",
            examples=["7f9c2ba4-e88f-11ee-a951"],
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            description="`respond-async`: answer 202 at once. `wait=10`: wait at most 10 seconds (30 when not said).",
            examples=["respond-async"],
        ),
    ] = None,
) -> Response:
    """Send lumbar spine DXA scans and get, for each, an answer, a refusal or why it is unreadable.

    Each file is kept and assessed once: the same bytes with the same fields and the same model are the same
    assessment. The answers are for research and not a diagnosis.
    """
    site = site_of(request)
    wanted = preference(prefer)
    async with receive(request, site) as received:
        sent = await anyio.to_thread.run_sync(send, site, received, actor, idempotency_key)
    if wanted.wait_s:
        await anyio.to_thread.run_sync(work.wait, site, list(sent.ids), wanted.wait_s)
    objects = await anyio.to_thread.run_sync(_sent_objects, site, sent, actor)
    status = 202 if wanted.respond_async and not wanted.wait_s else joint_status(objects)
    return JSONResponse(_body(objects), status, _headers(sent, status, wanted.respond_async))


@router.get(
    f"{BASE}/assessments",
    operation_id="listAssessments",
    summary="List assessments",
    response_model=SummaryPage,
    response_class=JSONResponse,
    responses={
        **problems(404, _404="`cursor` names no assessment any more."),
        **ok(examples.SUMMARIES, "Assessments, newest first, by pages."),
    },
)
def list_assessments(
    site: ThisSite,
    actor: Sees,
    state: Annotated[State | None, Query(description="Only those that stand here.")] = None,
    outcome: Annotated[Outcome | None, Query(description="Only those that came to this.")] = None,
    category: Annotated[Label | None, Query(description="Only those with this answer.")] = None,
    reading: Annotated[
        Literal["agree", "correct", "not_usable", "unread"] | None,
        Query(description="Only those of which the last reader said this; `unread`: nobody did."),
    ] = None,
    patient: Annotated[
        str | None, Query(pattern=r"^[0-9a-f]{16}$", description="Only the scans of this patient (its `id`).")
    ] = None,
    batch: Annotated[
        str | None, Query(pattern=r"^[0-9a-f]{16}$", description="Only files that were sent together.")
    ] = None,
    since: Annotated[Day | None, Query(description="Only those sent on this day (UTC) or later.")] = None,
    until: Annotated[Day | None, Query(description="Only those sent on this day (UTC) or earlier.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """What was sent and what it came to, newest first. Follow `next` until it is null."""
    filters = Filters(
        states=(state,) if state else (),
        outcome=outcome or "",
        category=category or "",
        verdict=reading or "",
        since=since,
        until=until,
        batch=batch or "",
        patient=patient or "",
    )
    with site.db.begin() as session:
        try:
            found = worklist.find(session, filters, cursor, limit, named=May.READ in actor.may)
        except (ValueError, OverflowError, StatementError) as error:
            raise lost_cursor() from error
        audit.note(site.db, session, actor, audit.Action.SEE, "worklist", "", rows=len(found.rows))
    given = {"state": state, "outcome": outcome, "category": category, "reading": reading, "patient": patient}
    following = next_page("assessments", found.next, limit, **given, batch=batch, since=since, until=until)
    return JSONResponse({"items": [summary_object(row) for row in found.rows], "next": following})


@router.get(
    f"{BASE}/assessments/{{id}}",
    operation_id="getAssessment",
    summary="Get one assessment",
    response_model=Answer,
    response_class=JSONResponse,
    responses={
        **problems(404, _404="There is no such assessment, or it was deleted."),
        200: {
            "description": "The assessment, whatever it came to; `outcome` is absent while there is no answer.",
            "headers": {"ETag": {"description": "Changes with the answer.", "schema": {"type": "string"}}},
            "content": {
                "application/json": {
                    "examples": {
                        "assessed": {"value": examples.ASSESSED},
                        "refused": {"value": examples.REFUSED},
                        "unreadable": {"value": examples.UNREADABLE},
                        "queued": {"value": examples.PENDING},
                    }
                }
            },
        },
        304: {"description": "Not changed since the answer whose `ETag` was sent."},
    },
)
def get_assessment(
    site: ThisSite,
    actor: Sees,
    id: Annotated[str, known("assessment", examples.ID)],
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", description="The `ETag` of the answer that is known.")
    ] = None,
) -> Response:
    """The whole answer. Ask again every second or two while `state` is `queued` or `running`."""
    with site.db.begin() as session:
        row = one(session, id)
        content = json.dumps(answer_object(row, file_name(row, actor)), ensure_ascii=False, allow_nan=False)
        audit.note(site.db, session, actor, audit.Action.SEE, "assessment", id)
    etag = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
    known_tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if known_tags & {etag, "*"}:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(content, media_type="application/json", headers={"ETag": etag})


@router.delete(
    f"{BASE}/assessments/{{id}}",
    operation_id="deleteAssessment",
    summary="Delete one assessment",
    status_code=204,
    response_class=OnlyProblems,
    responses=gone("Gone.", _404="There is no such assessment, or it was deleted."),
)
def delete_assessment(
    site: ThisSite,
    actor: Annotated[Actor, Depends(allow(May.MANAGE))],
    id: Annotated[str, known("assessment", examples.ID)],
) -> Response:
    """Delete an assessment with its readings and pictures, and the scan when nothing else is known of it."""
    if not retention.delete_assessment(site, id, actor):
        raise not_found("assessment")
    return empty()


def _sent_objects(site: Site, sent: Sent, actor: Actor) -> list[dict[str, Any]]:
    with site.db.begin() as session:
        rows = load(session, sent.keys)
        objects = [
            answer_object(rows[key], name) for key, name in zip(sent.keys, sent.names, strict=True) if key in rows
        ]
        for key in dict.fromkeys(one["id"] for one in objects if "outcome" in one):
            audit.note(site.db, session, actor, audit.Action.SEE, "assessment", key)
    if not objects:
        raise not_found("assessment")  # deleted while somebody waited for it
    return objects


def _body(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return objects[0] if len(objects) == 1 else {"schema": "spinecare.assessments/1", "assessments": objects}


def _headers(sent: Sent, status: int, respond_async: bool) -> dict[str, str]:
    headers = {}
    if status == 202:
        single = f"{BASE}/assessments/{sent.keys[0]}"
        headers["Location"] = single if len(sent.keys) == 1 else f"{BASE}/assessments?batch={sent.batch}"
        if respond_async:
            headers["Preference-Applied"] = "respond-async"
    if sent.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers


router.include_router(parts.router)
