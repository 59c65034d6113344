"""People and programs in front of a server under test.

    client = signed_in(site, Role.CLINICIAN)     # a browser that has signed in; its POSTs carry the right token
    program = with_token(site, Role.VIEWER)      # a program with an API token
    with_csrf(client)                            # lets the POSTs of a demo's or a stranger's client pass

All of them have `client.csrf`. `cookie_of(site, role)` is for a real browser (Playwright).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from fastapi.testclient import TestClient

from spinecare.server.app import create_app
from spinecare.server.security import cookies
from spinecare.server.security.csrf import HEADER, csrf_of
from spinecare.store import sessions, tokens
from spinecare.store.actor import ROLE_MAY, May, Role
from spinecare.store.database import now
from spinecare.store.models import Account
from spinecare.store.site import Site

C = TypeVar("C", bound=TestClient)
_application = lru_cache(maxsize=2)(create_app)


class Client(TestClient):
    """A browser or a program; `csrf` is what its forms hold, `account` the account's key."""

    csrf: str = ""
    account: str = ""


def make_client(site: Site, host: str = "127.0.0.1") -> Client:
    """A stranger. The application is made once for a site; its queue isn't started."""
    scheme = "https" if cookies.is_secure(site.settings) else "http"
    return Client(
        _application(site), base_url=f"{scheme}://{host}", raise_server_exceptions=False, follow_redirects=False
    )


def put_account(site: Site, role: Role = Role.CLINICIAN, login: str | None = None, **values: Any) -> str:
    """An account without a password, one for each login (default: the role); the key."""
    login = login or role.value
    with site.db.begin() as session:
        account = session.query(Account).filter_by(login=login).one_or_none()
        if account is None:
            account = Account(**{"login": login, "name": f"Test {role.value.title()}", "role": role.value, **values})
            session.add(account)
            session.flush()
        return account.key


def with_csrf(client: C) -> C:
    """Cookie and header that let this client's POSTs through in the demo, or while nobody is signed in."""
    site: Site = client.app.state.site  # type: ignore[attr-defined]
    client.cookies.set(cookies.cookie_name(site.settings, cookies.FORM), "a-browser-under-test")
    token = csrf_of("a-browser-under-test")
    client.headers[HEADER] = token
    client.csrf = token  # type: ignore[attr-defined]
    return client


def signed_in(site: Site, role: Role = Role.CLINICIAN, login: str | None = None, host: str = "127.0.0.1") -> Client:
    """A browser in which somebody of this role has signed in. `site` must not be in demo mode."""
    client = make_client(site, host)
    client.account, secret, client.csrf = _start(site, role, login)
    client.cookies.set(cookies.cookie_name(site.settings, cookies.SESSION), secret)
    client.headers[HEADER] = client.csrf
    return client


def cookie_of(site: Site, role: Role = Role.CLINICIAN, url: str = "http://127.0.0.1") -> dict[str, Any]:
    """The session's cookie for `context.add_cookies([…])` of Playwright."""
    _, secret, _ = _start(site, role, None)
    return {"name": cookies.cookie_name(site.settings, cookies.SESSION), "value": secret, "url": url}


def with_token(site: Site, role: Role = Role.CLINICIAN, scopes: set[May] | None = None) -> Client:
    """A program with a token of somebody of this role; all that the role may, unless `scopes` says less."""
    client = make_client(site)
    client.account = put_account(site, role)
    with site.db.begin() as session:
        account = session.query(Account).filter_by(key=client.account).one()
        secret, _ = tokens.make(session, account, "test", frozenset(scopes or ROLE_MAY[role]), days=1)
    client.headers["Authorization"] = f"Bearer {secret}"
    return client


def _start(site: Site, role: Role, login: str | None) -> tuple[str, str, str]:
    key = put_account(site, role, login)
    with site.db.begin() as session:
        account = session.query(Account).filter_by(key=key).one()
        account.signed_in_at = now()
        secret, row = sessions.start(session, account, site.settings)
        return key, secret, row.csrf


class CheapHasher:
    """Stands in for argon2id where a test signs in often: the same answers, and counts how often it is asked."""

    def __init__(self) -> None:
        self.verified: list[str] = []

    def hash(self, password: str) -> str:
        return "cheap:" + password[::-1]

    def verify_and_update(self, password: str, hashed: str) -> tuple[bool, None]:
        self.verified.append(password)
        return hashed == self.hash(password), None
