"""The whole database as one SQLite file, as it stood at one moment; and back into either database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from alembic.util.exc import CommandError
from sqlalchemy import Connection, create_engine, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from spinecare.errors import StoreError
from spinecare.store.database import Database
from spinecare.store.models import Base

ROWS = 500  # that are held in memory at a time
TABLES = Base.metadata.sorted_tables  # a table stands behind those that it refers to


def save(db: Database, path: Path) -> None:
    """Write the database to a new SQLite file, while others go on reading and writing it."""
    if db.is_sqlite:
        with closing(sqlite3.connect(str(db.url.database))) as source, closing(sqlite3.connect(path)) as copy:
            # In one step: it reads one state of the database, and in WAL mode it holds nobody up.
            source.backup(copy)
    else:
        with opened(path) as copied:
            copied.upgrade()
            # REPEATABLE READ: every table as it stood at the first of these queries.
            frozen = db.engine.connect().execution_options(isolation_level="REPEATABLE READ", stream_results=True)
            with frozen as rows, rows.begin(), _writing(copied) as into:
                _copy_rows(rows, into)
    _fold(path)


def prepare(path: Path) -> None:
    """Bring a saved file, of this version or an older one, to this version's tables.

    Raises
    ------
    StoreError
        When it comes from a newer version, or is no database of SpineCare.
    """
    try:
        with opened(path) as copied:
            copied.upgrade()
            if len(inspect(copied.engine).get_table_names()) < len(TABLES):
                raise StoreError("This is no database of SpineCare.", "Choose another snapshot.")
    except CommandError as error:
        raise StoreError(
            "The snapshot was made by a newer SpineCare.", "Install that version or a later one, then restore."
        ) from error
    _fold(path)


def load(path: Path, db: Database) -> None:
    """Put a prepared file into an empty database: all of it, or nothing.

    Raises
    ------
    StoreError
        When the database does not take it.
    """
    if db.is_sqlite:
        final = Path(str(db.url.database))
        part = final.with_name(final.name + ".part")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        db.close()
        part.replace(final)
        return
    try:
        with opened(path) as copied, copied.engine.connect() as source, _writing(db) as into:
            Base.metadata.create_all(into)
            _copy_rows(source, into)
            _count_on(into)
            into.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            into.execute(
                text("INSERT INTO alembic_version VALUES (:v)"),
                {"v": source.execute(text("SELECT version_num FROM alembic_version")).scalar_one()},
            )
    except SQLAlchemyError as error:
        raise StoreError(
            f"The database does not take the snapshot ({type(error).__name__}).", "Look into the database's own log."
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[Session]:
    """A saved file, without a byte of it or beside it being changed."""
    engine = create_engine(f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&immutable=1&uri=true")
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    """A saved file as a database that can be written."""
    db = Database(f"sqlite:///{path}")
    try:
        yield db
    finally:
        db.close()


@contextmanager
def _writing(db: Database) -> Iterator[Connection]:
    with db.engine.connect().execution_options(write=True) as connection, connection.begin():
        yield connection


def _copy_rows(source: Connection, into: Connection) -> None:
    for table in TABLES:
        for rows in source.execute(select(table).execution_options(yield_per=ROWS)).mappings().partitions():
            into.execute(insert(table), [dict(row) for row in rows])


def _count_on(into: Connection) -> None:
    # PostgreSQL's counters know nothing of numbers that were given from outside.
    for table in TABLES:
        column = table.autoincrement_column
        if column is not None:
            into.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "
                    f"coalesce(max({column.name}), 0) + 1, false) FROM {table.name}"
                )
            )


def _fold(path: Path) -> None:
    # One file, without its write-ahead log beside it.
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")
