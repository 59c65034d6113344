"""Stores for tests, on both databases. `from databases import *fixtures*` in a conftest makes them known there.

PostgreSQL needs the URL of a server in SPINECARE_TEST_POSTGRES (`tests/postgres.sh start` prints one): each test
makes databases of its own there and drops them. Without it those tests are skipped, visibly.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.service import scratch_database

from spinecare.settings import SiteSettings
from spinecare.store.site import Site, open_store
from stored import FakePool

BACKENDS = ("sqlite", "postgresql")
SERVER = "SPINECARE_TEST_POSTGRES"


class StillQueue:
    """A queue that only notes what it was woken for."""

    def __init__(self) -> None:
        self.woken: list[int] = []

    def start(self) -> None:
        pass

    def wake(self, assessment_ids: list[int]) -> None:
        self.woken += assessment_ids

    def stop(self) -> None:
        pass


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database, dropped at the end; a skip where there is no server."""
    server = os.environ.get(SERVER)
    if not server:
        pytest.skip(f"{SERVER} is not set: no PostgreSQL to test on (tests/postgres.sh start)")
    with scratch_database(server) as url:
        yield url


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """`sqlite`, then `postgresql`: a test that uses this, or a fixture below, runs on both."""
    return str(request.param)


@pytest.fixture
def new_db_url(backend: str, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes URLs of databases that are new and empty."""
    with contextlib.ExitStack() as stack:

        def make() -> str:
            if backend == "postgresql":
                return stack.enter_context(postgres_database())
            return f"sqlite:///{tmp_path / f'db-{secrets.token_hex(4)}' / 'spinecare.db'}"

        yield make


@pytest.fixture
def db_url(new_db_url: Callable[[], str]) -> str:
    """The URL of one database that is new and empty."""
    return new_db_url()


@pytest.fixture
def make_store(new_db_url: Callable[[], str], tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Opens a site (FakePool, StillQueue) with these settings: data folder and database of its own unless given."""
    opened: list[Site] = []

    def make(**settings: Any) -> Site:
        given = {"data": tmp_path / f"data{len(opened)}", "demo": True, **settings}
        if "database" not in given:
            given["database"] = new_db_url()
        chosen = SiteSettings(**given)
        db, files = open_store(chosen)
        opened.append(Site(chosen, db, files, FakePool(), StillQueue()))
        return opened[-1]

    yield make
    for site in opened:
        site.close()


@pytest.fixture
def site(make_store: Callable[..., Site]) -> Site:
    """One site."""
    return make_store()
