"""Files and fields out of a multipart request: limits as they come, nothing left behind."""

from __future__ import annotations

import hashlib
import io
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from spinecare.server.app import create_app
from spinecare.server.problems import handle_problems
from spinecare.server.upload import clean_name, receive
from spinecare.settings import ServeSettings
from spinecare.store.actor import DEMO
from spinecare.store.models import AssessmentRow, State
from spinecare.store.site import Answered, Site
from stored import FakePool, make_png

ADDRESS = "/api/take"  # the interface for programs: no form's token
BOUNDARY = "xyz"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
END = f"--{BOUNDARY}--\r\n".encode()


def part(name: str, data: bytes, field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def words(name: str, text: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


def archive(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files:
            made.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def make_taker(make_site: Callable[..., Site]) -> Iterator[Callable[..., TestClient]]:
    """A service that says what it received, under these limits."""

    def make(**limits: int) -> TestClient:
        site = make_site(limits=ServeSettings(**limits))
        app = FastAPI()
        app.state.site = site
        handle_problems(app)

        @app.post("/take")
        @app.post(ADDRESS)
        async def take(request: Request) -> dict[str, Any]:
            request.state.actor, request.state.csrf = DEMO, "token"
            async with receive(request, site) as received:

                def told() -> list[list[Any]]:
                    return [[name, file.size, file.sha256, len(file.read())] for name, file in received.scans()]

                return {"fields": received.fields, "files": await anyio.to_thread.run_sync(told)}

        client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        client.site = site  # type: ignore[attr-defined]
        return client

    return make


@pytest.fixture
def taker(make_taker: Callable[..., TestClient]) -> TestClient:
    return make_taker()


def left_behind(client: TestClient) -> list[Path]:
    site: Site = client.site  # type: ignore[attr-defined]
    return [path for path in site.files.folder.rglob("*") if path.is_file()]


def test_files_and_fields_come_as_they_were_sent(taker: TestClient) -> None:
    one, two = make_png(1), make_png(2)
    answer = taker.post(ADDRESS, data={"sex": "F", "name": "Jäne"}, files=[("file", ("a", one)), ("x", ("b.dcm", two))])
    assert answer.json() == {
        "fields": {"sex": "F", "name": "Jäne"},
        "files": [[n, len(d), hashlib.sha256(d).hexdigest(), len(d)] for n, d in (("a", one), ("b.dcm", two))],
    }
    assert left_behind(taker) == []


def test_an_empty_file_is_a_file(taker: TestClient) -> None:
    assert taker.post(ADDRESS, files={"file": ("a.png", b"")}).json()["files"][0][:2] == ["a.png", 0]


def test_a_file_over_the_limit_gets_413_with_a_sentence(taker: TestClient) -> None:
    answer = taker.post(ADDRESS, files={"file": ("big.dcm", bytes(33 * 1024 * 1024))})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_bytes")
    assert "big.dcm" in answer.json()["detail"]
    assert "32 MB" in answer.json()["detail"]
    assert left_behind(taker) == []


def test_the_limit_counts_what_comes_and_not_what_is_declared(make_taker: Callable[..., TestClient]) -> None:
    taker = make_taker(max_file_bytes=1000, max_request_bytes=10_000)

    def body() -> Iterator[bytes]:  # a generator is sent in chunks, without Content-Length
        yield part("a.png", bytes(1001))
        yield END

    answer = taker.post(ADDRESS, content=body(), headers=FORM)
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_bytes")
    assert taker.post(ADDRESS, content=part("a.png", bytes(1000)) + END, headers=FORM).status_code == 200


def test_a_whole_upload_over_the_limit_gets_413(make_taker: Callable[..., TestClient]) -> None:
    taker = make_taker(max_file_bytes=1000, max_request_bytes=3000)
    parts = b"".join(part(f"{i}.png", bytes(900)) for i in range(5)) + END
    declared = taker.post(ADDRESS, content=parts, headers=FORM)
    streamed = taker.post(ADDRESS, content=iter([parts[i : i + 500] for i in range(0, 5000, 500)]), headers=FORM)
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Upload too large"
    assert left_behind(taker) == []


def test_no_more_files_than_allowed(make_taker: Callable[..., TestClient]) -> None:
    taker = make_taker(max_files=3)
    assert taker.post(ADDRESS, files=[("file", ("a.png", b"x"))] * 3).status_code == 200
    assert taker.post(ADDRESS, files=[("file", ("a.png", b"x"))] * 4).status_code == 413
    packed = archive(*[(f"{i}.png", b"x") for i in range(4)])
    assert taker.post(ADDRESS, files={"file": ("a.zip", packed)}).status_code == 422
    two = [("file", ("a.zip", archive(*[(f"{i}.png", b"x") for i in range(2)])))] * 2
    assert taker.post(ADDRESS, files=two).json()["code"] == "too_many_files"


def test_a_thousand_files_at_once(taker: TestClient) -> None:
    body = b"".join(part(f"{i}.png", b"%d" % i) for i in range(1000)) + END
    assert len(taker.post(ADDRESS, content=body, headers=FORM).json()["files"]) == 1000


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {}, 415),
        (b"abc", {"content-type": "multipart/form-data"}, 415),
        (b"abc", FORM, 400),
        (part("a.png", b"cut off")[:-4], FORM, 400),
        (part("a.png", b"no end"), FORM, 400),
        (END, FORM, 400),
        (words("a", "words") + END, FORM, 400),
        (part("", b"") + END, FORM, 400),
        (words("a", "x" * 5000) + part("a.png", b"x") + END, FORM, 413),
        (b"".join(words(str(i), "x") for i in range(100)) + part("a.png", b"x") + END, FORM, 413),
    ],
)
def test_a_request_without_a_whole_file_gets_a_sentence(
    taker: TestClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = taker.post(ADDRESS, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")
    assert answer.json()["hint"]
    assert left_behind(taker) == []


def test_the_bytes_may_come_one_by_one(taker: TestClient) -> None:
    body = words("sex", "F") + part("a.png", b"\r\n--xy\r\n--x") + END
    answer = taker.post(ADDRESS, content=iter([body[i : i + 1] for i in range(len(body))]), headers=FORM)
    assert answer.json()["fields"] == {"sex": "F"}
    assert answer.json()["files"][0][1] == len(b"\r\n--xy\r\n--x")


def test_an_archive_is_opened_by_its_contents(taker: TestClient) -> None:
    packed = archive(("folder/a.dcm", b"one"), ("__MACOSX/x", b"-"), ("../../etc/b.png", b"two"))
    answer = taker.post(ADDRESS, files=[("file", ("scans.dcm", packed)), ("file", ("c.zip", b"not one"))])
    assert [(name, size) for name, size, *_ in answer.json()["files"]] == [("a.dcm", 3), ("b.png", 3), ("c.zip", 7)]
    assert left_behind(taker) == []


def test_an_archive_may_be_longer_than_a_file(make_taker: Callable[..., TestClient]) -> None:
    taker = make_taker(max_file_bytes=3000, max_request_bytes=50_000)
    noise = [(f"{i}.png", make_png(i, rows=50, cols=50)) for i in range(6)]
    packed = archive(*noise)
    assert len(packed) > 9000
    assert len(taker.post(ADDRESS, files={"file": ("a.zip", packed)}).json()["files"]) == 6
    big = archive(("a.png", bytes(3001)))
    assert taker.post(ADDRESS, files={"file": ("a.zip", big)}).json()["code"] == "too_costly"


def test_an_archive_in_an_archive_is_refused(taker: TestClient) -> None:
    packed = archive(("inner.zip", archive(("a.png", b"x"))))
    answer = taker.post(ADDRESS, files={"file": ("a.zip", packed)})
    assert (answer.status_code, answer.json()["code"]) == (415, "nested_archive")


def test_a_page_needs_its_forms_token_before_the_first_file(taker: TestClient) -> None:
    file = part("a.png", b"x")
    for content, headers, status in (
        (file + END, {}, 403),
        (words("csrf", "wrong") + file + END, {}, 403),
        (file + words("csrf", "token") + END, {}, 403),
        (words("csrf", "token") + file + END, {}, 200),
        (file + END, {"X-CSRF-Token": "token"}, 200),
    ):
        assert taker.post("/take", content=content, headers={**FORM, **headers}).status_code == status
    assert left_behind(taker) == []


def test_a_full_disk_is_said(taker: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spinecare.store.files.Incoming.write", full)
    answer = taker.post(ADDRESS, files={"file": ("a.png", b"x")})
    assert (answer.status_code, answer.json()["code"]) == (503, "store")
    assert "disk" in answer.json()["hint"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("scan.dcm", "scan.dcm"),
        ("C:\\Users\\me\\scan.dcm", "scan.dcm"),
        ("../../etc/passwd", "passwd"),
        ("a\x00b\nc\u202egnp.exe", "abcgnp.exe"),
        ("x" * 500, "x" * 119 + "…"),
    ],
)
def test_names_are_cleaned(sent: str, kept: str) -> None:
    assert clean_name(sent) == kept


def test_pages_answer_while_five_hundred_wait(make_site: Callable[..., Site]) -> None:
    class Slow(FakePool):
        def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
            time.sleep(0.2)
            return super().assess(data, name, given)

    site = make_site()
    object.__setattr__(site, "pool", Slow())
    site.queue._pool = site.pool  # type: ignore[attr-defined]
    packed = archive(*[(f"{i}.png", make_png(i, rows=8, cols=8)) for i in range(500)])
    with TestClient(create_app(site), base_url="http://127.0.0.1", follow_redirects=False) as client:
        token = re.findall(r'name="csrf" value="([^"]+)"', client.get("/").text)[0]
        sent = client.post("/assessments", files={"file": ("a.zip", packed)}, headers={"X-CSRF-Token": token})
        assert sent.status_code == 303
        begun = time.monotonic()
        for _ in range(10):
            assert client.get("/").status_code == 200
            assert client.get("/worklist").status_code == 200
        assert time.monotonic() - begun < 10
        with site.db.read() as session:
            still = session.scalar(select(func.count()).where(AssessmentRow.state == State.QUEUED)) or 0
        assert still > 300
        # What comes alone does not wait behind them.
        begun = time.monotonic()
        alone = client.post("/api/v1/assessments", files={"file": ("b.png", make_png(1000))})
        assert (alone.status_code, alone.json()["outcome"]) == (200, "assessed")
        assert time.monotonic() - begun < 10
