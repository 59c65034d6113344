"""The audit log: found by who, what and when; checked; as a table."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from spinecare.server.render import page
from spinecare.server.security.csrf import checked_form
from spinecare.server.security.who import allow_person
from spinecare.store import audit, journal
from spinecare.store.actor import Actor, May
from spinecare.store.audit import Action
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)
administrator = allow_person(May.ADMINISTER)

ACTION_WORDS = {
    Action.SIGN_IN: "signed in",
    Action.SIGN_IN_FAILED: "sign-in failed",
    Action.SIGN_OUT: "signed out",
    Action.SEE: "saw",
    Action.UPLOAD: "uploaded",
    Action.ASSESS: "assessed",
    Action.READING: "gave a reading",
    Action.EXPORT: "exported",
    Action.CHANGE: "changed",
    Action.DELETE: "deleted",
    Action.ADMINISTER: "administered",
    Action.BACKUP: "backed up",
}
CSV_AT_MOST = 50_000


def _day(written: str) -> date | None:
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return None
    return day if 2000 <= day.year < 3000 else None


def _filters(
    who: str = "", action: str = "", kind: str = "", key: str = "", since: str = "", until: str = ""
) -> journal.Filters:
    return journal.Filters(who[:32], action[:32], kind[:16], key.strip()[:64], _day(since), _day(until))


@router.get("/admin/audit")
def audit_page(
    request: Request,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    filters: journal.Filters = Depends(_filters),
    actor: Actor = Depends(administrator),
) -> Response:
    return _audit_page(request, actor, filters, before)


def _audit_page(
    request: Request, actor: Actor, filters: journal.Filters, before: int | None, **values: Any
) -> Response:
    site: Site = request.app.state.site
    with site.db.begin() as session:
        found = journal.find(session, filters, before)
        people = journal.people(session)
        audit.note(site.db, session, actor, Action.SEE, "audit", "")
    asked = {
        "who": filters.actor,
        "action": filters.action,
        "kind": filters.kind,
        "key": filters.key,
        "since": filters.since or "",
        "until": filters.until or "",
    }
    query = urlencode({name: value for name, value in asked.items() if value})
    shown: dict[str, Any] = {
        "found": found,
        "people": people,
        "actions": ACTION_WORDS,
        "asked": asked,
        "query": query,
        "first": before is None,
        "checked": None,
    }
    return page(request, "admin/audit.html", **{**shown, **values})


@router.post("/admin/audit/check")
def check_audit(
    request: Request, actor: Actor = Depends(administrator), form: FormData = Depends(checked_form)
) -> Response:
    site: Site = request.app.state.site
    broken = audit.check(site.db)
    return _audit_page(request, actor, journal.Filters(), None, checked={"broken": broken, "tail": audit.tail(site.db)})


@router.get("/admin/audit.csv")
def audit_csv(
    request: Request, filters: journal.Filters = Depends(_filters), actor: Actor = Depends(administrator)
) -> Response:
    site: Site = request.app.state.site
    with site.db.begin() as session:
        found = journal.find(session, filters, limit=CSV_AT_MOST)
        audit.note(site.db, session, actor, Action.EXPORT, "audit", "", entries=len(found.entries))
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(("number", "at", "actor", "via", "action", "kind", "key", "details", "hash"))
    for one in found.entries:
        details = json.dumps(one.details, sort_keys=True)
        table.writerow(
            (
                one.id,
                one.at.isoformat(),
                one.actor,
                one.via,
                one.action,
                one.object_kind,
                one.object_key,
                details,
                one.hash.hex(),
            )
        )
    headers = {"Content-Disposition": 'attachment; filename="spinecare-audit.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
