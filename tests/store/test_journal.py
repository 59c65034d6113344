"""What an administrator reads: the audit log and the backlog; on both databases."""

from __future__ import annotations

from datetime import timedelta

from spinecare.store import audit, backlog, journal
from spinecare.store.actor import DEMO, SYSTEM
from spinecare.store.audit import Action
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, State
from spinecare.store.site import Site
from stored import put_assessment


def numbers(site: Site, before: int | None = None, limit: int = 50, **asked: object) -> list[int]:
    with site.db.read() as session:
        found = journal.find(session, journal.Filters(**asked), before, limit)  # type: ignore[arg-type]
        return [one.id for one in found.entries]


def test_entries_are_found_by_each_filter_and_by_all_of_them(site: Site) -> None:
    with site.db.begin() as session:
        for n in range(1, 13):
            actor, action = (SYSTEM if n % 2 else DEMO), (Action.SEE if n % 3 else Action.UPLOAD)
            audit.note(site.db, session, actor, action, "assessment" if n % 4 else "patient", str(n % 5))
    today = now().date()

    assert numbers(site) == list(range(12, 0, -1))
    assert numbers(site, actor="demo") == [12, 10, 8, 6, 4, 2]
    assert numbers(site, action="upload") == [12, 9, 6, 3]
    assert numbers(site, kind="patient") == [12, 8, 4]
    assert numbers(site, key="0") == [10, 5]
    assert numbers(site, actor="demo", action="upload", kind="patient", key="2", since=today, until=today) == [12]
    assert numbers(site, since=today + timedelta(days=1)) == []
    assert numbers(site, until=today - timedelta(days=1)) == []
    assert numbers(site, actor="%", key="_") == []


def test_pages_follow_each_other_without_a_gap(site: Site) -> None:
    with site.db.begin() as session:
        for n in range(10):
            audit.note(site.db, session, SYSTEM, Action.SEE, "assessment", str(n))

    with site.db.read() as session:
        first = journal.find(session, journal.Filters(), limit=5)
        second = journal.find(session, journal.Filters(), first.older, limit=5)
    assert [one.id for one in (*first.entries, *second.entries)] == list(range(10, 0, -1))
    assert second.older is None


def test_what_waits_runs_is_stuck_or_failed_is_counted_apart(site: Site) -> None:
    at = now()
    old = at - backlog.STUCK_AFTER - timedelta(seconds=1)
    put_assessment(site, seed=0, state=State.QUEUED, at=at)
    stuck = put_assessment(site, seed=1, state=State.QUEUED, at=old)
    failed = put_assessment(site, seed=2, state=State.FAILED, at=at)
    put_assessment(site, seed=3, at=old)
    leases = {"alive": at + timedelta(seconds=30), "dead": at - timedelta(seconds=1)}
    keys = {name: put_assessment(site, seed=4 + n, state=State.RUNNING, at=old) for n, name in enumerate(leases)}
    with site.db.begin() as session:
        for name, lease in leases.items():
            session.query(AssessmentRow).filter_by(key=keys[name]).one().lease_until = lease

    with site.db.read() as session:
        assert backlog.count(session, at) == backlog.Backlog(queued=2, running=2, failed=1, stuck=2, oldest=old)
        assert {row.key for row in backlog.trouble(session, at=at)} == {stuck, failed, keys["dead"]}
        assert backlog.waiting(session)[0].key == stuck
        assert len(backlog.waiting(session)) == 4


def test_an_empty_store_has_no_backlog(site: Site) -> None:
    with site.db.read() as session:
        assert backlog.count(session) == backlog.Backlog(0, 0, 0, 0, None)
        assert backlog.trouble(session) == []
