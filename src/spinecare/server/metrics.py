"""What Prometheus may know: how many requests and assessments, how long, how much waits. Nothing about anybody.

Requests are counted in this process. What concerns the whole installation (assessments, the queue) is read from the
database when somebody asks, so it is right whichever process did the work.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, Session

from spinecare import __version__
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, Outcome, State
from spinecare.store.site import Site

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STUCK_AFTER = timedelta(minutes=5)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody looks at


class Metrics:
    """The numbers of one application."""

    def __init__(self, site: Site) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "spinecare_http_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "spinecare_http_request_seconds",
            "Time until a request was answered.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Installation(site))

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the template of its address, as `/patients/{key}`, never the address."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)


def metrics_of(app: FastAPI, site: Site) -> Metrics:
    """The numbers of this application, made at the first call."""
    if not hasattr(app.state, "metrics"):
        app.state.metrics = Metrics(site)
    made: Metrics = app.state.metrics
    return made


def oldest_waiting(session: Session) -> datetime | None:
    """When that assessment came in which has waited longest; None when none waits."""
    return session.scalar(select(func.min(AssessmentRow.created_at)).where(AssessmentRow.state == State.QUEUED))


def is_stuck(session: Session, at: datetime | None = None) -> bool:
    """Whether something has waited for more than five minutes while no work was begun.

    A long queue alone is not stuck: 2,000 scans sent at once take their time.
    """
    at = at or now()
    oldest = oldest_waiting(session)
    if oldest is None or at - oldest < STUCK_AFTER:
        return False
    begun = session.scalar(select(func.max(AssessmentRow.started_at)))
    return begun is None or at - begun >= STUCK_AFTER


class _Installation(Collector):
    def __init__(self, site: Site) -> None:
        self._site = site

    def describe(self) -> Iterable[Metric]:
        return ()  # so that being registered asks the database nothing

    def collect(self) -> Iterator[Metric]:
        model = self._site.pool.model
        yield _one("spinecare_build_info", "The version.", 1, version=__version__)
        yield _one("spinecare_model_info", "The model.", 1, name=model.name, version=model.version, sha256=model.sha256)
        yield _one(
            "spinecare_data_free_bytes", "Space left for files.", shutil.disk_usage(self._site.files.folder).free
        )
        yield from self._workers()
        try:
            with self._site.db.read() as session:
                numbers = list(_rows(session))
        except SQLAlchemyError:
            yield _one("spinecare_database_up", "Whether the database answers.", 0)
            return
        yield _one("spinecare_database_up", "Whether the database answers.", 1)
        yield from numbers

    def _workers(self) -> Iterator[Metric]:
        # A process that only answers pages has none.
        alive, restarts = getattr(self._site.pool, "alive", None), getattr(self._site.pool, "restarts", None)
        if alive is not None:
            yield _one("spinecare_workers_alive", "Worker processes of this process that run.", alive)
        if restarts is not None:
            yield CounterMetricFamily("spinecare_worker_restarts", "Worker processes replaced.", value=restarts)


def _rows(session: Session) -> Iterator[Metric]:
    # Each query is answered from an index, without the records.
    outcomes = _counts(session, AssessmentRow.outcome)
    done = GaugeMetricFamily("spinecare_assessments", "Assessments kept, by outcome.", labels=("outcome",))
    for outcome in Outcome:
        done.add_metric((outcome.value,), outcomes.get(outcome.value, 0))
    yield done
    states = _counts(session, AssessmentRow.state)
    waiting = GaugeMetricFamily("spinecare_queue_assessments", "Assessments that are not done.", labels=("state",))
    for state in (State.QUEUED, State.RUNNING, State.FAILED):
        waiting.add_metric((state.value,), states.get(state.value, 0))
    yield waiting
    oldest = oldest_waiting(session)
    age_s = (now() - oldest).total_seconds() if oldest else 0.0
    yield _one("spinecare_queue_oldest_seconds", "How long the oldest queued assessment has waited.", age_s)


def _counts(session: Session, column: InstrumentedAttribute[Any]) -> dict[str, int]:
    return {str(name): count for name, count in session.execute(select(column, func.count()).group_by(column))}


def _one(name: str, about: str, value: float, /, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, about, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family
