"""Browsers that are signed in; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from spinecare.store import accounts, sessions
from spinecare.store.actor import SYSTEM, May, Role
from spinecare.store.database import now
from spinecare.store.models import SessionRow
from spinecare.store.site import Site


def begin(site: Site, login: str = "ada", role: Role = Role.CLINICIAN) -> str:
    """Makes the account when there is none; a session's secret."""
    with site.db.begin() as session:
        account = accounts.by_login(session, login) or accounts.create(site.db, session, login, "Ada", role, SYSTEM)
        return sessions.start(session, account, site.settings)[0]


def test_a_session_is_found_by_its_secret_alone(site: Site) -> None:
    secret = begin(site)

    found = sessions.find(site.db, secret, site.settings)

    assert found is not None
    assert found.actor.via == "session"
    assert May.UPLOAD in found.actor.may
    for other in ("", "x", secret[:-1], secret.swapcase(), sessions.hash_of(secret)):
        assert sessions.find(site.db, other, site.settings) is None


def test_the_secret_is_long_new_each_time_and_not_in_the_database(site: Site) -> None:
    one, two = begin(site), begin(site)

    assert one != two
    assert len(one) >= 43  # 256 bits in base64
    with site.db.read() as session:
        kept = str([vars(row) for row in session.query(SessionRow)])
    assert one not in kept
    assert two not in kept


def test_a_session_ends_when_unused_and_at_the_end_of_the_day(site: Site) -> None:
    secret, start = begin(site), now()
    idle = timedelta(minutes=site.settings.session_idle_minutes)

    assert sessions.find(site.db, secret, site.settings, start + idle - timedelta(seconds=1)) is not None
    assert sessions.find(site.db, secret, site.settings, start + idle * 2 - timedelta(seconds=5)) is not None
    assert sessions.find(site.db, secret, site.settings, start + idle * 4) is None

    used, at = begin(site), now()
    while at < start + timedelta(hours=site.settings.session_hours) - timedelta(minutes=1):
        assert sessions.find(site.db, used, site.settings, at) is not None
        at += timedelta(minutes=20)
    over = now() + timedelta(hours=site.settings.session_hours)
    assert sessions.find(site.db, used, site.settings, over) is None


def test_a_request_costs_one_query_and_a_write_a_minute_at_most(site: Site) -> None:
    secret, start = begin(site), now()
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement.split()[0])

    event.listen(site.db.engine, "before_cursor_execute", note)
    for second in range(0, 60, 10):
        sessions.find(site.db, secret, site.settings, start + timedelta(seconds=second))
    assert seen == ["SELECT"] * 6
    seen.clear()
    for second in range(65, 115, 10):
        sessions.find(site.db, secret, site.settings, start + timedelta(seconds=second))
    assert seen.count("UPDATE") == 1
    assert seen.count("SELECT") == 5


def test_a_new_role_holds_for_the_browser_that_is_signed_in_already(site: Site) -> None:
    secret = begin(site, "other", Role.ADMINISTRATOR) and begin(site)

    with site.db.begin() as session:
        account = accounts.by_login(session, "ada")
        assert account is not None
        accounts.set_role(site.db, session, account, Role.VIEWER, SYSTEM)

    found = sessions.find(site.db, secret, site.settings)
    assert found is not None
    assert found.actor.may == {May.SEE}


def test_a_disabled_account_has_no_living_session(site: Site) -> None:
    secret = begin(site)
    with site.db.begin() as session:  # even were the row still there
        account = accounts.by_login(session, "ada")
        assert account is not None
        account.disabled = True

    assert sessions.find(site.db, secret, site.settings) is None


def test_browsers_are_signed_out_one_by_one_all_others_and_never_those_of_somebody_else(site: Site) -> None:
    mine = [begin(site) for _ in range(3)]
    theirs = begin(site, "eve")

    def alive() -> list[bool]:
        return [sessions.find(site.db, one, site.settings) is not None for one in (*mine, theirs)]

    here = sessions.find(site.db, mine[0], site.settings)
    other = sessions.find(site.db, theirs, site.settings)
    assert here is not None
    assert other is not None
    with site.db.begin() as session:
        sessions.end(session, other.session_id, here.account_id)  # a number that somebody made up
    assert alive() == [True, True, True, True]
    with site.db.begin() as session:
        assert len(sessions.living(session, here.account_id, site.settings)) == 3
        sessions.end_all(session, here.account_id, but=here.session_id)
    assert alive() == [True, False, False, True]
    with site.db.begin() as session:
        sessions.end_secret(session, mine[0])
    assert alive() == [False, False, False, True]


@pytest.mark.parametrize("role", list(Role))
def test_actors_carry_a_key_and_no_login(site: Site, role: Role) -> None:
    found = sessions.find(site.db, begin(site, "secret.login", role), site.settings)

    assert found is not None
    assert "secret.login" not in str(found)
