"""Administration: accounts, the audit log, the queue, what is kept how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from spinecare.server.pages import admin_audit
from spinecare.server.problems import not_found
from spinecare.server.render import page
from spinecare.server.security.csrf import checked_form, text
from spinecare.server.security.who import allow_person
from spinecare.store import accounts, audit, backlog, invitations, retention, sessions, tokens, work
from spinecare.store.actor import Actor, May, Role
from spinecare.store.audit import Action
from spinecare.store.database import now
from spinecare.store.models import Account, AssessmentRow, AuditEntry, State
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)
router.include_router(admin_audit.router)
keeper = allow_person(May.MANAGE)
administrator = allow_person(May.ADMINISTER)

ROLE_WORDS = {
    Role.VIEWER: "sees assessments and patients",
    Role.CLINICIAN: "also uploads, reads and exports",
    Role.ADMINISTRATOR: "also deletes, edits the directory and administers accounts",
}


@router.get("/admin")
def overview(request: Request, actor: Actor = Depends(keeper)) -> Response:
    site: Site = request.app.state.site
    with site.db.read() as session:
        shown: dict[str, Any] = {
            "backlog": backlog.count(session),
            "people": session.scalar(select(func.count()).select_from(Account).where(Account.disabled.is_(False))),
            "entries": session.scalar(select(func.max(AuditEntry.id))) or 0,
        }
    return page(request, "admin/overview.html", site=site, **shown)


# Accounts


def _accounts_page(request: Request, status: int = 200, **values: Any) -> Response:
    site: Site = request.app.state.site
    with site.db.read() as session:
        everybody = accounts.everybody(session)
    shown = {"everybody": everybody, "roles": ROLE_WORDS, "now": now(), "error": "", "login": "", "name": ""}
    return page(request, "admin/accounts.html", status, **{**shown, **values})


@router.get("/admin/accounts")
def accounts_page(request: Request, actor: Actor = Depends(administrator)) -> Response:
    return _accounts_page(request)


@router.post("/admin/accounts")
def invite(request: Request, actor: Actor = Depends(administrator), form: FormData = Depends(checked_form)) -> Response:
    site: Site = request.app.state.site
    login, name = text(form, "login"), text(form, "name")
    try:
        role = _role(form)
        with site.db.begin() as session:
            account = accounts.create(site.db, session, login, name, role, actor)
            link = invitations.link_for(site.db, session, account, actor)
    except ValueError as error:
        return _accounts_page(request, 422, error=str(error), login=login[:64], name=name[:128])
    return _link_page(request, account, link)


def _link_page(request: Request, account: Account, link: str) -> Response:
    # Not a redirect: the link is shown in this answer and never again.
    site: Site = request.app.state.site
    base = site.settings.public_url or str(request.base_url)
    return page(request, "admin/link.html", 201, person=account, link=base.rstrip("/") + link)


def _role(form: FormData) -> Role:
    try:
        return Role(text(form, "role"))
    except ValueError:
        raise ValueError("Choose a role.") from None


def _find(session: Session, key: str) -> Account:
    account = accounts.by_key(session, key)
    if account is None:
        raise not_found("account")
    return account


DONE = {
    "role": "The role was changed. It holds from the next click on.",
    "disable": "The account was disabled: its browsers are signed out, its tokens ended.",
    "enable": "The account works again. Its tokens stay ended.",
    "sessions": "All its browsers were signed out.",
    "token": "The token was ended.",
}


@router.get("/admin/accounts/{key}")
def account_page(request: Request, key: str, done: str = "", actor: Actor = Depends(administrator)) -> Response:
    return _one_page(request, key, done=DONE.get(done, ""))


def _one_page(request: Request, key: str, status: int = 200, **values: Any) -> Response:
    site: Site = request.app.state.site
    with site.db.read() as session:
        account = _find(session, key)
        shown: dict[str, Any] = {
            "person": account,
            "browsers": len(sessions.living(session, account.id, site.settings)),
            "tokens": tokens.of_account(session, account.id),
            "roles": ROLE_WORDS,
            "now": now(),
            "error": "",
            "done": "",
        }
    return page(request, "admin/account.html", status, **{**shown, **values})


@router.post("/admin/accounts/{key}/{what}")
def change_account(
    request: Request,
    key: str,
    what: str,
    actor: Actor = Depends(administrator),
    form: FormData = Depends(checked_form),
) -> Response:
    site: Site = request.app.state.site
    link = ""
    try:
        with site.db.begin() as session:
            account = _find(session, key)
            if what == "role":
                accounts.set_role(site.db, session, account, _role(form), actor)
            elif what == "disable":
                accounts.disable(site.db, session, account, actor)
            elif what == "enable":
                accounts.enable(site.db, session, account, actor)
            elif what == "link" and not account.disabled and not account.oidc_subject:
                link = invitations.link_for(site.db, session, account, actor)
            elif what == "sessions":
                sessions.end_all(session, account.id)
                audit.note(site.db, session, actor, Action.ADMINISTER, "account", key, did="sign out")
            elif what == "token":
                if not tokens.revoke(session, account.id, text(form, "token")):
                    raise not_found("token")
                audit.note(site.db, session, actor, Action.ADMINISTER, "token", text(form, "token"), did="end")
            else:
                raise not_found()
    except ValueError as error:
        return _one_page(request, key, 409, error=str(error))
    return _link_page(request, account, link) if link else RedirectResponse(f"/admin/accounts/{key}?done={what}", 303)


# The queue


@router.get("/admin/jobs")
def jobs_page(request: Request, asked: int | None = None, actor: Actor = Depends(keeper)) -> Response:
    site: Site = request.app.state.site
    with site.db.read() as session:
        shown: dict[str, Any] = {
            "backlog": backlog.count(session),
            "trouble": backlog.trouble(session),
            "waiting": backlog.waiting(session),
            "now": now(),
        }
    return page(request, "admin/jobs.html", asked=asked, **shown)


@router.post("/admin/jobs")
def try_again(request: Request, actor: Actor = Depends(keeper), form: FormData = Depends(checked_form)) -> Response:
    """Have one assessment (`key`), or all that failed or are stuck, tried again."""
    site: Site = request.app.state.site
    key = text(form, "key")
    with site.db.begin() as session:
        rows = [row for row in backlog.trouble(session) if not key or row.key == key]
        for row in rows:
            # What is stuck needs no change: it is only woken. Its lease still keeps two from doing it at once.
            work.retry(session, row)
        if rows:
            audit.note(site.db, session, actor, Action.CHANGE, "assessment", key, did="try again", n=len(rows))
        ids = [row.id for row in rows if row.state != State.FAILED]
    site.queue.wake(ids)
    return RedirectResponse(f"/admin/jobs?asked={len(ids)}", 303)


# What is kept how long


@router.get("/admin/retention")
def retention_page(request: Request, deleted: int | None = None, actor: Actor = Depends(keeper)) -> Response:
    site: Site = request.app.state.site
    days = site.settings.retention_days
    with site.db.read() as session:
        oldest = session.scalar(select(func.min(AssessmentRow.created_at)))
        kept = session.scalar(select(func.count()).select_from(AssessmentRow))
    shown: dict[str, Any] = {"days": days, "oldest": oldest, "kept": kept, "deleted": deleted}
    return page(request, "admin/retention.html", before=now() - timedelta(days=days or 0), **shown)


@router.post("/admin/retention")
def expire(request: Request, actor: Actor = Depends(keeper), form: FormData = Depends(checked_form)) -> Response:
    site: Site = request.app.state.site
    if text(form, "sure") != "yes":
        return RedirectResponse("/admin/retention", 303)
    with site.db.begin() as session:
        audit.note(site.db, session, actor, Action.ADMINISTER, "retention", "", did="delete now")
    return RedirectResponse(f"/admin/retention?deleted={retention.expire(site)}", 303)
