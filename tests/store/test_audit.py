from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from spinecare.store import audit
from spinecare.store.actor import DEMO, SYSTEM
from spinecare.store.audit import Action
from spinecare.store.models import AuditEntry
from spinecare.store.site import Site


def write(site: Site, count: int = 5) -> None:
    with site.db.begin() as session:
        for i in range(count):
            audit.note(site.db, session, DEMO, Action.SEE, "assessment", f"key{i}", rows=i, changed=["name"])


def change(site: Site, statement: str) -> None:
    with site.db.begin() as session:
        session.execute(sa.text(statement))


def test_an_untouched_log_is_whole(site: Site) -> None:
    assert audit.check(site.db) is None
    write(site)
    write(site)
    assert audit.check(site.db) is None
    assert audit.tail(site.db).id == 10


def test_the_chain_can_be_computed_by_hand(site: Site) -> None:
    write(site, 1)
    with site.db.read() as session:
        entry = session.get(AuditEntry, 1)
    assert entry is not None
    text = json.dumps(
        {
            "action": "see",
            "actor": "demo",
            "at": entry.at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
            "details": {"changed": ["name"], "rows": 0},
            "id": 1,
            "key": "key0",
            "kind": "assessment",
            "via": "demo",
        },
        separators=(",", ":"),
    )
    assert entry.hash == hashlib.sha256(bytes(32) + text.encode()).digest()


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET object_key = 'other' WHERE id = 3", 3),
        ("UPDATE audit SET actor = 'system' WHERE id = 1", 1),
        ("UPDATE audit SET details = '{\"rows\": 9}' WHERE id = 2", 2),
        ("UPDATE audit SET details = 'no json' WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 4", 4),
        ("DELETE FROM audit WHERE id = 1", 1),
        ("UPDATE audit SET id = 40 WHERE id = 5", 5),
    ],
)
def test_a_changed_log_names_its_first_broken_entry(site: Site, statement: str, broken: int) -> None:
    write(site)
    if "no json" in statement and not site.db.is_sqlite:
        pytest.skip("PostgreSQL itself refuses what is no JSON")
    change(site, statement)
    assert audit.check(site.db) == broken


def test_an_entry_put_in_anew_with_its_own_hash_breaks_the_next(site: Site) -> None:
    write(site)
    with site.db.begin() as session:
        entry = session.get(AuditEntry, 2)
        assert entry is not None
        entry.object_key = "other"
        entry.hash = audit._hash(entry)
    assert audit.check(site.db) == 3


def test_a_log_cut_at_its_end_is_seen_by_who_remembers_the_tail(site: Site) -> None:
    write(site)
    remembered = audit.tail(site.db)
    write(site, 1)
    assert audit.holds(site.db, remembered)
    change(site, "DELETE FROM audit WHERE id >= 5")
    assert audit.check(site.db) is None, "a chain alone cannot know"
    assert not audit.holds(site.db, remembered)


def test_what_is_rolled_back_was_never_noted(site: Site) -> None:
    def note_and_fail() -> None:
        with site.db.begin() as session:
            audit.note(site.db, session, SYSTEM, Action.CHANGE, "patient", "k")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        note_and_fail()
    assert audit.tail(site.db).id == 0
    write(site, 1)
    assert audit.check(site.db) is None


def test_many_writers_at_once_make_one_chain(site: Site) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: write(site, 2), range(20)))
    assert audit.tail(site.db).id == 40
    assert audit.check(site.db) is None
