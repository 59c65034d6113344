"""API tokens; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spinecare.store import accounts, tokens
from spinecare.store.actor import SYSTEM, May, Role
from spinecare.store.database import now
from spinecare.store.models import Account, Token
from spinecare.store.site import Site


def make(site: Site, *scopes: May, role: Role = Role.CLINICIAN, days: int = 30, name: str = "archive") -> str:
    with site.db.begin() as session:
        account = accounts.by_login(session, "ada") or accounts.create(site.db, session, "ada", "Ada", role, SYSTEM)
        return tokens.make(session, account, name, frozenset(scopes), days)[0]


def change(site: Site, **values: object) -> None:
    with site.db.begin() as session:
        for name, value in values.items():
            setattr(session.query(Account).one(), name, value)


def test_a_token_may_do_what_its_scopes_and_its_owners_role_both_allow(site: Site) -> None:
    secret = make(site, May.SEE, May.UPLOAD)

    found = tokens.find(site.db, secret)

    assert found is not None
    assert (found.via, found.may) == ("token", {May.SEE, May.UPLOAD})
    change(site, role="viewer")
    assert tokens.find(site.db, secret).may == {May.SEE}  # type: ignore[union-attr]


def test_only_the_whole_token_is_one(site: Site) -> None:
    secret = make(site, May.SEE)

    assert secret.startswith("sc_")
    for other in ("", "sc_", secret[:-1], secret + "x", secret[3:], secret.upper(), "sc_" + "x" * 10_000):
        assert tokens.find(site.db, other) is None
    with site.db.read() as session:
        assert secret not in str(vars(session.query(Token).one()))


def test_a_token_ends_by_time_by_hand_and_with_its_owner(site: Site) -> None:
    secret = make(site, May.SEE, days=1)
    assert tokens.find(site.db, secret, now() + timedelta(hours=23)) is not None
    assert tokens.find(site.db, secret, now() + timedelta(hours=25)) is None
    change(site, disabled=True)
    assert tokens.find(site.db, secret) is None
    change(site, disabled=False)
    with site.db.begin() as session:
        key = session.query(Token).one().key
        assert not tokens.revoke(session, 999, key)  # somebody else's
        assert tokens.revoke(session, session.query(Account).one().id, key)
    assert tokens.find(site.db, secret) is None


@pytest.mark.parametrize(
    ("scopes", "days", "name"),
    [
        ((), 30, "x"),
        ((May.ADMINISTER,), 30, "x"),
        ((May.SEE,), 0, "x"),
        ((May.SEE,), 10_000, "x"),
        ((May.SEE,), 30, " "),
    ],
)
def test_what_makes_no_sense_makes_no_token(site: Site, scopes: tuple[May, ...], days: int, name: str) -> None:
    with pytest.raises(ValueError, match=r"[.]$"):
        make(site, *scopes, days=days, name=name)


def test_its_use_is_noted_at_most_once_a_minute(site: Site) -> None:
    secret, start = make(site, May.SEE), now()

    def used_after(seconds: int) -> object:
        tokens.find(site.db, secret, start + timedelta(seconds=seconds))
        with site.db.read() as session:
            return session.query(Token).one().used_at

    assert used_after(0) == used_after(30) == start
    assert used_after(70) == start + timedelta(seconds=70)
