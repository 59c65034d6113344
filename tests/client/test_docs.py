"""docs/api.md: its examples are run as they stand, against a server that listens."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from accounts import with_token
from spinecare.server.api.objects import STATUS
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.actor import May, Role
from spinecare.store.site import open_site
from stored import FakePool, make_png

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL)
SH = [code for kind, code in BLOCKS if kind == "sh" and "curl" in code]
PYTHON = [code for kind, code in BLOCKS if kind == "python"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Address, token, and a folder with a scan."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "scan.png").write_bytes(make_png(1, "yes"))
    site = open_site(SiteSettings(data=folder / "data"), FakePool())
    site.queue.start()
    token = with_token(site, Role.CLINICIAN).headers["Authorization"].removeprefix("Bearer ")
    server = uvicorn.Server(uvicorn.Config(create_app(site), port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", token, folder
    server.should_exit = True
    thread.join(10)
    site.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_every_curl_gives_a_good_answer(service: tuple[str, str, Path]) -> None:
    address, token, folder = service
    assert len(SH) == 5
    environment = {**os.environ, "SPINECARE": address, "SPINECARE_TOKEN": token}
    said = []
    for code in SH:
        done = subprocess.run(
            ["bash", "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        said.append(done.stdout)
    assert json.loads(said[0])["outcome"] == "assessed"
    assert json.loads(said[1])["links"]["patient"]
    assert said[2].startswith("HTTP/1.1 202")
    assert re.search(r"^location: /api/v1/assessments/[0-9a-f]{16}\r?$", said[2], re.MULTILINE | re.IGNORECASE)
    assert len(json.loads(said[3])["items"]) == 2
    assert [one["identity"]["clinic_id"] for one in json.loads(said[4])["items"]] == ["P-1"]


def test_the_python_runs(
    service: tuple[str, str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, token, folder = service
    monkeypatch.chdir(folder)
    assert len(PYTHON) == 1
    names: dict[str, object] = {}
    exec(PYTHON[0].replace("https://spine.clinic.example", address).replace("sc_…", token), names)
    assert "osteoporosis 0.71" in capsys.readouterr().out
    assert bytes(names["pdf"]).startswith(b"%PDF-")  # type: ignore[call-overload]


def test_every_status_and_scope_is_told() -> None:
    for status in {*STATUS.values(), 401, 403, 404, 409, 429, 503}:
        assert re.search(rf"^\| .*\b{status}\b.* \|", TEXT, re.MULTILINE), status
    told = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert told == {may.value for may in May} - {"administer"}
