from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from databases import backend, new_db_url
from spinecare.errors import BundleError
from spinecare.store import audit
from spinecare.store.database import Database
from spinecare.store.models import AssessmentRow, AuditEntry, State
from stored import make_png

__all__ = ["backend", "new_db_url"]


def spinecare(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPINECARE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "spinecare", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # not much is logged there in a test: a pipe that nobody empties holds 64 kB
        text=True,
        env={**kept, **settings, "PYTHONUNBUFFERED": "1"},
    )


@contextlib.contextmanager
def served(*arguments: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], list[str], str]]:
    """A service that answers on a free port: process, the lines that it printed, its address."""
    process = spinecare("serve", "--port", "0", *arguments, **settings)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        if not found:
            raise AssertionError(first + process.communicate(timeout=10)[1])
        _until(lambda: _answers(found[0] + "/healthz"), 60)
        # It answers, so whatever it prints at its start is there.
        os.set_blocking(process.stdout.fileno(), False)
        yield process, [first, *process.stdout.readlines()], found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def _until(check: Any, seconds: float, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)


def ended(process: subprocess.Popen[str], by: signal.Signals) -> str:
    """Its standard error, once it ended by itself on this signal."""
    process.send_signal(by)
    process.wait(timeout=90)
    assert process.stderr is not None
    error = process.stderr.read()
    assert process.returncode == 0, error
    assert "Traceback" not in error
    return error


@pytest.fixture(scope="module", autouse=True)
def _default_bundle() -> None:
    from spinecare.assessor import load

    try:
        load()
    except BundleError as error:
        pytest.skip(f"no default bundle: {error}")


def test_a_taken_port_gets_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = spinecare("serve", "--port", str(port), SPINECARE_DATA=str(tmp_path / "data"))
        out, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 is already taken" in error
    assert "Traceback" not in out + error
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_ours_gets_a_sentence() -> None:
    process = spinecare("serve", "--host", "no.such.host.invalid", "--port", "0")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "is no address of this machine" in error
    assert "Traceback" not in error


def test_a_missing_bundle_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    process = spinecare("serve", "--port", "0", "--bundle", str(tmp_path), SPINECARE_DATA=str(tmp_path / "data"))
    _, error = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "spinecare serve: " in error
    assert "Traceback" not in error


@pytest.mark.parametrize("said", [["--demo"], []])
def test_the_demo_serves_no_other_machine(tmp_path: Path, said: list[str]) -> None:
    settings = {"SPINECARE_DATA": str(tmp_path / "data"), **({} if said else {"SPINECARE_DEMO": "yes"})}
    process = spinecare("serve", "--host", "0.0.0.0", "--port", "0", *said, **settings)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the demo has no accounts, so it serves this machine alone" in error
    assert out == ""
    assert not (tmp_path / "data").exists()


def test_an_unknown_setting_stops_the_start_with_a_sentence() -> None:
    process = spinecare("serve", "--port", "0", SPINECARE_DATABSE="x")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "There is no setting SPINECARE_DATABSE" in error


def test_the_first_start_prints_a_link_that_works_once_and_logs_it_nowhere(tmp_path: Path) -> None:
    with served(SPINECARE_DATA=str(tmp_path / "data"), SPINECARE_LOG_JSON="yes") as (process, lines, address):
        found = re.search(re.escape(address) + r"/welcome/(\S+)", lines[1])
        assert found, lines
        with httpx.Client(base_url=address) as client:
            assert client.get("/worklist").status_code == 303
            page = client.get(f"/welcome/{found[1]}")
            assert page.status_code == 200
            csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
            assert csrf
            words = "quite a long password for tests"
            form = {"csrf": csrf[1], "login": "admin@example.org", "name": "Ada", "password": words, "again": words}
            assert client.post(f"/welcome/{found[1]}", data=form).status_code == 303
            assert client.get("/worklist").status_code == 200
            assert client.get("/metrics").status_code == 200
        error = ended(process, signal.SIGTERM)
    assert found[1] not in error
    with served(SPINECARE_DATA=str(tmp_path / "data")) as (process, lines, _):
        assert "welcome" not in "".join(lines) + ended(process, signal.SIGINT)


def test_the_demo_starts_says_so_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    with served("--demo", "--data", str(tmp_path / "data")) as (process, lines, address):
        assert lines[1].startswith("Demo: no accounts.")
        assert httpx.get(address + "/readyz").json()["ready"]
        assert httpx.get(address + "/").status_code == 200
        assert httpx.get(address + "/metrics").status_code == 200
        assert httpx.get(address + "/", headers={"Host": "spine.example"}).status_code == 421
        ended(process, signal.SIGINT)
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_sigterm_finishes_the_assessment_in_hand_and_the_next_start_does_the_rest(
    tmp_path: Path, new_db_url: Any
) -> None:
    url, count = new_db_url(), 6
    settings = {"SPINECARE_DATA": str(tmp_path / "data"), "SPINECARE_DATABASE": url, "SPINECARE_WORKERS": "1"}
    db = Database(url)

    def states() -> list[str]:
        with db.read() as session:
            return list(session.scalars(select(AssessmentRow.state).order_by(AssessmentRow.id)))

    try:
        with served("--demo", **settings) as (process, _, address):
            files = [
                ("file", (f"{seed}.png", make_png(seed, rows=1600, cols=1200), "image/png")) for seed in range(count)
            ]
            sent = httpx.post(
                address + "/api/v1/assessments", files=files, headers={"Prefer": "respond-async"}, timeout=60
            )
            assert sent.status_code == 202, sent.text
            _until(lambda: State.RUNNING in states(), 60)
            ended(process, signal.SIGTERM)
        after = states()
        assert State.RUNNING not in after
        assert State.DONE in after, "what was in hand is finished"
        assert State.QUEUED in after, "and nothing else was begun"
        with served("--demo", **settings) as (process, _, _):
            _until(lambda: states() == [State.DONE] * count, 90)
            ended(process, signal.SIGTERM)
        with db.read() as session:
            assert list(session.scalars(select(AssessmentRow.attempt))) == [1] * count
            done = session.scalars(select(AuditEntry.object_key).where(AuditEntry.action == "assess")).all()
        assert len(done) == len(set(done)) == count
        assert audit.check(db) is None
    finally:
        db.close()


def test_pages_and_worker_can_be_two_processes(tmp_path: Path, new_db_url: Any) -> None:
    settings = {"SPINECARE_DATA": str(tmp_path / "data"), "SPINECARE_DATABASE": new_db_url()}
    with served("--demo", SPINECARE_CONSUMERS="no", **settings) as (process, _, address):
        sent = httpx.post(
            address + "/api/v1/assessments",
            files={"file": ("a.png", make_png(1), "image/png")},
            headers={"Prefer": "respond-async"},
            timeout=60,
        )
        assert sent.status_code == 202, sent.text
        where = address + sent.headers["Location"]
        assert httpx.get(where).json()["state"] == "queued"
        worker = spinecare("worker", SPINECARE_WORKERS="1", **settings)
        try:
            _until(lambda: worker.poll() is not None or httpx.get(where).json()["state"] == "done", 90, 0.5)
            ended(worker, signal.SIGTERM)
        finally:
            worker.kill()
            worker.communicate()
        ended(process, signal.SIGTERM)
