"""What an installation does by itself once an hour: retention, and removing what has no use any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from spinecare.store import retention
from spinecare.store.retention import Store

log = logging.getLogger(__name__)

FIRST_S, EVERY_S = 60.0, 3600.0


def once(store: Store) -> int:
    """Do all of it now; how many assessments were too old. Safe when several processes do it at once."""
    expired = retention.expire(store)
    retention.tidy(store)
    retention.sweep(store)
    return expired


@contextmanager
def hourly(store: Store, first_s: float = FIRST_S, every_s: float = EVERY_S) -> Iterator[None]:
    """Do it in the background for as long as the block runs."""
    over = threading.Event()

    def keep_on() -> None:
        pause = first_s
        while not over.wait(pause):
            try:
                once(store)
            except Exception as error:
                # The disk or the database is away: the next hour is another try.
                log.error("upkeep failed: %s", type(error).__name__, exc_info=error)
            pause = every_s

    thread = threading.Thread(target=keep_on, name="upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=10)
