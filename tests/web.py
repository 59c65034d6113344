"""What tests of pages do again and again: send a form, look into the audit log, come with a token."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from spinecare.server.app import create_app
from spinecare.store import accounts, tokens
from spinecare.store.actor import SYSTEM, May, Role
from spinecare.store.models import AuditEntry
from spinecare.store.site import Site


def csrf(client: TestClient, path: str) -> str:
    """The token of the forms on a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def post(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of the page above `path`."""
    return client.post(path, data={"csrf": csrf(client, path.rsplit("/", 1)[0]), **fields})


def noted(site: Site) -> list[tuple[str, str, str]]:
    """The audit log: action, kind, key."""
    with site.db.read() as session:
        return [(e.action, e.object_kind, e.object_key) for e in session.query(AuditEntry).order_by(AuditEntry.id)]


def with_token(make_site: Callable[..., Site], role: Role, *scopes: May) -> tuple[Site, TestClient]:
    """A site with accounts, and somebody in front of it who shows an API token with these scopes."""
    site = make_site(demo=False)
    with site.db.begin() as session:
        account = accounts.create(site.db, session, "ada", "Ada", role, SYSTEM)
        secret, _ = tokens.make(session, account, "t", frozenset(scopes), 1)
    client = TestClient(create_app(site), base_url="http://127.0.0.1", follow_redirects=False)
    client.headers["Authorization"] = f"Bearer {secret}"
    return site, client
