"""Files that somebody built to do harm, as the service gets them: what it says, keeps, shows and gives back.

What a file costs the process that decodes it is tested in tests/io/test_hostile.py, and that a worker may die of one in
tests/store/test_workers.py.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from reading import ReadingPool
from spinecare.server.app import create_app
from spinecare.settings import ServeSettings, SiteSettings
from spinecare.store.site import Site, open_site
from stored import make_png

PATH = "/api/v1/assessments"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    limits = ServeSettings(max_file_bytes=1_000_000, max_request_bytes=3_000_000, max_files=20)
    made = open_site(SiteSettings(data=tmp_path / "data", demo=True, limits=limits), ReadingPool())
    yield made
    made.close()


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(create_app(site), base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def post(client: TestClient, name: str, data: bytes, kind: str = "application/octet-stream") -> tuple[int, dict]:
    answer = client.post(PATH, files={"file": (name, data, kind)})
    return answer.status_code, answer.json()


def test_an_archive_is_opened_by_its_contents_not_its_name(client: TestClient) -> None:
    status, body = post(client, "scan.dcm", zipped({"a/1.png": make_png(1), "a/2.png": make_png(2)}), "image/png")
    assert status == 200
    assert [one["file"] for one in body["assessments"]] == ["1.png", "2.png"]


@pytest.mark.parametrize(
    "files",
    [
        {"bomb": bytes(20_000_000)},
        {f"{i}": bytes(900_000) for i in range(15)},
        {f"{i}": b"x" for i in range(21)},
        {"inner.zip": zipped({"deep": b"x"})},
    ],
    ids=["one", "many", "count", "nested"],
)
def test_an_archive_over_the_limits_is_a_sentence(client: TestClient, files: dict[str, bytes]) -> None:
    status, body = post(client, "scans.zip", zipped(files))
    assert 400 <= status < 500
    assert body["detail"]
    assert body["hint"]


@pytest.mark.parametrize(
    "name", ["../../../../etc/cron.d/x", "..\\..\\x", "/etc/passwd", "a\u202egnp.dcm", "x\r\nSet-Cookie: a=b"]
)
def test_names_write_nowhere_and_break_nothing(client: TestClient, site: Site, name: str) -> None:
    before = {path for path in site.settings.data.parent.rglob("*") if site.files.folder not in path.parents}
    status, body = post(client, "scans.zip", zipped({name: make_png(3), "b.png": make_png(4)}))
    assert status == 200
    shown = body["assessments"][0]["file"]
    assert not set(shown) & set("/\\\r\n\u202e")
    after = {path for path in site.settings.data.parent.rglob("*") if site.files.folder not in path.parents}
    assert {path.name for path in after - before} <= {"spinecare.db-wal", "spinecare.db-shm", "spinecare.db-journal"}
    page = client.get(f"/assessments/{body['assessments'][0]['id']}")
    assert page.status_code == 200
    assert "set-cookie: a=b" not in str(page.headers).lower()


@pytest.mark.parametrize("start", [b"MZ\x90\0", b"\x7fELF", b"<html><script>alert(1)</script>", b"#!/bin/sh\n"])
def test_a_program_is_not_given_back_as_one(client: TestClient, start: bytes) -> None:
    data = start.ljust(128, b"\0") + b"DICM" + bytes(200)
    status, body = post(client, "scan.dcm", data)
    assert (status, body["outcome"], body["code"]) == (415, "unreadable", "not_a_picture")
    answer = client.get(f"/assessments/{body['id']}/scan")
    assert answer.content[:128] == bytes(128)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_picture_with_a_web_page_behind_it_stays_a_picture(client: TestClient) -> None:
    status, body = post(client, "x.html", make_png(5) + b"<script>alert(1)</script>", "text/html")
    assert status == 200
    answer = client.get(f"/assessments/{body['id']}/scan")
    assert answer.headers["content-type"] in {"image/png", "application/octet-stream"}
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_name_of_a_file_cannot_carry_a_script_into_a_page(client: TestClient) -> None:
    _, body = post(client, "<img src=x onerror=alert(1)>.png", make_png(6))
    for path in (f"/assessments/{body['id']}", "/worklist"):
        assert "<img src=x" not in client.get(path).text
