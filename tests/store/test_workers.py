"""The processes: what a hostile file costs, what a real one is answered."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

import spinecare
from spinecare.errors import AssessmentError, BundleError
from spinecare.settings import SiteSettings
from spinecare.store import worker
from spinecare.store.site import WorkerError
from spinecare.store.workers import WorkerPool, child_settings

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
BAD = (sys.executable, str(Path(__file__).with_name("worker_that_misbehaves.py")))


@pytest.fixture
def make_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., WorkerPool]]:
    """Opens a pool of processes that do what their files say."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    opened: list[WorkerPool] = []

    def make(command: tuple[str, ...] = BAD, **settings: Any) -> WorkerPool:
        given = {"data": tmp_path, "workers": 1, "worker_memory_mb": 2048, **settings}
        opened.append(WorkerPool(SiteSettings(**given), command))
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()


def pid_of(pool: WorkerPool) -> str | None:
    return pool.assess(b"good", "", {}).identity["clinic_id"]


def test_an_answer_comes_with_its_pictures(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool()
    answered = pool.assess(b"good", "", {})
    assert answered.record["outcome"] == "assessed"
    assert answered.record["sha256"] == hashlib.sha256(b"good").hexdigest()
    assert answered.pictures["scan"].startswith(b"\x89PNG")
    assert (pool.model.name, pool.alive, pool.restarts) == ("bad", 1, 0)


@pytest.mark.parametrize("word", ["crash", "rubbish", "huge", "other", "outcome", "pictures", "half", "nan"])
def test_a_worker_that_dies_or_talks_rubbish_is_tried_twice_and_costs_nobody_else(
    make_pool: Callable[..., WorkerPool], word: str
) -> None:
    pool = make_pool()
    before = pid_of(pool)
    record = pool.assess(word.encode(), "", {}).record
    assert (record["outcome"], record["code"]) == ("unreadable", "too_costly")
    assert record["sha256"] == hashlib.sha256(word.encode()).hexdigest()
    assert record["reason"].endswith(".")
    assert pid_of(pool) != before
    assert (pool.alive, pool.restarts) == (1, 2)


def test_a_worker_that_was_killed_once_is_replaced_and_the_file_answered(
    make_pool: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    pool = make_pool()
    assert pool.assess(f"crash_once:{tmp_path / 'x'}".encode(), "", {}).record["outcome"] == "assessed"
    assert pool.restarts == 1


def test_a_worker_that_was_killed_while_idle_is_replaced(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool()
    os.kill(int(pid_of(pool) or 0), 9)
    assert pool.assess(b"good", "", {}).record["outcome"] == "assessed"


def test_overtime_ends_the_worker_and_what_it_started(make_pool: Callable[..., WorkerPool], tmp_path: Path) -> None:
    pool = make_pool(worker_seconds=1.0)
    begun = time.monotonic()
    record = pool.assess(f"child:{tmp_path / 'pid'}".encode(), "", {}).record
    assert (record["outcome"], record["code"]) == ("unreadable", "too_costly")
    assert time.monotonic() - begun < 10
    grandchild = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    for _ in range(50):
        if not grandchild.exists() or grandchild.read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    else:
        pytest.fail("what the worker started still runs")
    assert pool.assess(b"good", "", {}).record["outcome"] == "assessed"


def test_memory_over_the_limit_is_too_costly(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool()
    assert pool.assess(b"memory", "", {}).record["code"] == "too_costly"
    assert pool.assess(b"good", "", {}).record["outcome"] == "assessed"


def test_a_fault_inside_is_an_error_and_not_an_answer(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool()
    with pytest.raises(AssessmentError, match="ZeroDivisionError"):
        pool.assess(b"fault", "", {})
    assert pool.restarts == 0


def test_what_libraries_print_does_not_reach_the_answer(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool()
    assert pool.assess(b"print", "", {}).record["outcome"] == "assessed"
    assert pool.restarts == 0


def test_texts_of_a_file_come_as_a_database_and_a_page_can_take_them(make_pool: Callable[..., WorkerPool]) -> None:
    answered = make_pool().assess(b"texts", "", {})
    assert answered.record["device"] == "GE Lunar iDXA[2J\n\u2009µ"
    assert answered.identity["name"] == "Doe^Jane"


def test_a_worker_knows_no_secret(make_pool: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINECARE_DATABASE", "postgresql://user:geheim@host/name")
    monkeypatch.setenv("PGPASSWORD", "geheim")
    seen = make_pool().assess(b"environment", "", {}).identity
    assert not [name for name in seen if name.startswith(("SPINECARE", "PG"))]
    assert "geheim" not in str(seen)
    assert seen["OMP_NUM_THREADS"] == "1"


def test_one_that_hangs_holds_up_no_other(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool(workers=2, worker_seconds=3.0)
    hanging = threading.Thread(target=pool.assess, args=(b"hang", "", {}))
    hanging.start()
    time.sleep(0.3)
    begun = time.monotonic()
    for _ in range(5):
        pool.assess(b"good", "", {})
    assert time.monotonic() - begun < 2
    hanging.join()


def test_a_bundle_that_cannot_be_used_is_said_at_the_start(
    make_pool: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json"):
        make_pool((sys.executable, "-P", "-m", "spinecare.store.worker"), bundle=tmp_path / "none")


def test_a_worker_that_does_not_come_up_is_said(make_pool: Callable[..., WorkerPool]) -> None:
    with pytest.raises(WorkerError, match="SPINECARE_WORKER_MEMORY_MB"):
        make_pool((sys.executable, "-c", "raise SystemExit(1)"))


def test_a_closed_pool_says_so_to_those_who_wait(make_pool: Callable[..., WorkerPool]) -> None:
    pool = make_pool()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            pool.assess(b"hang", "", {})
        except WorkerError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    pool.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(errors) == 3
    assert pool.alive == 0


@pytest.mark.parametrize(("cores", "workers", "threads"), [(2, 2, 1), (4, 2, 2), (8, 2, 2), (1, 4, 1), (16, 16, 1)])
def test_together_they_fill_the_cores_and_no_more(cores: int, workers: int, threads: int) -> None:
    assert child_settings(SiteSettings(workers=workers), cores)["threads"] == threads


def test_a_frame_is_read_as_it_was_written() -> None:
    pipe = io.BytesIO()
    worker.write_frame(pipe, {"a": 1}, [b"one", b"", b"three"])
    worker.write_frame(pipe, {"b": None}, [])
    pipe.seek(0)
    assert worker.read_frame(pipe, 100) == ({"a": 1}, [b"one", b"", b"three"])
    assert worker.read_frame(pipe, 100) == ({"b": None}, [])
    assert worker.read_frame(pipe, 100) is None


@pytest.mark.parametrize(
    "sent",
    [
        b"\0",
        b"\0\0\0\5ab",
        b"\0\0\0\2[]",
        b"\0\0\0\2{}",
        b'\0\0\0\x0e{"sizes":[-1]}',
        b'\0\0\0\x10{"sizes":[true]}',
        b'\0\0\0\x0f{"sizes":[101]}' + bytes(101),
        b'\0\0\0\x0d{"sizes":[9]}short',
        b"\xff\xff\xff\xff",
        b"\0\0\xff\xff" + b"[" * 65535,
    ],
)
def test_what_is_no_frame_is_refused(sent: bytes) -> None:
    with pytest.raises(worker.FrameError):
        worker.read_frame(io.BytesIO(sent), 100)


def test_sentences_name_no_file() -> None:
    n = worker.NAMELESS
    record = {"reason": f"The file {n} is damaged: it ends. The picture in {n} has 1 x 2 pixels.", "hint": "Send it."}
    assert worker.without_name(record) == {
        "reason": "The file is damaged: it ends. The picture in the file has 1 x 2 pixels.",
        "hint": "Send it.",
    }
    assert worker.without_name({"reason": f"The picture {n} is stored oddly."})["reason"].startswith("The picture is")


@pytest.fixture(scope="module")
def real_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    """One real process with the shipped model."""
    pool = WorkerPool(SiteSettings(data=tmp_path_factory.mktemp("pool"), workers=1))
    yield pool
    pool.close()


@pytest.mark.skipif(not SHARED.exists(), reason="the real scans are not here")
def test_a_real_dicom_is_answered_as_by_the_library(real_pool: WorkerPool) -> None:
    data = (SHARED / "idxa_dicom/ap_spine.dcm").read_bytes()
    answered = real_pool.assess(data, "", {})
    direct = spinecare.load().assess(data)
    told = answered.record["probabilities"]["osteoporosis"]
    assert told == pytest.approx(direct.probabilities["osteoporosis"], abs=1e-6)
    tags = pydicom.dcmread(io.BytesIO(data))
    assert answered.identity["clinic_id"] == " ".join(str(tags.PatientID).split())
    assert str(tags.PatientID) not in str(answered.record)
    assert set(answered.pictures) == set(answered.record["display"]["pictures"])


@pytest.mark.skipif(not SHARED.exists(), reason="the real scans are not here")
def test_what_the_sender_said_fills_what_the_file_leaves_open(real_pool: WorkerPool) -> None:
    given = {"sex": "F", "age_years": 66.0, "acquired": "2020-03-04"}
    picture = real_pool.assess((SHARED / "spine_dxa/images/s001.png").read_bytes(), "", given).record
    assert picture["display"]["patient"]["sex"] == "F"
    assert picture["display"]["patient"]["age_years"] == 66.0
    assert picture["acquired"] == "2020-03-04"
    dicom = real_pool.assess((SHARED / "idxa_dicom/ap_spine.dcm").read_bytes(), "", given).record
    assert dicom["display"]["patient"]["sex"] == "M"
    assert dicom["acquired"] != "2020-03-04"


def test_what_is_no_picture_gets_a_sentence(real_pool: WorkerPool) -> None:
    record = real_pool.assess(b"Dear doctor,", "", {}).record
    assert (record["outcome"], record["code"]) == ("unreadable", "not_a_picture")
    assert record["reason"] == "The file is a text file."


def test_a_worker_ends_when_its_service_is_gone(tmp_path: Path) -> None:
    pool = WorkerPool(SiteSettings(data=tmp_path, workers=1))
    (child,) = pool._all
    try:
        assert child._process.stdin is not None
        child._process.stdin.close()  # as when the service was killed
        assert child._process.wait(10) == 0
    finally:
        pool.close()
