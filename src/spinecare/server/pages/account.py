"""One's own account: name, password, browsers, tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from spinecare.server.pages import signing
from spinecare.server.pages.signing import limit_tries
from spinecare.server.problems import not_found
from spinecare.server.render import page
from spinecare.server.security import cookies
from spinecare.server.security.csrf import checked_form, text
from spinecare.server.security.who import allow_person
from spinecare.store import accounts, audit, sessions, tokens
from spinecare.store.actor import ROLE_MAY, Actor, May, Role
from spinecare.store.audit import Action
from spinecare.store.database import now
from spinecare.store.models import Account
from spinecare.store.sessions import Signed
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)
router.include_router(signing.router)

MAY_WORDS = {
    May.SEE: "see assessments, patients and the worklist",
    May.UPLOAD: "upload scans",
    May.READ: "give a reader's verdict",
    May.EXPORT: "export scans and reports",
    May.MANAGE: "delete, and edit the directory",
    May.ADMINISTER: "administer accounts, read the audit log and the metrics",
}


# Every form here changes the account of the session, never one that a field names.


def _mine(request: Request, session: Session) -> Account:
    signed: Signed | None = request.state.signed
    account = session.get(Account, signed.account_id) if signed else None
    if account is None:
        raise not_found()
    return account


def _account_page(request: Request, status: int = 200, **values: Any) -> Response:
    site: Site = request.app.state.site
    signed: Signed | None = request.state.signed
    if signed is None:
        return page(request, "account/demo.html")
    with site.db.read() as session:
        account = _mine(request, session)
        shown: dict[str, Any] = {
            "mine": account,
            "sessions": sessions.living(session, account.id, site.settings),
            "this_session": signed.session_id,
            "tokens": tokens.of_account(session, account.id),
            "scopes": [(may, MAY_WORDS[may]) for may in May if may in ROLE_MAY[Role(account.role)]],
            "now": now(),
            "secret": "",
            "error": "",
            "at": "",
            "done": "",
        }
    return page(request, "account/account.html", status, **{**shown, **values})


DONE = {
    "name": "Your name was changed.",
    "password": "Your password was changed, and your other browsers were signed out.",
    "sessions": "Signed out there.",
    "token": "The token was ended.",
}


@router.get("/account")
def account_page(request: Request, done: str = "", actor: Actor = Depends(allow_person())) -> Response:
    return _account_page(request, done=DONE.get(done, ""))


@router.post("/account/name")
def change_name(
    request: Request, actor: Actor = Depends(allow_person()), form: FormData = Depends(checked_form)
) -> Response:
    site: Site = request.app.state.site
    try:
        name = accounts.clean_name(text(form, "name"))
    except ValueError as error:
        return _account_page(request, 422, at="name", error=str(error))
    with site.db.begin() as session:
        account = _mine(request, session)
        account.name = name
        audit.note(site.db, session, actor, Action.CHANGE, "account", account.key, did="name")
    return RedirectResponse("/account?done=name", 303)


@router.post("/account/password", dependencies=[Depends(limit_tries)])
def change_password(
    request: Request, actor: Actor = Depends(allow_person()), form: FormData = Depends(checked_form)
) -> Response:
    site: Site = request.app.state.site
    with site.db.read() as session:
        account = _mine(request, session)
    try:
        if account.password_hash is None:
            raise ValueError("You sign in elsewhere and have no password here.")
        if not accounts.is_password(account, text(form, "current")):
            raise ValueError("The current password is not right.")
        password = accounts.clean_password(text(form, "password"), account.login)
        if password != text(form, "again"):
            raise ValueError("The two new passwords are not the same.")
    except ValueError as error:
        return _account_page(request, 422, at="password", error=str(error))
    hashed = accounts.hash_password(password)
    with site.db.begin() as session:
        account = _mine(request, session)
        accounts.set_password(site.db, session, account, hashed, actor, keep=request.state.signed.session_id)
    response = RedirectResponse("/account?done=password", 303)
    known = cookies.set_cookie(site.settings, cookies.KNOWN, accounts.known_browser(account), cookies.KNOWN_SECONDS)
    response.headers.append("set-cookie", known)
    return response


@router.post("/account/sessions")
def end_sessions(
    request: Request, actor: Actor = Depends(allow_person()), form: FormData = Depends(checked_form)
) -> Response:
    site: Site = request.app.state.site
    which = text(form, "session")
    with site.db.begin() as session:
        account = _mine(request, session)
        if which == "others":
            sessions.end_all(session, account.id, but=request.state.signed.session_id)
        elif which.isdecimal() and len(which) < 10:
            sessions.end(session, int(which), account.id)
        audit.note(site.db, session, actor, Action.SIGN_OUT, "account", account.key, did="other browsers")
    return RedirectResponse("/account?done=sessions", 303)


@router.post("/account/tokens")
def make_token(
    request: Request, actor: Actor = Depends(allow_person()), form: FormData = Depends(checked_form)
) -> Response:
    site: Site = request.app.state.site
    scopes = frozenset(may for may in May if may.value in form.getlist("scope"))
    days = text(form, "days")
    try:
        with site.db.begin() as session:
            account = _mine(request, session)
            count = int(days) if days.isdecimal() and len(days) < 6 else 0
            secret, token = tokens.make(session, account, text(form, "name"), scopes, count)
            audit.note(site.db, session, actor, Action.CHANGE, "token", token.key, did="create", scopes=sorted(scopes))
    except ValueError as error:
        return _account_page(request, 422, at="token", error=str(error))
    # Not a redirect: the secret is shown in this answer and never again, and stands in no address.
    return _account_page(request, 201, secret=secret)


@router.post("/account/tokens/{key}/end")
def end_token(
    request: Request, key: str, actor: Actor = Depends(allow_person()), form: FormData = Depends(checked_form)
) -> Response:
    site: Site = request.app.state.site
    with site.db.begin() as session:
        account = _mine(request, session)
        if not tokens.revoke(session, account.id, key):
            raise not_found("token")
        audit.note(site.db, session, actor, Action.CHANGE, "token", key, did="end")
    return RedirectResponse("/account?done=token", 303)
