"""One installation, opened: its settings, database, files, workers and queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from spinecare.errors import SpineCareError
from spinecare.scan import ModelInfo
from spinecare.settings import SiteSettings
from spinecare.store.database import Database
from spinecare.store.files import FileStore


@dataclass(frozen=True, eq=False)
class Answered:
    """What a worker says of one file.

    record
        JSON values: DESIGN 7 and `display` (report/record.py). Pictures are named by SHA-256 in it.
    pictures
        Name -> bytes of a PNG: `scan`, `prepared`, `map_<member>`.
    identity
        Who the file says it shows: `clinic_id`, `name`, `birth_date` (ISO), each only where the file has it.
    """

    record: dict[str, Any]
    pictures: dict[str, bytes]
    identity: dict[str, str | None] = field(default_factory=dict)


class WorkerError(SpineCareError):
    """No worker process can be had: a fault of the installation, and not of any file."""


class Pool(Protocol):
    """Processes that decode and assess, one file each at a time (store/workers.py)."""

    @property
    def model(self) -> ModelInfo: ...

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered: ...

    def close(self) -> None: ...


class Queue(Protocol):
    """What has assessments done in the background (store/queue.py)."""

    def start(self) -> None: ...

    def wake(self, assessment_ids: list[int]) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Site:
    """Everything that a request or a command needs."""

    settings: SiteSettings
    db: Database
    files: FileStore
    pool: Pool
    queue: Queue

    def close(self) -> None:
        """Finish what is being assessed, and close everything."""
        self.queue.stop()
        self.pool.close()
        self.db.close()


def open_store(settings: SiteSettings) -> tuple[Database, FileStore]:
    """Database (brought up to date) and files, for commands that assess nothing."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = Database(settings.database_url)
    db.upgrade()
    return db, FileStore(settings.data / "files")


def open_site(settings: SiteSettings, pool: Pool | None = None) -> Site:
    """Open an installation; the queue is not started yet.

    Parameters
    ----------
    pool
        Workers; None starts those of the settings.

    Raises
    ------
    StoreError, BundleError
        When the database or the model cannot be used.
    """
    from spinecare.store.queue import HueyQueue
    from spinecare.store.workers import WorkerPool

    db, files = open_store(settings)
    pool = pool or WorkerPool(settings)
    return Site(settings, db, files, pool, HueyQueue(settings, db, files, pool))
