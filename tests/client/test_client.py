from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest
import uvicorn

from accounts import make_client, with_token
from spinecare.client import (
    ApiError,
    Assessed,
    BadRequestError,
    Client,
    NotAllowedError,
    NotFoundError,
    NotSignedInError,
    Pending,
    Refused,
    TooManyRequestsError,
    UnavailableError,
    Unreadable,
)
from spinecare.client import api as client_api
from spinecare.errors import ScanError, UnreadableCode
from spinecare.server.api import examples
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.actor import May, Role
from spinecare.store.models import Upload
from spinecare.store.site import Site, open_site
from stored import FakePool, make_png, put_assessment

HOST = "http://127.0.0.1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = open_site(SiteSettings(data=tmp_path / "data"), FakePool())
    opened.queue.start()
    yield opened
    opened.close()


@pytest.fixture
def connect(site: Site) -> Callable[..., Client]:
    """A client with a token of this role, in front of the application itself."""

    def make(role: Role = Role.CLINICIAN, scopes: set[May] | None = None) -> Client:
        token = with_token(site, role, scopes).headers["Authorization"].removeprefix("Bearer ")
        return Client(HOST, token, transport=make_client(site)._transport, retries=0)

    return make


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were taken, none of which takes time."""
    taken: list[float] = []
    monkeypatch.setattr(client_api.time, "sleep", taken.append)
    return taken


def test_a_path_and_bytes_are_assessed(connect: Callable[..., Client], tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(make_png(1, "yes"))
    with connect() as client:
        answer = client.assess(tmp_path / "scan.png")
        assert isinstance(answer, Assessed)
        assert (answer.osteoporosis, answer.category, answer.file) == (True, "osteoporosis", "scan.png")
        assert answer.probabilities["osteoporosis"] == pytest.approx(0.71)
        assert answer.raw["links"]["self"].endswith(answer.id)
        refused = client.assess(make_png(1, "refuse"))
        assert isinstance(refused, Refused)
        assert refused.code == "not_a_spine"
        abstained = client.assess(make_png(1, "abstain"), sex="F", age_years=61)
        assert isinstance(abstained, Assessed)
        assert (abstained.abstained, abstained.osteoporosis, abstained.category) == (True, None, None)


def test_an_unreadable_file_is_a_scan_error_as_at_home(connect: Callable[..., Client]) -> None:
    with connect() as client:
        with pytest.raises(ScanError) as caught:
            client.assess(make_png(1, "unreadable"))
        assert caught.value.code == UnreadableCode.DAMAGED
        listed = next(client.list(outcome="unreadable"))
        assert isinstance(client.get(listed.id), Unreadable)


def test_without_waiting_there_is_something_to_ask_for_later(connect: Callable[..., Client]) -> None:
    with connect() as client:
        pending = client.assess(make_png(1, "slow"), wait=False)
        assert isinstance(pending, Pending)
        assert isinstance(client.assess(make_png(1, "slow")), Assessed)
        assert isinstance(client.get(pending.id), Assessed)


def test_a_key_used_twice_uploads_once(connect: Callable[..., Client], site: Site) -> None:
    with connect() as client:
        answers = [client.assess(make_png(1), idempotency_key="same") for _ in range(2)]
        assert answers[0] == answers[1]
        with pytest.raises(BadRequestError) as caught:
            client.assess(make_png(2), idempotency_key="same")
        assert caught.value.code == "idempotency_key_reused"
    with site.db.read() as session:
        assert session.query(Upload).count() == 1


def test_the_list_goes_over_pages(connect: Callable[..., Client], site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [put_assessment(site, seed=i) for i in range(5)]
    with connect() as client:
        first = client._json("GET", "/api/v1/assessments?limit=2")
        monkeypatch.setattr(client, "_json", lambda *a, _get=client._json, **m: first if m else _get(*a))
        assert [one.id for one in client.list()] == keys[::-1]


def test_readings_report_and_pictures(connect: Callable[..., Client], site: Site) -> None:
    key = put_assessment(site)
    with connect() as client:
        assert client.readings(key) == ()
        said = client.add_reading(key, "correct", "osteoporosis", "L1 is crushed.")
        assert client.readings(key) == (said,)
        assert (said.verdict, said.label, said.by_name) == ("correct", "osteoporosis", "Test Clinician")
        assert client.report_pdf(key).startswith(b"%PDF-")
        assert client.picture(key).startswith(b"\x89PNG")
        with pytest.raises(BadRequestError):
            client.add_reading(key, "correct")


def test_each_problem_is_its_own_exception(connect: Callable[..., Client], site: Site) -> None:
    key = put_assessment(site)
    with connect(Role.VIEWER) as viewer:
        with pytest.raises(NotAllowedError):
            viewer.assess(make_png(1))
        with pytest.raises(NotFoundError) as caught:
            viewer.get("0" * 16)
        assert caught.value.status == 404
        assert caught.value.hint
    with (
        Client(HOST, "sc_wrong", transport=make_client(site)._transport) as stranger,
        pytest.raises(NotSignedInError),
    ):
        stranger.get(key)


def answering(*responses: httpx.Response | Exception) -> httpx.MockTransport:
    """A service that gives these answers one after the other."""
    left = list(responses)

    def handle(request: httpx.Request) -> httpx.Response:
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(handle)


EMPTY = {"items": [], "next": None}


def test_a_busy_service_is_asked_again_when_it_says(no_pauses: list[float]) -> None:
    busy = answering(
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503, headers={"Retry-After": "3600"}),
        httpx.ConnectError("refused"),
        httpx.Response(200, json=EMPTY),
    )
    with Client(HOST, transport=busy) as client:
        assert list(client.list()) == []
    assert no_pauses[:2] == [7.0, 60.0], "as said, but at most a minute"
    assert len(no_pauses) == 3


def test_after_the_last_retry_it_says_so(no_pauses: list[float]) -> None:
    client = Client(HOST, retries=1, transport=answering(*[httpx.Response(429)] * 2))
    with pytest.raises(TooManyRequestsError):
        list(client.list())
    client = Client(HOST, retries=1, transport=answering(*[httpx.ReadTimeout("slow")] * 2))
    with pytest.raises(UnavailableError) as caught:
        list(client.list())
    assert caught.value.status == 0


def test_what_a_retry_cannot_help_is_not_sent_again(no_pauses: list[float]) -> None:
    with pytest.raises(NotFoundError):
        Client(HOST, transport=answering(httpx.Response(404, text="<html>a proxy</html>"))).get("0" * 16)
    with pytest.raises(ApiError) as caught:
        Client(HOST, transport=answering(httpx.Response(502, json=["no object"]))).get("0" * 16)
    assert caught.value.status == 502
    assert no_pauses == []


def test_an_answer_that_takes_long_is_asked_for_until_it_comes(no_pauses: list[float]) -> None:
    waiting = httpx.Response(202, json=examples.PENDING)
    slow = answering(waiting, httpx.Response(200, json=examples.PENDING), httpx.Response(200, json=examples.ASSESSED))
    answer = Client(HOST, transport=slow).assess(b"bytes")
    assert isinstance(answer, Assessed)
    assert answer.interval is not None
    assert answer.acquired == date(2026, 11, 20)
    assert no_pauses == [client_api.POLL_S] * 2
    late = answering(waiting)
    with pytest.raises(UnavailableError, match=r"still waiting.*later"):
        Client(HOST, transport=late).assess(b"bytes", timeout_s=0)


def test_retries_of_an_upload_carry_the_same_key_and_the_whole_file(no_pauses: list[float]) -> None:
    seen: list[tuple[str, bytes]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["idempotency-key"], request.read()))
        return httpx.Response(503)

    with Client(HOST, retries=2, transport=httpx.MockTransport(handle)) as client, pytest.raises(UnavailableError):
        client.assess(make_png(1))
    assert len({key for key, _ in seen}) == 1
    assert all(make_png(1) in body for _, body in seen)


def test_against_a_server_that_listens(site: Site, connect: Callable[..., Client]) -> None:
    token = with_token(site, Role.CLINICIAN).headers["Authorization"].removeprefix("Bearer ")
    server = uvicorn.Server(uvicorn.Config(create_app(site), port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 10
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Client(f"{HOST}:{port}", token) as client:
            answer = client.assess(make_png(3, "yes"), clinic_id="P-1")
            assert isinstance(answer, Assessed)
            assert client.get(answer.id) == answer
    finally:
        server.should_exit = True
        thread.join(10)
