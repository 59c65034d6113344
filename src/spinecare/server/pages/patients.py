"""A patient's page: every scan side by side and over time; export and deletion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from spinecare.report.trend import Point, describe, trend_svg
from spinecare.server.pages import shown
from spinecare.server.pages.result import Key, may_identify
from spinecare.server.problems import not_found
from spinecare.server.render import page
from spinecare.server.security.csrf import checked_form
from spinecare.server.security.who import allow
from spinecare.store import audit, history, retention
from spinecare.store.actor import Actor, May
from spinecare.store.history import Entry, History
from spinecare.store.models import Verdict
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)

Form = Annotated[FormData, Depends(checked_form)]
Seer = Annotated[Actor, Depends(allow(May.SEE))]
Manager = Annotated[Actor, Depends(allow(May.MANAGE))]

# Room around L1 to L4 in an aligned picture, in heights of the four together, and its width.
ROOM = 0.12
ASPECT = 0.72


@dataclass(frozen=True)
class View:
    """The part of a scan's picture (an SVG viewBox) in which L1 to L4 stand where they stand in every other one."""

    box: str
    drawing: shown.Drawing


@router.get("/patients/{key}")
def patient(request: Request, key: Key, actor: Seer) -> Response:
    """The page of one patient."""
    return _patient(request, key, actor)


@router.post("/patients/{key}/delete")
def delete(request: Request, key: Key, actor: Manager, form: Form) -> Response:
    """Delete the patient with everything of theirs, when the number was typed."""
    site: Site = request.app.state.site
    with site.db.read() as session:
        found = history.of_patient(session, key)
    if found is None:
        raise not_found("patient")
    if str(form.get("confirm", "")).strip() != to_type(found, actor):
        return _patient(request, key, actor, 422, delete_error="That is not what is asked for: nothing was deleted.")
    if not retention.delete_patient(site, key, actor):
        raise not_found("patient")
    return RedirectResponse("/deleted?what=patient", status_code=303)


@router.get("/deleted")
def deleted(request: Request, actor: Manager, what: str = "") -> Response:
    """What is seen after a deletion."""
    return page(request, "patients/deleted.html", is_patient=what == "patient")


def to_type(found: History, actor: Actor) -> str:
    """What has to be typed to delete a patient: the clinic's number, or the key where there is none to see."""
    number = found.who.clinic_id if found.who and may_identify(actor) else None
    return number.strip() if number else found.key


def points(entries: tuple[Entry, ...]) -> list[Point]:
    """The answers for the chart. What a reader called not usable stays out of it."""
    return [
        Point(one.day, one.probability, one.threshold, one.category, one.model or "")
        for one in entries
        if one.probability is not None and not is_unusable(one)
    ]


def is_unusable(entry: Entry) -> bool:
    """Whether the last reader said so."""
    return bool(entry.readings) and entry.readings[-1].verdict == Verdict.NOT_USABLE


def aligned(entry: Entry) -> View | None:
    """The scan cut so that its L1 to L4 are as high and stand as in every other; whole where they are not known."""
    if entry.record is None:
        return None
    drawn = shown.drawing(entry.record, "scan", "levels")
    if drawn is None:
        return None
    corners = [tuple(map(float, pair.split(","))) for mark in drawn.levels for pair in mark.points.split()]
    if not corners:
        return View(f"0 0 {drawn.width:g} {drawn.height:g}", drawn)
    xs, ys = zip(*corners, strict=True)
    tall = max(max(ys) - min(ys), 1.0)
    height = tall * (1 + 2 * ROOM)
    width = height * ASPECT
    middle = (max(xs) + min(xs)) / 2
    return View(f"{middle - width / 2:.1f} {min(ys) - tall * ROOM:.1f} {width:.1f} {height:.1f}", drawn)


def _patient(request: Request, key: str, actor: Actor, status: int = 200, delete_error: str = "") -> Response:
    site: Site = request.app.state.site
    with site.db.begin() as session:
        found = history.of_patient(session, key)
        if found is None:
            raise not_found("patient")
        audit.note(site.db, session, actor, audit.Action.SEE, "patient", key)
    drawn = points(found.entries)
    return page(
        request,
        "patients/page.html",
        status,
        patient=found,
        identity=_identity(found, actor),
        known=_known(found),
        views=[(entry, aligned(entry)) for entry in found.entries],
        chart=trend_svg(drawn) if drawn else "",
        chart_words=describe(drawn) if drawn else "",
        models=list(dict.fromkeys(point.model for point in drawn)),
        left_out=sum(is_unusable(entry) for entry in found.entries),
        to_type=to_type(found, actor),
        delete_error=delete_error,
        shown=shown,
    )


def _identity(found: History, actor: Actor) -> list[str]:
    who = found.who
    if who is None or not may_identify(actor):
        return []
    return shown.identity_words(who.name, who.clinic_id, who.birth_date)


def _known(found: History) -> str:
    born = f"born in {found.birth_year}" if found.birth_year else ""
    scans = len(found.entries)
    words = [shown.SEX_WORDS.get(found.sex or "", ""), born, f"{scans} {'scan' if scans == 1 else 'scans'}"]
    return ", ".join(word for word in words if word)
