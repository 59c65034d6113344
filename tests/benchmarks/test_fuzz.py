"""Damaged files are the same for the same seed, and the service answers them all. Files are really read; the answers
of those that can be are written by hand (the whole run with the model is `python -m benchmarks.fuzz`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.damage import DAMAGES, Damaged, Source, damaged_files
from benchmarks.fuzz import SAME, Reply, good_files, likeness, run, sender
from fastapi.testclient import TestClient

from reading import ReadingPool
from spinecare.io.read import read_scan_bytes
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.site import open_site


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    return good_files(tmp_path_factory.mktemp("virtual"))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    site = open_site(SiteSettings(data=tmp_path / "data", demo=True), ReadingPool())
    with TestClient(create_app(site), base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


def test_the_service_answers_every_one_and_lives(client: TestClient, sources: list[Source]) -> None:
    files = damaged_files(sources, 48, seed=11)
    report = run(files, sources[0], sender(client), show=lambda line: None)
    assert report["files"] == sum(report["by_answer"].values()) == 48
    assert not report["faults"]
    assert not report["without_a_sentence"]
    assert report["good_file"]["same"]
    assert report["seconds"]["most"] < 10


def test_the_same_seed_makes_the_same_files(sources: list[Source]) -> None:
    one, two, other = (damaged_files(sources, 24, seed) for seed in (3, 3, 4))
    assert [file.data for file in one] == [file.data for file in two]
    assert [file.data for file in one] != [file.data for file in other]
    assert {file.damage for file in one} == {damage.__name__ for damage in DAMAGES}


def test_good_files_are_good(sources: list[Source]) -> None:
    assert {source.kind for source in sources} >= {"dicom"}
    for source in sources:
        read_scan_bytes(source.data, source.name)


def test_an_independent_reader_says_whether_the_scan_is_still_there(sources: list[Source]) -> None:
    good = sources[0]
    tail = Damaged("t", "with_a_tail", good.data + bytes(64), good)
    assert (likeness(tail) or 0) >= SAME
    changed = bytearray(good.data)
    changed[-300_000:] = np.random.default_rng(0).bytes(300_000)
    assert (likeness(Damaged("n", "noise", bytes(changed), good)) or 0) < SAME
    assert likeness(Damaged("x", "noise", b"nothing", good)) is None


def test_an_answer_on_another_picture_is_found(sources: list[Source]) -> None:
    good = sources[0]
    files = [Damaged("n", "noise", b"nothing of it is left", good)]
    answers = Reply(200, 0.1, {"outcome": "assessed", "category": "normal", "probabilities": {"normal": 1.0}})
    report = run(files, good, lambda name, data: answers, show=lambda line: None)
    assert [line["file"] for line in report["answers_on_another_picture"]] == ["n"]
    assert not report["passed"]


@pytest.mark.parametrize("status", [0, 500, 503])
def test_a_fault_fails_the_run(sources: list[Source], status: int) -> None:
    good = sources[0]
    files = [Damaged("n", "noise", b"x", good)]

    def send(name: str, data: bytes) -> Reply:
        ok = Reply(200, 0.1, {"outcome": "assessed", "probabilities": {}})
        return ok if name == "good" else Reply(status, 0.1, {})

    report = run(files, good, send, show=lambda line: None)
    assert [line["status"] for line in report["faults"]] == [status]
    assert not report["passed"]
