from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from spinecare.errors import StoreError
from spinecare.store.database import Database, alembic_config
from spinecare.store.models import Base, Identity, PatientRow, Specialist
from spinecare.store.site import Site


def add(site: Site, row: Base) -> None:
    with site.db.begin() as session:
        session.add(row)


def test_the_tables_are_those_of_the_models_and_upgrading_twice_is_once(db_url: str) -> None:
    db = Database(db_url)
    db.upgrade()
    db.upgrade()
    assert set(inspect(db.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    db.close()


def test_processes_that_start_at_once_make_the_tables_once(db_url: str) -> None:
    several = [Database(db_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(Database.upgrade, several))
    for db in several:
        db.ping()
        db.close()


def test_a_transaction_is_whole_or_not_at_all(site: Site) -> None:
    def fails() -> None:
        with site.db.begin() as session:
            session.add(PatientRow(sex="F"))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    with site.db.read() as session:
        assert session.scalars(select(PatientRow)).all() == []


def test_times_are_aware_and_in_utc_to_the_microsecond(site: Site) -> None:
    at = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with site.db.begin() as session:
        session.add(PatientRow(created_at=at))
    with site.db.read() as session:
        found = session.scalars(select(PatientRow.created_at)).one()
        assert session.scalars(select(PatientRow).where(PatientRow.created_at == at)).one()
    assert found == at
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="without its zone"):
        add(site, PatientRow(created_at=datetime(2026, 1, 1)))


def test_rows_that_refer_to_nothing_are_refused(site: Site) -> None:
    with pytest.raises(IntegrityError):
        add(site, Identity(patient_id=99, name="nobody"))


def test_writers_wait_for_each_other(site: Site) -> None:
    """Each reads, waits and writes: without one order of them, numbers would be lost."""
    with site.db.begin() as session:
        session.add(Specialist(name="0", specialty="s", city="c"))

    def add_one(_: int) -> None:
        with site.db.begin() as session:
            site.db.lock(session, "count")
            row = session.scalars(select(Specialist)).one()
            time.sleep(0.005)
            row.name = str(int(row.name) + 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_one, range(20)))
    with site.db.read() as session:
        assert session.scalars(select(Specialist.name)).one() == "20"


def test_a_lock_is_let_go_at_the_end_of_its_transaction(site: Site) -> None:
    held, order = threading.Event(), []

    def first() -> None:
        with site.db.begin() as session:
            site.db.lock(session, "x")
            held.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with site.db.begin() as session:
        site.db.lock(session, "x")
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_readers_do_not_wait_for_a_writer(site: Site) -> None:
    with site.db.begin() as writer:
        writer.add(PatientRow(sex="F"))
        writer.flush()
        begun = time.monotonic()
        with site.db.read() as reader:
            assert reader.scalars(select(PatientRow)).all() == []
        assert time.monotonic() - begun < 5


def test_sqlite_keeps_what_it_has_acknowledged(make_store: Callable[..., Site]) -> None:
    site = make_store()
    if not site.db.is_sqlite:
        pytest.skip("PostgreSQL does so by default")
    with site.db.read() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_database_of_another_kind_or_none_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="'mysql' is not known"):
        Database("mysql://u@h/n")
    with pytest.raises(StoreError, match="cannot be used") as caught:
        Database("postgresql://someone:geheim@127.0.0.1:1/none").upgrade()
    assert "geheim" not in str(caught.value)


def test_the_migrations_give_the_tables_of_the_models(db_url: str) -> None:
    db = Database(db_url)
    db.upgrade()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    db.close()


def test_a_migration_can_be_taken_back(db_url: str) -> None:
    db = Database(db_url)
    db.upgrade()
    with db.engine.connect().execution_options(write=True) as connection, connection.begin():
        command.downgrade(alembic_config(connection), "base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    db.upgrade()
    db.close()
