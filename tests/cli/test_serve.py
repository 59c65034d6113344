from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from spinecare.errors import BundleError


def serve(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "spinecare", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_a_taken_port_gets_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = serve("--port", str(port))
        out, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 is already taken" in error
    assert "Traceback" not in out + error


def test_an_address_that_is_not_ours_gets_a_sentence() -> None:
    process = serve("--host", "no.such.host.invalid", "--port", "0")
    _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "is no address of this machine" in error
    assert "Traceback" not in error


def test_a_missing_bundle_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    process = serve("--port", "0", "--bundle", str(tmp_path))
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.startswith("spinecare serve: ")
    assert "Traceback" not in error


def test_it_prints_its_address_answers_and_ends_on_ctrl_c() -> None:
    from spinecare.assessor import load

    try:
        load()
    except BundleError as error:
        pytest.skip(f"no default bundle: {error}")
    process = serve("--port", "0")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        with urllib.request.urlopen(found[0] + "/healthz", timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert "Traceback" not in error
    finally:
        process.kill()
        process.wait()
