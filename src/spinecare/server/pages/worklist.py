"""The worklist: every assessment, to be searched and filtered.

What is searched for can be a person's name, so it travels in the body of a POST and never stands in an address;
the other filters do, so that a list can be kept as a bookmark.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from spinecare.scan import Label
from spinecare.server.pages.said import said
from spinecare.server.pages.shown import day, moment, person_name
from spinecare.server.problems import Problem
from spinecare.server.render import page
from spinecare.server.security.csrf import checked_form
from spinecare.server.security.who import allow
from spinecare.store import audit, worklist
from spinecare.store.actor import Actor, May
from spinecare.store.models import Outcome, State, Verdict
from spinecare.store.site import Site
from spinecare.store.worklist import Filters

router = APIRouter(include_in_schema=False)

ROWS = 50
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "osteoporosis": ("Osteoporosis", {"osteoporosis": True}),
    "low_bone_mass": ("Low bone mass", {"category": Label.LOW_BONE_MASS.value}),
    "normal": ("Normal", {"category": Label.NORMAL.value}),
    "abstained": ("No answer", {"abstained": True}),
    "refused": ("Refused", {"outcome": Outcome.REFUSED.value}),
    "unreadable": ("Not readable", {"outcome": Outcome.UNREADABLE.value}),
    "open": ("Waiting or in work", {"states": (State.QUEUED.value, State.RUNNING.value)}),
    "failed": ("Failed", {"states": (State.FAILED.value,)}),
}
VERDICTS: dict[str, str] = {
    worklist.UNREAD: "Not read yet",
    Verdict.AGREE.value: "Agreed",
    Verdict.CORRECT.value: "Corrected",
    Verdict.NOT_USABLE.value: "Not usable",
}
CSV_COLUMNS = (
    "assessment", "patient", "sent", "scanned", "state", "outcome", "code", "osteoporosis", "category",
    "probability_of_osteoporosis", "verdict", "label",
)  # fmt: skip

Seer = Annotated[Actor, Depends(allow(May.SEE))]
Exporter = Annotated[Actor, Depends(allow(May.SEE, May.EXPORT))]
Form = Annotated[Any, Depends(checked_form)]


@dataclass(frozen=True)
class Asked:
    """What the form asks for. `kept` is what may stand in an address: everything but the words searched for."""

    filters: Filters
    kept: dict[str, str]
    cursor: str | None

    @property
    def address(self) -> str:
        """Of this page of the list; of the first, where words were searched for: a cursor is of one search."""
        cursor = {"cursor": self.cursor} if self.cursor and not self.filters.text else {}
        kept = {**self.kept, **cursor}
        return "/worklist" + ("?" + urlencode(kept) if kept else "")


@router.get("/worklist")
def show(request: Request, actor: Seer) -> Response:
    """The list, by the filters in the address."""
    return _list(request, actor, _asked({**request.query_params, "q": ""}))


@router.post("/worklist")
def search(request: Request, actor: Seer, form: Form) -> Response:
    """The list, by the form; htmx gets the list alone."""
    asked = _asked(form)
    if request.headers.get("hx-request") is None and not asked.filters.text:
        return RedirectResponse(asked.address, 303)
    return _list(request, actor, asked, str(form.get("seen", "")))


@router.post("/worklist.csv")
def export(request: Request, actor: Exporter, form: Form) -> Response:
    """The whole list as a table for other programs: keys and answers, no names."""
    site: Site = request.app.state.site
    asked = _asked(form)
    with site.db.begin() as session:
        audit.note(site.db, session, actor, audit.Action.EXPORT, "worklist", "", **_told(asked))
    return StreamingResponse(
        _csv(site, asked.filters, May.READ in actor.may),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="spinecare-worklist.csv"'},
    )


def _list(request: Request, actor: Actor, asked: Asked, seen: str = "") -> Response:
    site: Site = request.app.state.site
    named = May.READ in actor.may  # as on the result's page: names are for readers, to see and to search by
    with site.db.read() as session:
        try:
            found = worklist.find(session, asked.filters, asked.cursor, ROWS, named=named)
        except ValueError as error:
            raise Problem(
                422, "No such page", "This page of the list is not known.", "Start again from the first page.", "cursor"
            ) from error
        how_many = worklist.count(session, asked.filters, named=named)
        batch = worklist.batch_summary(session, asked.filters.batch) if asked.filters.batch else None
    mark = _mark(found, how_many)
    if seen == mark:
        return Response(status_code=204)  # the page asks by itself, and nothing has changed: nothing new was seen
    with site.db.begin() as session:
        audit.note(site.db, session, actor, audit.Action.SEE, "worklist", "", rows=len(found.rows), **_told(asked))
    partial = request.headers.get("hx-request") is not None
    answer = page(
        request,
        "worklist/list.html" if partial else "worklist/page.html",
        asked=asked,
        announce=partial and not seen,
        text=asked.filters.text,
        rows=found.rows,
        following=found.next,
        how_many=how_many,
        count_to=worklist.COUNT_TO,
        batch=batch,
        batch_answers=_batch_answers(batch) if batch else [],
        waiting=any(row.state in {State.QUEUED, State.RUNNING} for row in found.rows),
        mark=mark,
        answers={key: words for key, (words, _) in ANSWERS.items()},
        verdicts=VERDICTS,
        said=said,
        person_name=person_name,
        day=day,
        moment=moment,
    )
    if partial and not seen:
        answer.headers["HX-Replace-Url"] = asked.address
    return answer


def _asked(values: Mapping[str, Any]) -> Asked:
    """What is not understood is not asked for."""

    def text(name: str) -> str:
        value = values.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    filters, kept = Filters(text=text("q")[:200], batch=text("batch"), patient=text("patient")), {}
    for name in ("batch", "patient"):
        if text(name):
            kept[name] = text(name)[:32]
    if text("answer") in ANSWERS:
        kept["answer"] = text("answer")
        filters = replace(filters, **ANSWERS[kept["answer"]][1])
    if text("verdict") in VERDICTS:
        kept["verdict"] = text("verdict")
        filters = replace(filters, verdict=kept["verdict"])
    since, until = _day(text("since")), _day(text("until"))
    kept |= {name: day.isoformat() for name, day in (("since", since), ("until", until)) if day}
    return Asked(replace(filters, since=since, until=until), kept, text("cursor") or None)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _told(asked: Asked) -> dict[str, Any]:
    # Which filters were used, and never the words that were searched for.
    return {"filters": sorted(asked.kept), "searched": bool(asked.filters.text)}


def _mark(found: worklist.Page, how_many: int) -> str:
    shown = repr([(row.key, row.state, row.verdict) for row in found.rows] + [how_many])
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def _batch_answers(batch: worklist.BatchSummary) -> list[tuple[Any, int]]:
    """Each answer in the batch with how many have it, the most first."""
    counts: dict[Any, int] = {}
    for (state, outcome, osteoporosis), many in batch.counts.items():
        words = said(state, outcome, osteoporosis)
        counts[words] = counts.get(words, 0) + many
    return sorted(counts.items(), key=lambda one: -one[1])


def _csv(site: Site, filters: Filters, named: bool) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(CSV_COLUMNS)
    cursor, more = None, True
    while more:
        # One short transaction a page: a slow reader at the other end holds none open.
        with site.db.read() as session:
            found = worklist.find(session, filters, cursor, worklist.MAX_LIMIT, named=named)
        for row in found.rows:
            writer.writerow(_cells(row))
        yield line.getvalue()
        line.seek(0)
        line.truncate()
        cursor, more = found.next, found.next is not None


def _cells(row: worklist.Row) -> tuple[object, ...]:
    return (
        row.key, row.patient_key, row.at.isoformat(timespec="seconds"), row.acquired, row.state, row.outcome, row.code,
        {True: "yes", False: "no", None: None}[row.osteoporosis], row.category, row.probability, row.verdict, row.label,
    )  # fmt: skip
