"""The database: SQLite in WAL mode, or PostgreSQL by its URL. Everybody opens transactions here."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Dialect, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.types import DateTime, TypeDecorator

from spinecare.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
SQLITE_WAIT_S = 30
# Each request has a thread, of which there are 40 (anyio), and each worker of the queue has two: none of them should
# have to wait for a connection. Few are kept open when it is quiet.
KEPT, MORE = 10, 50


_POOL: dict[str, Any] = {"pool_size": KEPT, "max_overflow": MORE}


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware and in UTC in Python, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone cannot be stored")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class Database:
    """Transactions on one database. Safe to share between threads.

    Raises
    ------
    StoreError
        When the URL is neither SQLite nor PostgreSQL, or the database does not answer.
    """

    def __init__(self, url: str) -> None:
        made = make_url(url.replace("postgres://", "postgresql://", 1))
        if made.drivername == "postgresql":
            made = made.set(drivername="postgresql+psycopg")
        if made.get_backend_name() not in {"sqlite", "postgresql"}:
            raise StoreError(
                f"The database {made.get_backend_name()!r} is not known.",
                "Use sqlite:///FILE or postgresql://USER@HOST/NAME.",
            )
        self.url = made
        self.is_sqlite = made.get_backend_name() == "sqlite"
        self.engine = _sqlite(made) if self.is_sqlite else _postgresql(made)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction that may write: committed at the end, rolled back by any exception."""
        with Session(self.engine, expire_on_commit=False) as session:
            session.connection(execution_options={"write": True})
            try:
                yield session
            except BaseException:
                session.rollback()
                raise
            session.commit()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads. Its objects stay usable afterwards."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def lock(self, session: Session, name: str) -> None:
        """Wait until no other transaction holds the lock `name`; it is let go at the end of this one.

        On SQLite a transaction that may write is alone anyway.
        """
        if not self.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": zlib.crc32(name.encode())})

    def upgrade(self) -> None:
        """Bring the tables to this version's state; safe when several processes start at once."""
        try:
            with self.engine.connect().execution_options(write=True) as connection, connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": zlib.crc32(b"migrations")})
                command.upgrade(alembic_config(connection), "head")
        except SQLAlchemyError as error:
            raise StoreError(
                f"The database {self.url.render_as_string()} cannot be used ({type(error).__name__}).",
                "Check its address, that it is running, and that you may write to it.",
            ) from error

    def ping(self) -> None:
        """Raises whatever the database raises when it does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """What Alembic needs to work on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _postgresql(url: Any) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True, **_POOL)

    @event.listens_for(engine, "connect")
    def _connect(raw: Any, record: Any) -> None:
        raw.adapters.register_dumper(str, _Text)

    return engine


class _Text(StrDumperUnknown):
    """PostgreSQL takes no NUL and no half of a surrogate pair: what asks for one finds nothing, and is no error."""

    def dump(self, obj: str) -> bytes:
        return obj.replace("\0", "\ufffd").encode("utf-8", "replace")


def _sqlite(url: Any) -> Engine:
    pool = {}
    if url.database not in {None, "", ":memory:"}:
        pool = _POOL
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_WAIT_S}, hide_parameters=True, **pool)

    @event.listens_for(engine, "connect")
    def _connect(raw: Any, record: Any) -> None:
        raw.isolation_level = None  # the begin below is ours: pysqlite's own comes too late
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that writes says so at once: one that turns to writing later can only fail as busy.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
