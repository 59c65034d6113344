"""Many threads at once on one installation: nobody fails, nothing is lost, and no file is without its row."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from spinecare.store import audit, backup, database, readings, retention, uploads, work
from spinecare.store.actor import DEMO
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, PatientRow, Picture, State, Upload
from spinecare.store.named import named
from spinecare.store.site import Site
from stored import make_png, put_assessment

SECONDS = 2.5


def send(site: Site, seed: int, marker: str = "", given: uploads.Given | None = None) -> uploads.Accepted:
    with site.files.incoming() as file:
        file.write(make_png(seed, marker))
        return uploads.accept(site, file, f"{seed}.png", given or uploads.Given(), DEMO)


def keys(site: Site, column: object = AssessmentRow.key) -> list[str]:
    with site.db.read() as session:
        return list(session.scalars(select(column)))  # type: ignore[call-overload]


def test_accepting_finishing_reading_deleting_expiring_and_saving_at_once(
    make_store: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_store(retention_days=1)
    over = time.monotonic() + SECONDS
    errors: list[BaseException] = []

    def again_and_again(step: Callable[[random.Random], object], seed: int) -> None:
        chance = random.Random(seed)
        try:
            while time.monotonic() < over:
                step(chance)
        except BaseException as error:
            errors.append(error)

    def accept(chance: random.Random) -> None:
        # Few files and few patients, so that they meet.
        given = uploads.Given(clinic_id=f"P-{chance.randrange(3)}", age_years=float(chance.randrange(50, 52)))
        try:
            one = send(site, chance.randrange(4), chance.choice(["", "yes"]), given)
        except uploads.ConflictError:
            pass  # filed under another patient meanwhile: refused, and nothing was changed
        except uploads.StoreError as error:
            assert "Send it again" in error.hint  # noqa: PT017 - deleted between its keeping and its row
        else:
            work.do(site.db, site.files, site.pool, one.assessment_id)

    def read(chance: random.Random) -> None:
        for key in keys(site)[:2]:
            with contextlib.suppress(LookupError, ValueError):  # gone, or not done yet
                readings.add(site, key, "not_usable", None, str(chance.random()), DEMO)

    def delete(chance: random.Random) -> None:
        found = keys(site)
        if found:
            retention.delete_assessment(site, chance.choice(found), DEMO)

    def delete_patient(chance: random.Random) -> None:
        for key in keys(site, PatientRow.key)[:1]:
            retention.delete_patient(site, key, DEMO)
        time.sleep(0.05)

    def expire(chance: random.Random) -> None:
        with site.db.begin() as session:
            site.db.lock(session, "files")  # nobody but this test changes an upload
            old = now() - timedelta(days=2)
            one = session.scalar(select(AssessmentRow.id).limit(1))
            session.execute(update(Upload).where(Upload.assessment_id == one).values(at=old))
            session.execute(update(AssessmentRow).where(AssessmentRow.id == one).values(created_at=old))
        retention.expire(site)
        retention.sweep(site)
        time.sleep(0.05)

    def save(chance: random.Random) -> None:
        # A file that was named may be deleted three times over: only here is so much deleted.
        with contextlib.suppress(backup.StoreError):
            backup.make(site.settings, site.db, site.files, tmp_path / "kept")
        time.sleep(0.1)

    steps = [accept] * 4 + [read, delete, delete_patient, expire, save]
    threads = [threading.Thread(target=again_and_again, args=(step, i)) for i, step in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for one in _open(site):
        work.do(site.db, site.files, site.pool, one)
    with site.db.read() as session:
        known = named(session)
        rows = session.scalars(select(AssessmentRow)).all()
        pictures = {(p.assessment_id, p.name, p.sha256) for p in session.scalars(select(Picture))}
    assert {row.state for row in rows} <= {State.DONE}
    assert pictures == {
        (row.id, name, shown["sha256"]) for row in rows for name, shown in row.record["display"]["pictures"].items()
    }
    assert set(site.files.all()) >= known
    retention.sweep(site, older_than_s=-1)
    assert set(site.files.all()) == known
    assert audit.check(site.db) is None
    for made in backup.snapshots(tmp_path / "kept"):
        backup.verify(tmp_path / "kept", made)


def _open(site: Site) -> list[int]:
    with site.db.read() as session:
        return list(session.scalars(select(AssessmentRow.id).where(AssessmentRow.state != State.DONE)))


def test_sixteen_writers_all_get_their_turn(site: Site) -> None:
    put_assessment(site)

    def write(seed: int) -> None:
        for i in range(5):
            send(site, 100 + seed * 5 + i)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(16)))
    with site.db.read() as session:
        assert session.scalar(select(func.count()).select_from(AssessmentRow)) == 81
    assert audit.check(site.db) is None


def test_forty_who_wait_leave_connections_for_others(site: Site) -> None:
    one = send(site, 1)
    with ThreadPoolExecutor(40) as threads:
        waiting = [threads.submit(work.wait, site, [one.assessment_id], 20.0) for _ in range(40)]
        time.sleep(0.3)
        begun = time.monotonic()
        other = send(site, 2)
        work.do(site.db, site.files, site.pool, other.assessment_id)
        assert time.monotonic() - begun < 5
        work.do(site.db, site.files, site.pool, one.assessment_id)
        answers = [future.result(25) for future in waiting]
    # More than MAX_WAITING are told at once how things stand.
    assert answers.count(True) >= work.MAX_WAITING


def test_nobody_needs_a_second_connection_while_holding_one(
    make_store: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one connection in all, whoever takes a second inside a transaction waits for itself."""
    monkeypatch.setattr(database, "_POOL", {"pool_size": 1, "max_overflow": 0, "pool_timeout": 2})
    site = make_store()
    one = send(site, 1, "yes", uploads.Given(clinic_id="P-1"))
    work.do(site.db, site.files, site.pool, one.assessment_id)
    assert work.wait(site, [one.assessment_id], 1)
    readings.add(site, one.key, "agree", None, None, DEMO)
    assert retention.delete_patient(site, keys(site, PatientRow.key)[0], DEMO)
    retention.expire(site)
    retention.tidy(site)
    retention.sweep(site)
    assert work.recover(site.db, site.queue) == 0
