"""The processes that decode and assess (`store/worker.py`), and what happens when one of them dies.

A worker that dies on a file gets one more try with a fresh one: it may have been killed for another's memory. One that
takes too long, or dies twice, makes the file's answer "unreadable, too costly": no file can cost more than its worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from spinecare.errors import ScanError, UnreadableCode
from spinecare.report.record import make_record
from spinecare.scan import ModelInfo
from spinecare.settings import SiteSettings
from spinecare.store.child import Child, DiedError, OvertimeError
from spinecare.store.site import Answered, WorkerError

log = logging.getLogger(__name__)

NICE = 5
# -P: a module that lies in the folder where the service was started is none of ours.
COMMAND = (sys.executable, "-P", "-m", "spinecare.store.worker")


class WorkerPool:
    """As many processes as the settings say. Safe to share between threads.

    restarts
        How many processes were replaced so far.

    Raises
    ------
    BundleError
        When the model cannot be used.
    WorkerError
        When a process cannot be started.
    """

    def __init__(self, settings: SiteSettings, command: Sequence[str] = COMMAND) -> None:
        self.restarts = 0
        self._settings, self._command = settings, command
        self._closed = False
        self._lock = threading.Lock()
        self._all: set[Child] = set()
        self._free: queue.SimpleQueue[Child | None] = queue.SimpleQueue()
        try:
            # All at once: each takes seconds to load.
            children = [self._start() for _ in range(settings.workers)]
            self._model, *_ = [child.ready() for child in children]
        except BaseException:
            self.close()
            raise
        for child in children:
            self._free.put(child)

    @property
    def model(self) -> ModelInfo:
        """The model that all of them have opened."""
        return self._model

    @property
    def alive(self) -> int:
        """How many of the processes run."""
        with self._lock:
            return sum(child.alive for child in self._all)

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        """Have one file assessed; waits for a free process.

        Parameters
        ----------
        name
            Not used: the answer names no file.
        given
            What the sender said (`uploads.Given.text`).

        Raises
        ------
        AssessmentError
            When a step failed inside, on a file that could be read.
        WorkerError
            When no process can be started, or the pool is closed.
        """
        begun = time.perf_counter()
        sha256 = hashlib.sha256(data).hexdigest()
        for _ in range(2):
            try:
                with self._borrowed() as child:
                    answered = child.ask(data, sha256, given, self._settings.worker_seconds)
                if answered is not None:
                    return answered
                log.warning("scan %s: needs more memory than a worker has", sha256[:12])
                break
            except OvertimeError:
                log.warning("scan %s: took longer than %g s", sha256[:12], self._settings.worker_seconds)
                break
            except DiedError as error:
                log.warning("scan %s: its worker died (%s)", sha256[:12], error)
        made = make_record(_too_costly(), None, sha256, time.perf_counter() - begun, None)
        return Answered(made.record, made.pictures)

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed = True
            children = list(self._all)
        for child in children:
            child.end()
        self._free.put(None)  # whoever waits learns that it is over

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Child]:
        child = self._free.get()
        try:
            if child is None or not child.alive:
                child = self._replace(child)
            child.ready()
            yield child
        except (DiedError, OvertimeError):
            if child is not None:
                child.end()
            child = self._replace(child)  # it loads while nobody waits for it
            raise
        finally:
            self._free.put(child)

    def _replace(self, old: Child | None) -> Child:
        new = self._start()
        with self._lock:
            self.restarts += 1
            if old is not None:
                self._all.discard(old)
        return new

    def _start(self) -> Child:
        with self._lock:
            if self._closed:
                raise WorkerError("SpineCare is being ended.")
            child = Child([*self._command, json.dumps(child_settings(self._settings))])
            self._all.add(child)
            return child


def child_settings(settings: SiteSettings, cores: int | None = None) -> dict[str, Any]:
    """What a worker process is told: together the processes fill the cores, and no more."""
    cores = cores or os.cpu_count() or 1
    return {
        "bundle": None if settings.bundle is None else str(settings.bundle),
        "threads": max(1, min(2, cores // settings.workers)),
        "memory_mb": settings.worker_memory_mb,
        "seconds": settings.worker_seconds,
        "max_bytes": settings.limits.max_file_bytes,
        "nice": NICE,
    }


def _too_costly() -> ScanError:
    return ScanError(
        UnreadableCode.TOO_COSTLY,
        "The file takes more time or memory than reading a scan may take.",
        "Export the scan again, as a single picture, and send the new file.",
    )
