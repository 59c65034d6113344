from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient

from spinecare.errors import StoreError
from spinecare.server import logs
from spinecare.server.app import create_app
from spinecare.server.metrics import metrics_of
from spinecare.store.site import Site
from stored import make_png, put_patient

NAME = "Testperson^Eins"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged as JSON since the last call; the process's own logging comes back afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (list(root.handlers), root.level, logging.getLogger("spinecare").level)
    logs.configure(True, stream)

    def take() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        stream.seek(0)
        stream.truncate()
        return found

    yield take
    root.handlers, level, own = before
    root.setLevel(level)
    logging.getLogger("spinecare").setLevel(own)
    structlog.reset_defaults()


def served(site: Site) -> TestClient:
    app = create_app(site)
    watched = logs.Watched(app, metrics_of(app, site))
    return TestClient(watched, base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False)


def test_a_request_is_one_line_with_an_id_that_the_answer_carries(site: Site, lines: Callable[[], list[Any]]) -> None:
    answer = served(site).get("/")
    (line,) = [line for line in lines() if line["event"] == "request"]
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert len(line["request_id"]) == 16
    assert (line["method"], line["route"], line["status"]) == ("GET", "/", answer.status_code)
    assert line["seconds"] >= 0
    assert set(line) == {"event", "method", "route", "status", "seconds", "request_id", "logger", "level", "timestamp"}


def test_no_key_query_file_name_or_person_is_in_a_line(site: Site, lines: Callable[[], list[Any]]) -> None:
    client = served(site)
    key = put_patient(site, name=NAME)
    client.get(f"/patients/{key}")
    client.get("/worklist", params={"q": NAME})
    client.get(f"/welcome/secret-of-a-link-{NAME}")
    client.post(
        "/api/v1/assessments",
        files={"file": (f"{NAME}.png", make_png(), "image/png")},
        headers={"User-Agent": NAME, "Cookie": f"x={NAME}"},
    )
    text = json.dumps(lines())
    assert "request" in text
    for secret in (NAME, "Testperson", key, "secret-of-a-link"):
        assert secret not in text


def test_health_is_asked_quietly_unless_it_fails(site: Site, lines: Callable[[], list[Any]]) -> None:
    client = served(site)
    client.get("/healthz")
    assert lines() == []
    client.get("/static/no-such-file.css")
    assert [line["status"] for line in lines()] == [404]


def test_an_exception_is_named_without_what_it_says(lines: Callable[[], list[Any]]) -> None:
    def read_it() -> None:
        raise ValueError(f"{NAME} is no date")

    try:
        try:
            read_it()
        except ValueError as error:
            raise RuntimeError(f"could not store {NAME}") from error
    except RuntimeError:
        logging.getLogger("spinecare.x").exception("no answer")
    (line,) = lines()
    assert line["event"] == "no answer"
    assert "test_logs.py" in line["exception"]
    assert "read_it" in line["exception"]
    assert "ValueError" in line["exception"]
    assert line["exception"].endswith("RuntimeError")
    assert NAME not in json.dumps(line)


def test_our_own_sentences_are_kept(lines: Callable[[], list[Any]]) -> None:
    try:
        raise StoreError("The file abc is missing.", "Restore it from a backup.")
    except StoreError:
        logging.getLogger("spinecare.x").exception("no answer")
    assert lines()[0]["exception"].endswith("StoreError: The file abc is missing. Restore it from a backup.")


def test_a_fault_is_answered_logged_once_and_goes_no_further(
    site: Site, lines: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError(NAME)

    client = TestClient(
        logs.Watched(app := create_app(site), metrics_of(app, site)), base_url="http://127.0.0.1"
    )  # would raise what the application lets through
    app.get("/fails")(fails)
    answer = client.get("/fails")
    assert answer.status_code == 500
    found = lines()
    assert [line["event"] for line in found if line["level"] == "error"] == ["no answer to GET /fails: RuntimeError"]
    assert {line["request_id"] for line in found} == {answer.headers["X-Request-ID"]}
    assert NAME not in json.dumps(found)


def test_what_is_logged_in_a_page_carries_the_requests_id(site: Site, lines: Callable[[], list[Any]]) -> None:
    app = create_app(site)

    def speaks() -> dict[str, str]:
        logging.getLogger("spinecare.x").info("inside %d", 1)
        return {}

    app.get("/speaks")(speaks)
    answer = TestClient(logs.Watched(app, metrics_of(app, site)), base_url="http://127.0.0.1").get("/speaks")
    inside = next(line for line in lines() if line["event"] == "inside 1")
    assert inside["request_id"] == answer.headers["X-Request-ID"]


def test_libraries_that_quote_files_are_silent(lines: Callable[[], list[Any]]) -> None:
    import pydicom  # noqa: F401

    logging.getLogger("pydicom").warning("Invalid value for VR PN: %r", NAME)
    logging.getLogger("PIL.PngImagePlugin").error(NAME)
    logging.getLogger("alembic.runtime").info(NAME)
    assert lines() == []


def test_text_for_people_holds_the_same(site: Site) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    before = (list(root.handlers), root.level)
    try:
        logs.configure(False, stream)
        served(site).get("/")
    finally:
        root.handlers, level = before
        root.setLevel(level)
        structlog.reset_defaults()
    assert "request" in stream.getvalue()
    assert "route=/" in stream.getvalue()
