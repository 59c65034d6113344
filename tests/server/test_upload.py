from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from spinecare.server.upload import clean_name

ADDRESS = "/api/v1/assessments"
BOUNDARY = "xyz"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, data: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def test_a_file_of_33_mb_gets_413_with_a_sentence_and_its_hash(client: TestClient) -> None:
    data = bytes(33 * 1024 * 1024)
    answer = client.post(ADDRESS, files={"file": ("big.dcm", data)})
    assert answer.status_code == 413
    body = answer.json()
    assert (body["outcome"], body["code"]) == ("unreadable", "too_many_bytes")
    assert "33 MB" in body["reason"]
    assert "32 MB" in body["reason"]
    assert body["sha256"] == hashlib.sha256(data).hexdigest()


def test_the_limit_counts_what_comes_and_not_what_is_declared(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_file_bytes=1000, max_request_bytes=10_000)

    def body():  # a generator is sent in chunks, without Content-Length
        yield part("a.png", bytes(1001))
        yield f"--{BOUNDARY}--\r\n".encode()

    answer = client.post(ADDRESS, content=body(), headers=FORM)
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_many_bytes"


def test_a_whole_upload_over_the_limit_gets_413(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_file_bytes=1000, max_request_bytes=3000)
    parts = b"".join(part(f"{i}.png", bytes(900)) for i in range(5)) + f"--{BOUNDARY}--\r\n".encode()
    declared = client.post(ADDRESS, content=parts, headers=FORM)
    streamed = client.post(ADDRESS, content=iter([parts[i : i + 500] for i in range(0, 5000, 500)]), headers=FORM)
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Upload too large"


def test_no_more_files_than_allowed(make_client: Callable[..., TestClient], png: bytes) -> None:
    client = make_client(max_files=3)
    assert client.post(ADDRESS, files=[("file", ("a.png", png))] * 3).status_code == 200
    assert client.post(ADDRESS, files=[("file", ("a.png", png))] * 4).status_code == 413


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {}, 415),
        (b"abc", {"content-type": "multipart/form-data"}, 415),
        (b"abc", FORM, 400),
        (part("a.png", b"cut off")[:-4], FORM, 400),
        (part("a.png", b"no end"), FORM, 400),
        (f"--{BOUNDARY}--\r\n".encode(), FORM, 400),
        (
            part("a", b"words").replace(b'; filename="a"', b"") + f"--{BOUNDARY}--\r\n".encode(),
            FORM,
            400,
        ),
    ],
)
def test_a_request_without_a_whole_file_gets_a_sentence(
    client: TestClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = client.post(ADDRESS, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")
    assert answer.json()["hint"]


def test_a_form_sent_with_no_file_chosen_says_so(client: TestClient) -> None:
    body = part("", b"") + f"--{BOUNDARY}--\r\n".encode()
    answer = client.post("/assess", content=body, headers=FORM)
    assert answer.status_code == 400
    assert "No file was chosen." in answer.text


def test_uploads_never_touch_the_disk(client: TestClient, png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was opened")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile", refuse)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", refuse)
    padded = png + bytes(3 * 1024 * 1024)  # past Starlette's megabyte
    assert client.post(ADDRESS, files={"file": ("a.png", padded)}).status_code == 200


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
