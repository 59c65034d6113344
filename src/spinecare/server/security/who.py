"""Who sent a request: found once, before any page or interface runs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import anyio.to_thread
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spinecare.server.problems import Problem, answer, is_api
from spinecare.server.security import cookies
from spinecare.server.security.check import check_settings, public_host
from spinecare.server.security.csrf import HEADER, check_csrf, csrf_of
from spinecare.store import sessions, tokens
from spinecare.store.actor import DEMO, Actor, May
from spinecare.store.site import Site

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# Asked from inside by other names than the public one (container health, Prometheus), and they know nobody's data.
ANY_HOST = {"/healthz", "/readyz", "/metrics"}
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)


class SignedIn:
    """ASGI middleware that puts `actor` and `csrf` into `request.state`: a session, a token, the demo, or nobody.

    `request.state.signed` is the session (`sessions.Signed`) when there is one. Requests for a foreign Host, and
    changing requests that a browser says come from another site, go no further.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        check_settings(site.settings)
        self.app = app
        self.site = site
        self.host = public_host(site.settings.public_url) if site.settings.public_url else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state.update(actor=None, csrf="", signed=None)
        if str(scope["path"]).startswith("/static/") and scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        settings = self.site.settings
        form_cookie = cookies.get_cookie(settings, scope, cookies.FORM)
        new_cookie = "" if form_cookie else secrets.token_urlsafe(32)
        state["csrf"] = csrf_of(form_cookie or new_cookie)
        try:
            _check_address(scope)
            self._check_host(scope)
            self._check_origin(scope)
            await self._find(scope, state)
            self._check_api_session(scope, state)
        except Problem as problem:
            await answer(Request(scope, receive), problem)(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A page may hold a form; what it derives its token from must have reached the browser.
                if headers.get("content-type", "").startswith("text/html"):
                    headers.append("set-cookie", cookies.set_cookie(settings, cookies.FORM, new_cookie))
            await send(message)

        await self.app(scope, receive, send_with_cookie if new_cookie and state["signed"] is None else send)

    async def _find(self, scope: Scope, state: dict[str, Any]) -> None:
        settings, db = self.site.settings, self.site.db
        if settings.demo:
            state["actor"] = DEMO
            return
        authorization = Headers(scope=scope).get("authorization")
        if authorization is not None:
            # A request with a bad token is nobody's, even where a browser adds a good cookie.
            scheme, _, secret = authorization.partition(" ")
            if scheme.lower() == "bearer":
                state["actor"] = await anyio.to_thread.run_sync(tokens.find, db, secret.strip())
            return
        secret = cookies.get_cookie(settings, scope, cookies.SESSION)
        if secret:
            signed = await anyio.to_thread.run_sync(sessions.find, db, secret, settings)
            if signed is not None:
                state.update(actor=signed.actor, csrf=signed.csrf, signed=signed)

    def _check_host(self, scope: Scope) -> None:
        settings, host = self.site.settings, Headers(scope=scope).get("host", "")
        if settings.demo:
            if not is_loopback(host):
                raise _misdirected("The demo answers on this machine alone, as http://127.0.0.1.")
        elif self.host and scope["path"] not in ANY_HOST and host.lower() != self.host:
            raise _misdirected(f"This service is at {settings.public_url}.")

    def _check_origin(self, scope: Scope) -> None:
        if scope["method"] in SAFE_METHODS:
            return
        headers = Headers(scope=scope)
        if headers.get("authorization") is not None and not self.site.settings.demo:
            return  # no browser adds a token by itself
        origin, fetched = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        # Host was checked before; an Origin of another scheme but the same host is our own page behind a proxy.
        same = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        if not same or fetched not in {"same-origin", "none"}:
            raise Problem(
                403,
                "Not from here",
                "Another site asked your browser to send this, so nothing was changed.",
                "Open SpineCare itself and do it there.",
                "foreign_origin",
            )

    def _check_api_session(self, scope: Scope, state: dict[str, Any]) -> None:
        # The interface has no forms: a browser's session may change things there only from our own scripts.
        if state["signed"] is not None and scope["method"] not in SAFE_METHODS and scope["path"].startswith("/api/"):
            check_csrf(Request(scope), Headers(scope=scope).get(HEADER))


def _check_address(scope: Scope) -> None:
    # PostgreSQL takes no text with a NUL in it, and no address of ours has one.
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise Problem(400, "Not an address", "This address can't be read.", "Start from the first page.", "address")


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine, as no name that DNS could give to a stranger."""
    return _LOOPBACK.fullmatch(host) is not None


def _misdirected(reason: str) -> Problem:
    return Problem(421, "Not this address", reason, "Open it under that address.", "host")


def allow(*needed: May) -> Callable[..., Any]:
    """A dependency: the actor, when it may do all of `needed`; else a sign-in, or "not for you"."""

    async def check(request: Request) -> Actor:
        actor: Actor | None = getattr(request.state, "actor", None)
        if actor is None:
            raise sign_in_first(request)
        missing = set(needed) - actor.may
        if missing:
            raise _not_for_you(actor, missing)
        return actor

    return check


def allow_person(*needed: May) -> Callable[..., Any]:
    """Like `allow`, for people at a page alone: no token can change accounts or make more tokens."""
    inner = allow(*needed)

    async def check(request: Request) -> Actor:
        actor: Actor = await inner(request)
        if actor.via == "token":
            raise Problem(
                403,
                "Not for programs",
                "This page is for people who have signed in.",
                "Open it in a browser.",
                "session_needed",
            )
        return actor

    return check


def sign_in_first(request: Request) -> Problem:
    """For people the way to the sign-in and back; for programs 401."""
    wants_json = "application/json" in request.headers.get("accept", "")
    if is_api(request) or wants_json or request.headers.get("authorization") is not None:
        challenge = 'Bearer realm="SpineCare"'
        if request.headers.get("authorization") is not None:
            challenge += ', error="invalid_token"'
        return Problem(
            401,
            "Sign in first",
            "This needs an API token that is valid: none was sent, or it has expired or was revoked.",
            "Make one on the account page, and send it as: Authorization: Bearer sc_…",
            "not_signed_in",
            {"WWW-Authenticate": challenge},
        )
    reason = (
        "See other",
        "You are not signed in, or were away for too long.",
        "Sign in and come back.",
        "not_signed_in",
    )
    if request.headers.get("hx-request") == "true":
        # htmx would put a redirected answer into the middle of the page; this makes the whole page go.
        came_from = urlsplit(request.headers.get("hx-current-url", "/"))
        return Problem(401, *reason, {"HX-Redirect": _sign_in(came_from.path, came_from.query)})
    back = (request.url.path, request.url.query) if request.method in {"GET", "HEAD"} else ("/", "")
    return Problem(303, *reason, {"Location": _sign_in(*back)})


def _sign_in(path: str, query: str) -> str:
    there = path + (f"?{query}" if query else "")
    return "/sign-in" if there == "/" else f"/sign-in?next={quote(there, safe='/')}"


def safe_next(text: str | None) -> str:
    """Where to go after the sign-in: a path of this site, or the first page."""
    text = text or "/"
    # Browsers read \ as / and drop tabs and newlines, so //evil.example has many spellings.
    bad = (
        not text.startswith("/") or text.startswith("//") or "\\" in text or any(c <= " " or c == "\x7f" for c in text)
    )
    return "/" if bad or len(text) > 1000 or text.startswith(("/sign-in", "/sign-out")) else text


def _not_for_you(actor: Actor, missing: set[May]) -> Problem:
    if actor.via == "token":
        scopes = ", ".join(sorted(missing))
        return Problem(
            403,
            "Not allowed",
            f"This token does not have: {scopes}.",
            "Make a token with that scope, if your role allows it.",
            "not_allowed",
            {"WWW-Authenticate": f'Bearer realm="SpineCare", error="insufficient_scope", scope="{scopes}"'},
        )
    return Problem(
        403,
        "Not for your role",
        f"Your account is that of a {actor.role.value}, which may not do this.",
        "Ask an administrator if you need it.",
        "not_allowed",
    )
