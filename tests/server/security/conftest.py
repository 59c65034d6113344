"""A site with accounts, and an application with two pages of its own to knock at."""

# ruff: noqa: B008
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends

from accounts import CheapHasher
from spinecare.server.pages import account
from spinecare.server.security.csrf import checked_form
from spinecare.server.security.who import allow, allow_person
from spinecare.store import accounts
from spinecare.store.actor import Actor, May
from spinecare.store.site import Site


@pytest.fixture
def clinic(make_site: Callable[..., Site]) -> Site:
    """A site with accounts (and none yet)."""
    return make_site(demo=False)


@pytest.fixture(autouse=True)
def hasher(monkeypatch: pytest.MonkeyPatch) -> CheapHasher:
    """Spares the tests the time that a real hash takes on purpose."""
    made = CheapHasher()
    monkeypatch.setattr(accounts, "_hasher", lambda: made)
    monkeypatch.setattr(accounts, "_nobodys_hash", lambda: "cheap:nobody's")
    return made


@pytest.fixture(autouse=True)
def doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every application has /test/see, /test/do and /api/test/do beside its own pages."""

    router = APIRouter()
    router.include_router(account.router)

    @router.get("/test/see")
    def see(actor: Actor = Depends(allow(May.SEE))) -> dict[str, Any]:
        return {"key": actor.key, "via": actor.via, "may": sorted(actor.may)}

    @router.get("/test/person")
    def person(actor: Actor = Depends(allow_person())) -> str:
        return actor.key

    @router.post("/test/do")
    def do(actor: Actor = Depends(allow(May.UPLOAD)), form: Any = Depends(checked_form)) -> dict[str, Any]:
        return {name: value for name, value in form.items() if isinstance(value, str)}

    @router.post("/api/test/do")
    def api(actor: Actor = Depends(allow(May.UPLOAD))) -> str:
        return actor.key

    monkeypatch.setattr(account, "router", router)
