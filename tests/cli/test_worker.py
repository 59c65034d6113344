"""`spinecare worker` beside a web service that only answers pages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from databases import StillQueue, backend, new_db_url
from spinecare.settings import SiteSettings
from spinecare.store import uploads, work
from spinecare.store.actor import DEMO
from spinecare.store.models import AssessmentRow, State
from spinecare.store.site import Site, open_store
from stored import FakePool, make_png

__all__ = ["backend", "new_db_url"]  # fixtures


def test_it_does_what_others_took_in_and_ends_in_order(tmp_path: Path, new_db_url: Callable[[], str]) -> None:
    settings = SiteSettings(data=tmp_path / "data", database=new_db_url())
    db, files = open_store(settings)
    site = Site(settings, db, files, FakePool(), StillQueue())
    ids = []
    for seed in range(3):
        with files.incoming() as file:
            file.write(make_png(seed))
            ids.append(uploads.accept(site, file, "scan.png", uploads.Given(), DEMO).assessment_id)
    process = subprocess.Popen(
        [sys.executable, "-m", "spinecare", "worker", "--data", str(settings.data), "--workers", "1"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("SPINECARE_")},
            "SPINECARE_DATABASE": settings.database,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "1 scans at a time" in process.stdout.readline()
        assert work.wait(site, ids, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    with db.read() as session:
        for one in ids:
            row = session.get_one(AssessmentRow, one)
            assert (row.state, row.attempt) == (State.DONE, 1)
            assert row.outcome is not None
    site.close()
