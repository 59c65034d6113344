from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from spinecare.store import upkeep
from spinecare.store.database import now
from spinecare.store.site import Site
from stored import put_assessment


def test_it_deletes_what_is_too_old_and_goes_on_after_a_failure(
    make_store: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_store(retention_days=1)
    put_assessment(site, "yes", at=now() - timedelta(days=3))
    once, done, calls = upkeep.once, threading.Event(), []

    def fails_first(store: Site) -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("no disk")
        found = once(store)
        done.set()
        return found

    monkeypatch.setattr(upkeep, "once", fails_first)
    with upkeep.hourly(site, first_s=0.01, every_s=0.01):
        assert done.wait(30)
    assert list(site.files.all()) == []
    count = len(calls)
    time.sleep(0.1)
    assert len(calls) == count, "it ends with its block"
