"""What has assessments done in the background: huey carries their ids, and nothing depends on it.

A message may be lost or come twice: the table says what is to be done (`store/work.py`), and every ten seconds
whatever is due there and not waiting here is woken again. Messages are plain numbers, so that nothing that
somebody writes into the queue's tables is more than a number. huey's own format is pickle, which is never read.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from huey import PostgresHuey, SqliteHuey
from huey.consumer import Consumer, Worker
from huey.registry import Message
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from spinecare.settings import SiteSettings
from spinecare.store import work
from spinecare.store.database import Database
from spinecare.store.files import FileStore
from spinecare.store.models import Upload
from spinecare.store.site import Pool

log = logging.getLogger(__name__)

RECOVER_SECONDS = 10.0
FEW, FIRST, LATER = 5, 10, 0  # priorities: somebody sits waiting for a few files, and not for five hundred


class HueyQueue:
    """The queue of one installation. `start` does the work in this process; without it, ids are only sent.

    Safe to share between threads. Several processes on one installation share the queue.
    """

    def __init__(self, settings: SiteSettings, db: Database, files: FileStore, pool: Pool) -> None:
        self._settings, self._db, self._files, self._pool = settings, db, files, pool
        self._bell = threading.Event()
        self._over = threading.Event()
        self._consumer: _Consumer | None = None
        self._keeper: threading.Thread | None = None
        options: dict[str, Any] = {"results": False, "serializer": _Numbers()}
        if db.is_sqlite:
            # Messages wait in a file of their own: they never hold up a transaction of the site's.
            self._huey = SqliteHuey("spinecare", filename=str(settings.data / "queue.db"), timeout=30, **options)
        else:
            address = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
            with db.begin() as session:
                db.lock(session, "queue")  # two that make the same tables at once disturb each other
                self._huey = PostgresHuey("spinecare", dsn=address, **options)
        self._huey.bell = self._bell
        self._task = self._huey.task(name="assess")(self._do)
        self._huey.serializer.task = self._huey._registry.task_to_string(self._task.task_class)

    def start(self) -> None:
        """Begin to work: first what an earlier process left, then what comes."""
        if self._consumer is not None:
            return
        self._consumer = _Consumer(
            self._huey,
            workers=self._settings.workers,
            periodic=False,
            initial_delay=0.1,
            max_delay=1.0,
            scheduler_interval=60,
        )
        self._consumer.start()
        self._keeper = threading.Thread(target=self._keep, name="queue-keeper", daemon=True)
        self._keeper.start()

    def wake(self, assessment_ids: list[int]) -> None:
        """Have these done. Never raises: what was not woken here is found by the recovery."""
        try:
            few = self._few(assessment_ids)
            for one in assessment_ids:
                self._huey.enqueue(self._task.s(one, priority=FIRST if one in few else LATER))
        except Exception as error:
            log.warning("the queue did not take %d assessments now (%s)", len(assessment_ids), type(error).__name__)
        self._bell.set()

    def waiting(self) -> set[int]:
        """The ids of the messages that wait."""
        return {int(data) for data in self._huey.storage.enqueued_items() if bytes(data).isdigit()}

    def stop(self) -> None:
        """Finish what is in hand, and end. What waits is kept."""
        self._over.set()
        self._bell.set()
        if self._consumer is not None:
            self._consumer.stop(graceful=True)
            self._consumer = None
        if self._keeper is not None:
            self._keeper.join()
        self._huey.storage.close()

    def _do(self, assessment_id: int) -> None:
        try:
            work.do(self._db, self._files, self._pool, assessment_id)
        except SQLAlchemyError as error:
            # The type alone: what it says holds the values of its statement. The lease runs out, and it is done later.
            log.error("the database did not answer (%s)", type(error).__name__)

    def _keep(self) -> None:
        """Wake what is due and does not wait, now and every ten seconds; see that the threads live."""
        while True:
            try:
                woken = work.recover(self._db, self, self.waiting())
                if woken:
                    log.info("woken again: %d assessments", woken)
                if self._consumer is not None and not self._over.is_set():
                    self._consumer.check_worker_health()
            except Exception as error:
                log.error("the queue could not be looked through (%s)", type(error).__name__, exc_info=error)
            if self._over.wait(RECOVER_SECONDS):
                return

    def _few(self, ids: list[int]) -> set[int]:
        """Those that came alone, or with few others."""
        batches = select(Upload.batch_id).where(Upload.assessment_id.in_(ids))
        sizes = (
            select(Upload.batch_id)
            .where(Upload.batch_id.in_(batches))
            .group_by(Upload.batch_id)
            .having(func.count() > FEW)
        )
        with self._db.read() as session:
            many = select(Upload.assessment_id).where(Upload.assessment_id.in_(ids), Upload.batch_id.in_(sizes))
            return set(ids) - set(session.scalars(many))


class _Numbers:
    """huey's serializer: a message is its assessment's number in ASCII, and nothing else."""

    task = ""

    def serialize(self, message: Any) -> bytes:
        return b"%d" % message.args[0]

    def deserialize(self, data: bytes) -> Any:
        number = int(bytes(data))
        return Message(str(number), self.task, retries=0, retry_delay=0, retry_backoff=0, args=(number,), kwargs={})


class _Worker(Worker):  # type: ignore[misc]
    """Sleeps until the bell rings, where huey would only look again after a while."""

    def loop(self, now: Any = None) -> None:
        self.huey.bell.clear()
        super().loop(now)

    def sleep(self) -> None:
        self.huey.bell.wait(min(self.delay, self.max_delay))
        self.delay *= self.backoff


class _Consumer(Consumer):  # type: ignore[misc]
    """huey's consumer as a part of a process that has its own signals."""

    worker_class = _Worker

    def _set_signal_handlers(self) -> None:
        pass
