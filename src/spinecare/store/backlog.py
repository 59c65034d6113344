"""What the queue has not done: waiting, stuck and failed assessments, for an administrator to see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, State

# Longer than a busy morning's queue; readiness (server/api/service.py) uses the same.
STUCK_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Backlog:
    """How many are `queued`, `running`, `failed` and `stuck`, and since when the oldest waits."""

    queued: int
    running: int
    failed: int
    stuck: int
    oldest: datetime | None


def count(session: Session, at: datetime | None = None) -> Backlog:
    """The numbers of now."""
    at = at or now()
    rows = session.execute(select(AssessmentRow.state, func.count()).group_by(AssessmentRow.state)).all()
    by_state = {state: int(n) for state, n in rows}
    stuck = session.scalar(select(func.count()).select_from(AssessmentRow).where(_is_stuck(at))) or 0
    oldest = session.scalar(
        select(AssessmentRow.created_at)
        .where(AssessmentRow.state == State.QUEUED)
        .order_by(AssessmentRow.created_at)
        .limit(1)
    )
    return Backlog(
        by_state.get(State.QUEUED, 0), by_state.get(State.RUNNING, 0), by_state.get(State.FAILED, 0), stuck, oldest
    )


def trouble(session: Session, limit: int = 200, at: datetime | None = None) -> list[AssessmentRow]:
    """What failed or is stuck, the oldest first."""
    query = select(AssessmentRow).where(or_(AssessmentRow.state == State.FAILED, _is_stuck(at or now())))
    return list(session.scalars(query.order_by(AssessmentRow.created_at, AssessmentRow.id).limit(limit)))


def waiting(session: Session, limit: int = 50) -> list[AssessmentRow]:
    """What is being assessed or will be, the oldest first."""
    query = select(AssessmentRow).where(AssessmentRow.state.in_([State.QUEUED, State.RUNNING]))
    return list(session.scalars(query.order_by(AssessmentRow.created_at, AssessmentRow.id).limit(limit)))


def _is_stuck(at: datetime) -> ColumnElement[bool]:
    return or_(
        and_(AssessmentRow.state == State.QUEUED, AssessmentRow.created_at < at - STUCK_AFTER),
        # The lease is renewed while a worker lives.
        and_(AssessmentRow.state == State.RUNNING, AssessmentRow.lease_until < at),
    )
