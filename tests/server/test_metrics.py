from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from databases import backend, make_store, new_db_url
from spinecare.server.app import create_app
from spinecare.server.logs import Watched
from spinecare.server.metrics import is_stuck, metrics_of
from spinecare.store import tokens
from spinecare.store.actor import May
from spinecare.store.database import now
from spinecare.store.models import Account, AssessmentRow, State
from spinecare.store.site import Site
from stored import MODEL, put_assessment, put_patient

__all__ = ["backend", "make_store", "new_db_url"]

LOCAL = ("127.0.0.1", 50_000)


def served(site: Site, client: tuple[str, int] = LOCAL) -> TestClient:
    app = create_app(site)
    return TestClient(Watched(app, metrics_of(app, site)), base_url="http://127.0.0.1", client=client)


def numbers(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parsed by Prometheus's own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def site(make_store: Callable[..., Site]) -> Site:
    return make_store(consumers=False)


def test_requests_are_counted_by_the_template_of_their_address(site: Site) -> None:
    client = served(site)
    key = put_patient(site)
    for path in ("/healthz", "/healthz", f"/patients/{key}?q=Testperson", "/no/such/page", "/static/icon.svg"):
        client.get(path)
    text = client.get("/metrics").text
    found = numbers(text)

    def count(route: str) -> float:
        return sum(
            value
            for (name, labels), value in found.items()
            if name == "spinecare_http_requests_total" and ("route", route) in labels
        )

    assert count("/healthz") == 2
    assert count("/static") == 1
    assert count("other") == 1
    assert key not in text
    assert "Testperson" not in text


def test_assessments_and_the_queue_come_from_the_database(site: Site) -> None:
    for seed, kind in enumerate(("yes", "no", "refuse", "unreadable")):
        put_assessment(site, kind, seed=seed)
    put_assessment(site, seed=10, state=State.QUEUED, at=now() - timedelta(seconds=90))
    put_assessment(site, seed=11, state=State.RUNNING)
    found = numbers(served(site).get("/metrics").text)
    assert found["spinecare_assessments", (("outcome", "assessed"),)] == 2
    assert found["spinecare_assessments", (("outcome", "refused"),)] == 1
    assert found["spinecare_assessments", (("outcome", "unreadable"),)] == 1
    assert found["spinecare_queue_assessments", (("state", "queued"),)] == 1
    assert found["spinecare_queue_assessments", (("state", "running"),)] == 1
    assert found["spinecare_queue_assessments", (("state", "failed"),)] == 0
    assert 90 <= found["spinecare_queue_oldest_seconds", ()] < 120
    assert found["spinecare_database_up", ()] == 1
    model = tuple(sorted({"name": MODEL.name, "version": MODEL.version, "sha256": MODEL.sha256}.items()))
    assert found["spinecare_model_info", model] == 1


def test_workers_are_shown_where_there_are_some(site: Site) -> None:
    site.pool.alive, site.pool.restarts = 2, 3  # type: ignore[attr-defined]
    found = numbers(served(site).get("/metrics").text)
    assert found["spinecare_workers_alive", ()] == 2
    assert found["spinecare_worker_restarts_total", ()] == 3


def away(*_: object) -> None:
    raise OperationalError("SELECT", {}, Exception("gone"))


def test_a_database_that_is_away_is_shown_and_leaves_the_rest(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served(site)
    monkeypatch.setattr(site.db, "read", away)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    found = numbers(answer.text)
    assert found["spinecare_database_up", ()] == 0
    assert not any(name == "spinecare_assessments" for name, _ in found)


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {"Host": "[::1]:8000"}, 200),
        ("10.0.0.7", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, 403),
        ("127.0.0.1", {"Host": "spine.clinic.example"}, 403),
    ],
)
def test_the_numbers_are_for_this_machine_alone(
    make_store: Callable[..., Site], address: str, headers: dict[str, str], status: int
) -> None:
    site = make_store(demo=False, consumers=False)
    answer = served(site, (address, 50_000)).get("/metrics", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert "spinecare_" not in answer.text


def test_health_asks_nothing_but_the_process(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served(site)
    monkeypatch.setattr(site.db, "read", away)
    monkeypatch.setattr(site.db, "ping", away)
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["model"]["sha256"] == MODEL.sha256


def test_ready_says_what_is_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served(site)
    every = {"database": True, "files": True, "workers": True, "queue": True}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, **every})
    with monkeypatch.context() as patch:
        patch.setattr(site.db, "ping", away)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {**every, "ready": False, "database": False})
    with monkeypatch.context() as patch:
        patch.setattr(site.files, "incoming", away)
        assert client.get("/readyz").json() == {**every, "ready": False, "files": False}
    put_assessment(site, state=State.QUEUED, at=now() - timedelta(minutes=6))
    assert client.get("/readyz").json() == {**every, "ready": False, "queue": False}


def test_without_a_living_worker_it_is_not_ready(make_store: Callable[..., Site]) -> None:
    site = make_store()
    client = served(site)
    site.pool.alive = 0  # type: ignore[attr-defined]
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["workers"]) == (503, False)


def test_a_long_queue_that_moves_is_not_stuck(site: Site) -> None:
    put_assessment(site, seed=1, state=State.QUEUED, at=now() - timedelta(minutes=30))
    with site.db.read() as session:
        assert is_stuck(session)
    put_assessment(site, seed=2, state=State.RUNNING)
    with site.db.begin() as session:
        session.query(AssessmentRow).filter_by(state=State.RUNNING).update({"started_at": now()})
    with site.db.read() as session:
        assert not is_stuck(session)
        assert is_stuck(session, now() + timedelta(minutes=6))


@pytest.mark.parametrize(("scope", "status"), [("administer", 200), ("see", 403)])
def test_from_elsewhere_the_numbers_need_a_token_for_administration(
    make_store: Callable[..., Site], scope: str, status: int
) -> None:
    site = make_store(demo=False, consumers=False)
    with site.db.begin() as session:
        account = Account(login="program", name="Prometheus", role="administrator")
        session.add(account)
        session.flush()
        secret, _ = tokens.make(session, account, "prometheus", frozenset({May(scope)}), 30)
    client = served(site, ("10.0.0.7", 50_000))
    assert client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == status
    assert client.get("/metrics", headers={"Authorization": "Bearer sc_no"}).status_code == 403
