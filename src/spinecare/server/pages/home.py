"""The first page: scans are sent here, one or many, and led to their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy import select

from spinecare.errors import ConflictError, ScanError, StoreError
from spinecare.io.kind import START_BYTES, Kind, kind_of
from spinecare.server.pages.said import said
from spinecare.server.problems import PROBLEM_JSON, Problem, not_found
from spinecare.server.render import page
from spinecare.server.security.csrf import checked_form
from spinecare.server.security.who import allow
from spinecare.server.upload import Received, receive
from spinecare.store import audit, uploads, work
from spinecare.store.actor import Actor, May
from spinecare.store.models import AssessmentRow, Batch, State
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)

WAIT_S = 3.0  # most scans are answered by then, so that the first page after sending is the answer
MAX_ASKED = 200

Uploader = Annotated[Actor, Depends(allow(May.UPLOAD))]
Seer = Annotated[Actor, Depends(allow(May.SEE))]


@router.get("/")
def home(request: Request) -> Response:
    """The form to send scans with."""
    site: Site = request.app.state.site
    return page(request, "home.html", settings=site.settings.limits, model=site.pool.model)


@router.post("/assessments")
async def send(request: Request, actor: Uploader) -> Response:
    """Take files and have them assessed. A browser is led to the answer; `Accept: application/json` gets a list."""
    site: Site = request.app.state.site
    as_json = "application/json" in request.headers.get("accept", "")
    try:
        async with receive(request, site) as received:
            batch, taken = await anyio.to_thread.run_sync(_take, site, received, actor)
    except (Problem, ScanError, StoreError) as error:
        if not as_json:
            raise
        return _said_as_json(error)
    if as_json:
        keys = [one.key for one in taken]
        return JSONResponse(await anyio.to_thread.run_sync(_states, site, keys))
    if len(taken) == 1:
        await anyio.to_thread.run_sync(work.wait, site, [taken[0].assessment_id], WAIT_S)
        return RedirectResponse(f"/assessments/{taken[0].key}", 303)
    return RedirectResponse(f"/worklist?batch={batch}", 303)


@router.post("/batches")
def begin_batch(request: Request, actor: Uploader, form: Annotated[Any, Depends(checked_form)]) -> Response:
    """A key for files that the page sends one by one, so that they stay together."""
    return JSONResponse({"key": uploads.new_batch(request.app.state.site, actor)})


@router.get("/assessments/states")
def states(request: Request, actor: Seer, keys: str = "") -> Response:
    """Where assessments stand, for the page that has just sent them: keys, separated by commas."""
    asked = keys.split(",")
    if len(asked) > MAX_ASKED:
        raise Problem(422, "Too many", f"More than {MAX_ASKED} keys at a time.", "Ask for fewer.", "invalid")
    site: Site = request.app.state.site
    found = _states(site, asked)
    # The page asks no more for what is done, so each answer is told, and noted, once.
    done = sum(one["state"] == State.DONE for one in found)
    if done:
        with site.db.begin() as session:
            audit.note(site.db, session, actor, audit.Action.SEE, "worklist", "", rows=done)
    return JSONResponse(found)


def _take(site: Site, received: Received, actor: Actor) -> tuple[str | None, list[uploads.Accepted]]:
    try:
        given = uploads.Given.from_form(received.fields)
    except ValueError as error:
        raise Problem(
            422, "Please check", str(error), "Nothing was sent. Go back, correct it, and send again.", "invalid"
        ) from error
    batch = received.fields.get("batch") or None
    if batch is not None:
        _check_batch(site, batch, actor)
    elif len(received.files) > 1 or any(kind_of(file.start(START_BYTES)) == Kind.ZIP for _, file in received.files):
        batch = uploads.new_batch(site, actor)
    taken = [uploads.accept(site, file, name, given, actor, batch) for name, file in received.scans()]
    if not taken:
        raise Problem(
            422, "No scan", "There is no file in the ZIP.", "Put the scans into it, and send it again.", "empty"
        )
    return batch, taken


def _said_as_json(error: Problem | ScanError | StoreError) -> Response:
    status = 422 if isinstance(error, ScanError) else 409 if isinstance(error, ConflictError) else 503
    title, headers = "Not taken", {}
    if isinstance(error, Problem):
        status, title, headers = error.status, error.title, error.headers
    body = {"title": title, "status": status, "detail": error.reason, "hint": error.hint}
    return JSONResponse(body, status, headers, PROBLEM_JSON)


def _check_batch(site: Site, key: str, actor: Actor) -> None:
    with site.db.read() as session:
        by = session.scalar(select(Batch.by).where(Batch.key == key)) if key.isalnum() and key.isascii() else None
    if by != actor.key:
        raise not_found("batch of files")


def _states(site: Site, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Of the assessments that exist, in the order asked."""
    a = AssessmentRow
    wanted = [key for key in keys if key.isalnum() and key.isascii()]
    with site.db.read() as session:
        found = {
            row.key: row
            for row in session.execute(select(a.key, a.state, a.outcome, a.osteoporosis).where(a.key.in_(wanted)))
        }
    answer = []
    for row in (found[key] for key in wanted if key in found):
        words = said(row.state, row.outcome, row.osteoporosis)
        url = f"/assessments/{row.key}"
        answer.append({"key": row.key, "url": url, "state": row.state, "words": words.words, "tone": words.tone})
    return answer
