"""The kill benchmark at its smallest, and that it would notice."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databases import backend, new_db_url
from spinecare.settings import SiteSettings
from spinecare.store import uploads, work
from spinecare.store.actor import DEMO
from spinecare.store.models import AssessmentRow, State
from spinecare.store.site import Site, open_store
from stored import FakePool, make_png

__all__ = ["backend", "new_db_url"]  # fixtures


def test_one_kill_loses_nothing_and_does_nothing_twice(
    benchmarks: None, tmp_path: Path, new_db_url: Callable[[], str]
) -> None:
    kill = importlib.import_module("kill")
    url = new_db_url()
    result = kill.run(5, 1, 3, url if url.startswith("postgresql") else "", tmp_path / "data")
    assert kill.good(result), result
    assert (result["assessments"], result["accepted"]) == (5, 5)


class Kept(FakePool):
    """A store of three that were done, and what the benchmark counts in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.settings = SiteSettings(data=folder)
        self.db, self.files = open_store(self.settings)
        site = Site(self.settings, self.db, self.files, self, self)  # type: ignore[arg-type]
        self.sha256 = set()
        for seed in range(3):
            with self.files.incoming() as file:
                file.write(make_png(seed))
                self.sha256.add(file.sha256)
                one = uploads.accept(site, file, "scan.png", uploads.Given(), DEMO)
            work.do(self.db, self.files, self, one.assessment_id)

    def wake(self, ids: list[int]) -> None:
        pass


def test_it_counts_what_is_well(benchmarks: None, tmp_path: Path) -> None:
    kill, kept = importlib.import_module("kill"), Kept(tmp_path)
    found = kill.count(kept.settings, kept.sha256)
    assert (found["lost"], found["twice"], found["damaged"], found["assessments"]) == (0, 0, 0, 3)
    assert kill.good({**found, "accepted": 3, "files": 3, "exit_status": 0})


@pytest.mark.parametrize("what", ["lost", "twice", "damaged"])
def test_it_counts_what_is_wrong(benchmarks: None, tmp_path: Path, what: str) -> None:
    kill, kept = importlib.import_module("kill"), Kept(tmp_path)
    accepted = set(kept.sha256)
    with kept.db.begin() as session:
        row = session.get_one(AssessmentRow, 1)
        record: dict[str, Any] = row.record or {}
        if what == "lost":
            row.state = State.QUEUED
        elif what == "twice":
            values = {"scan_id": row.scan_id, "model_sha256": "0" * 64, "state": State.DONE, "record": record}
            session.add(AssessmentRow(**values))
        else:
            kept.files.remove(record["sha256"])
    found = kill.count(kept.settings, accepted)
    assert found[what] == 1
    assert not kill.good({**found, "accepted": 3, "files": 3, "exit_status": 0})


def test_copies_are_other_files_with_the_same_picture(benchmarks: None) -> None:
    service = importlib.import_module("service")
    import io

    import numpy as np
    from PIL import Image

    data = make_png()
    copy = service.with_text(data, "7")
    assert copy != data
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(copy))), np.asarray(Image.open(io.BytesIO(data))))
    files = service.distinct_files(20)
    assert len({data for _, data in files}) == 20
