"""Signing in and out, and the links that work once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from spinecare.server.problems import Problem
from spinecare.server.render import page
from spinecare.server.security import cookies, oidc
from spinecare.server.security.csrf import checked_form, text
from spinecare.server.security.limits import Limiter, address_of, limiter, too_many
from spinecare.server.security.who import safe_next
from spinecare.store import accounts, audit, invitations, sessions
from spinecare.store.audit import Action
from spinecare.store.models import Account
from spinecare.store.sessions import Signed, actor_of
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)

# Each address: twenty tries at once, then one in ten seconds. Each browser that is known to an account: ten.
BY_ADDRESS = (20, 10.0)
BY_BROWSER = (10, 90.0)
WRONG = (
    "The login or the password is not right. After 10 wrong tries an account rests for 15 minutes; "
    "an administrator can let it in earlier."
)


def _by_address(request: Request) -> tuple[Limiter, str]:
    site: Site = request.app.state.site
    return limiter(request, "address", *BY_ADDRESS), address_of(request.scope, site.settings)


def limit_tries(request: Request) -> None:
    """A dependency for whatever takes a secret: `Problem` 429 when this address tries too often."""
    limits, address = _by_address(request)
    wait_s = limits.take(address)
    if wait_s:
        raise too_many(wait_s)


def _signed_in(request: Request, account: Account, to: str) -> Response:
    """The answer that signs a browser in. Its session is always a new one; what it was before ends."""
    site: Site = request.app.state.site
    # A whole clinic can come from one address at eight in the morning: only what went wrong counts.
    limits, address = _by_address(request)
    limits.give_back(address)
    with site.db.begin() as session:
        old = cookies.get_cookie(site.settings, request.scope, cookies.SESSION)
        if old:
            sessions.end_secret(session, old)
        secret, _ = sessions.start(session, account, site.settings)
        audit.note(site.db, session, actor_of(account), Action.SIGN_IN, "account", account.key)
    response = RedirectResponse(to, 303)
    response.headers.append("set-cookie", cookies.set_cookie(site.settings, cookies.SESSION, secret))
    # A new one for the time after: what a page held before the sign-in is good for nothing any more.
    response.headers.append("set-cookie", cookies.set_cookie(site.settings, cookies.FORM, "", 0))
    if account.password_hash:
        known = cookies.set_cookie(site.settings, cookies.KNOWN, accounts.known_browser(account), cookies.KNOWN_SECONDS)
        response.headers.append("set-cookie", known)
    return response


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:
    site: Site = request.app.state.site
    if request.state.actor is not None:
        return RedirectResponse(safe_next(next), 303)
    return _sign_in_page(request, site, safe_next(next))


def _sign_in_page(request: Request, site: Site, there: str, status: int = 200, **values: Any) -> Response:
    shown = {"next": there, "login": "", "error": "", "oidc": oidc.is_on(site.settings), **values}
    return page(request, "account/sign_in.html", status, first=not accounts.any_account(site.db), **shown)


@router.post("/sign-in", dependencies=[Depends(limit_tries)])
def sign_in(request: Request, form: FormData = Depends(checked_form)) -> Response:
    site: Site = request.app.state.site
    there, login = safe_next(text(form, "next")), text(form, "login")
    known = cookies.get_cookie(site.settings, request.scope, cookies.KNOWN)
    if known and limiter(request, "browser", *BY_BROWSER).take(known):
        known = ""
    account = accounts.check_sign_in(site.db, login, text(form, "password"), known)
    if account is None:
        return _sign_in_page(request, site, there, 401, login=login[:64], error=WRONG)
    return _signed_in(request, account, there)


@router.post("/sign-out")
def sign_out(request: Request, form: FormData = Depends(checked_form)) -> Response:
    site: Site = request.app.state.site
    signed: Signed | None = request.state.signed
    if signed is not None:
        with site.db.begin() as session:
            sessions.end(session, signed.session_id, signed.account_id)
            audit.note(site.db, session, signed.actor, Action.SIGN_OUT, "account", signed.actor.key)
    response = RedirectResponse("/sign-in", 303)
    response.headers.append("set-cookie", cookies.set_cookie(site.settings, cookies.SESSION, "", 0))
    return response


@router.get("/welcome/{secret}")
def welcome_page(request: Request, secret: str) -> Response:
    site: Site = request.app.state.site
    with site.db.read() as session:
        welcome = invitations.find(session, secret)
    if welcome is None:
        raise _used_up()
    return page(request, "account/welcome.html", welcome=welcome, login="", name="", error="")


@router.post("/welcome/{secret}", dependencies=[Depends(limit_tries)])
def welcome(request: Request, secret: str, form: FormData = Depends(checked_form)) -> Response:
    site: Site = request.app.state.site
    login, name, password = text(form, "login"), text(form, "name"), text(form, "password")
    try:
        if password != text(form, "again"):
            raise ValueError("The two passwords are not the same. Type them once more.")
        account = invitations.accept(site.db, secret, password, login, name)
    except ValueError as error:
        with site.db.read() as session:
            found = invitations.find(session, secret)
        if found is None:
            raise _used_up() from None
        return page(
            request, "account/welcome.html", 422, welcome=found, login=login[:64], name=name[:128], error=str(error)
        )
    if account is None:
        raise _used_up()
    return _signed_in(request, account, "/")


def _used_up() -> Problem:
    return Problem(
        404,
        "This link does not work",
        "It was used already, is too old, or was replaced by a newer one.",
        "Ask an administrator for a new one. The first administrator restarts SpineCare for a new one.",
        "not_found",
    )


# Sign-in elsewhere, by OpenID Connect. A link and not a form: `form-action 'self'` lets no form lead elsewhere.


@router.get("/oidc/start", dependencies=[Depends(limit_tries)])
def oidc_start(request: Request, next: str = "/") -> Response:
    site: Site = request.app.state.site
    browser = cookies.get_cookie(site.settings, request.scope, cookies.FORM)
    if not browser:  # comes from elsewhere, or keeps no cookies: the sign-in page gives one
        return RedirectResponse("/sign-in", 303)
    return RedirectResponse(oidc.start(site, browser, safe_next(next)), 303)


@router.get("/oidc/callback", dependencies=[Depends(limit_tries)])
def oidc_callback(request: Request) -> Response:
    site: Site = request.app.state.site
    browser = cookies.get_cookie(site.settings, request.scope, cookies.FORM)
    account, there = oidc.finish(site, browser, dict(request.query_params))
    limits, address = _by_address(request)
    limits.give_back(address)  # the way there was a try too
    return _signed_in(request, account, safe_next(there))
