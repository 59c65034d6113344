"""The directory of specialists: for everybody to search, for an administrator to keep."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from spinecare.errors import StoreError
from spinecare.server.problems import Problem, not_found
from spinecare.server.render import page
from spinecare.server.security.csrf import check_csrf, checked_form, limited_form
from spinecare.server.security.who import allow
from spinecare.store import audit
from spinecare.store.actor import Actor, May
from spinecare.store.models import Specialist
from spinecare.store.site import Site
from spinecare.store.specialists import COLUMNS, find_place, get, import_csv, load_sample, save, search, specialties

router = APIRouter(include_in_schema=False)

PAGE_SIZE = 24
MAX_CSV_BYTES = 4 * 1024 * 1024

Keeper = Annotated[Actor, Depends(allow(May.MANAGE))]
Form = Annotated[FormData, Depends(checked_form)]


@router.get("/specialists")
def directory(
    request: Request, q: str = "", specialty: str = "", near: str = "", shown: int = 1, said: str = ""
) -> Response:
    """Search by words, specialty and place."""
    site: Site = request.app.state.site
    with site.db.read() as session:
        place = find_place(session, near[:128]) if near.strip() else None
        found = search(session, q[:128], specialty, place)
        names = specialties(session)
    number = min(max(1, shown), max(1, -(-len(found) // PAGE_SIZE)))
    return page(
        request,
        "specialists/directory.html",
        found=found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE],
        total=len(found),
        number=number,
        pages=max(1, -(-len(found) // PAGE_SIZE)),
        asked={"q": q, "specialty": specialty, "near": near},
        place=place,
        specialties=names,
        sample=any(one.specialist.is_sample for one in found),
        said={"saved": "The entry was saved.", "removed": "The entry was removed."}.get(said, ""),
        may_keep=_may_keep(request),
    )


@router.get("/specialists/new")
def new(request: Request, actor: Keeper) -> Response:
    """The form of a new entry."""
    return page(request, "specialists/edit.html", row=None, values={}, error="")


@router.get("/specialists/import")
def ask_import(request: Request, actor: Keeper) -> Response:
    """The form that takes a CSV file."""
    return page(request, "specialists/import.html", result=None, columns=COLUMNS)


@router.get("/specialists/template.csv")
def template() -> Response:
    """An empty CSV file with the columns."""
    return PlainTextResponse(
        ",".join(COLUMNS) + "\n",
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="specialists.csv"'},
    )


@router.post("/specialists/import")
async def take_import(request: Request, actor: Keeper) -> Response:
    """Take a CSV file: every row, or none."""
    form = await limited_form(request, MAX_CSV_BYTES)
    check_csrf(request, str(form.get("csrf", "")))
    sent = form.get("file")
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise Problem(400, "No file", "No CSV file was chosen.", "Choose one and send it again.")
    data = await sent.read()
    return await anyio.to_thread.run_sync(_imported, request, actor, data)


def _imported(request: Request, actor: Actor, data: bytes) -> Response:
    site: Site = request.app.state.site
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")  # what a spreadsheet on Windows writes
    with site.db.begin() as session:
        result = import_csv(session, text)
        if not result.errors:
            audit.note(
                site.db,
                session,
                actor,
                audit.Action.CHANGE,
                "directory",
                "import",
                added=result.added,
                changed=result.changed,
            )
    return page(request, "specialists/import.html", 422 if result.errors else 200, result=result, columns=COLUMNS)


@router.post("/specialists/sample")
def take_sample(request: Request, actor: Keeper, form: Form) -> Response:
    """Put the sample directory into an empty one."""
    site: Site = request.app.state.site
    with site.db.begin() as session:
        added = load_sample(session)
        audit.note(site.db, session, actor, audit.Action.CHANGE, "directory", "sample", added=added)
    return RedirectResponse("/specialists", status_code=303)


@router.get("/specialists/{key}/edit")
def edit(request: Request, key: str, actor: Keeper) -> Response:
    """The form of one entry."""
    site: Site = request.app.state.site
    with site.db.read() as session:
        row = _existing(session, key)
    return page(request, "specialists/edit.html", row=row, values=_typed(row), error="")


@router.post("/specialists/new")
def create(request: Request, actor: Keeper, form: Form) -> Response:
    """Save a new entry."""
    return _save(request, actor, form, None)


@router.post("/specialists/{key}/edit")
def change(request: Request, key: str, actor: Keeper, form: Form) -> Response:
    """Save a changed entry."""
    return _save(request, actor, form, key)


@router.post("/specialists/{key}/remove")
def remove(request: Request, key: str, actor: Keeper, form: Form) -> Response:
    """Remove an entry."""
    site: Site = request.app.state.site
    with site.db.begin() as session:
        session.delete(_existing(session, key))
        audit.note(site.db, session, actor, audit.Action.DELETE, "specialist", key)
    return RedirectResponse("/specialists?said=removed", status_code=303)


def _save(request: Request, actor: Actor, form: FormData, key: str | None) -> Response:
    site: Site = request.app.state.site
    values = {name: str(form.get(name, "")) for name in COLUMNS}
    try:
        with site.db.begin() as session:
            row = None if key is None else _existing(session, key)
            row = save(session, row, values)
            audit.note(site.db, session, actor, audit.Action.CHANGE, "specialist", row.key)
    except StoreError as error:
        with site.db.read() as session:
            row = None if key is None else _existing(session, key)
        return page(request, "specialists/edit.html", 422, row=row, values=values, error=error.reason)
    return RedirectResponse("/specialists?said=saved", status_code=303)


def _existing(session: Session, key: str) -> Specialist:
    row = get(session, key)
    if row is None:
        raise not_found("entry in the directory")
    return row


def _typed(row: Specialist) -> dict[str, Any]:
    return {name: "" if getattr(row, name) is None else getattr(row, name) for name in COLUMNS}


def _may_keep(request: Request) -> bool:
    actor = getattr(request.state, "actor", None)
    return actor is not None and May.MANAGE in actor.may
