"""One assessment at a time, exactly once: claimed, done, finished in one transaction.

The table is the truth, and any process may be killed at any moment. A claim is a lease that is renewed while the
work goes on; when the one who holds it dies, the lease runs out and somebody else claims the row. Each claim counts
`attempt` up, and an answer is only written by who still holds the attempt it was made in: an answer that comes late,
or twice, is dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from spinecare.errors import UnreadableCode
from spinecare.store import answer, audit, patients
from spinecare.store.actor import SYSTEM
from spinecare.store.database import Database, now
from spinecare.store.files import FileStore
from spinecare.store.models import AssessmentRow, Picture, ScanRow, State
from spinecare.store.site import Answered, Pool, Queue, Site, WorkerError

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=12)
RENEW_SECONDS = 3.0
LATER = timedelta(seconds=10)
# An answer that fails is tried again at once, so often; one whose process dies meanwhile, so often in all.
MAX_ATTEMPTS = 3
MAX_CLAIMS = 12
ENDED = (State.DONE, State.FAILED)
OPEN = (State.QUEUED, State.RUNNING)
# Requests that wait for an answer hold a thread each; the others must stay free for pages.
MAX_WAITING = 24
RECOVER_AT_MOST = 5000

_ended = threading.Condition()
_seats = threading.BoundedSemaphore(MAX_WAITING)


@dataclass(frozen=True)
class Claim:
    """A row that is ours to do, for as long as it still has this `attempt` and `started_at`."""

    id: int
    key: str
    scan_id: int
    sha256: str
    given: str
    attempt: int
    started_at: datetime


def do(db: Database, files: FileStore, pool: Pool, assessment_id: int) -> None:
    """Assess one queued row. Nothing happens when it is done, in somebody's hands, or gone.

    Does not raise for what is wrong with a file: after three attempts its row is `FAILED`.

    Raises
    ------
    SQLAlchemyError
        When the database does not answer; the lease then runs out, and the row is done later.
    """
    for attempt in range(MAX_ATTEMPTS):
        claim = _claim(db, assessment_id)
        if claim is None:
            break
        try:
            with _renewed(db, claim):
                answered = pool.assess(files.get(claim.sha256), "", json.loads(claim.given))
                finished = _finish(db, files, claim, answered)
            log.info("assessment %s: %s", claim.key, answered.record["outcome"] if finished else "answered too late")
            break
        except (DataError, IntegrityError) as error:
            # The database is there, but does not take this answer: that is one more attempt that failed.
            if not _failed_attempt(db, claim, error, attempt):
                break
        except SQLAlchemyError:
            raise
        except (WorkerError, OSError) as error:
            # The disk is full, or no worker can be started: not this file's fault, so it does not count.
            log.error("assessment %s waits (%s: %s)", claim.key, type(error).__name__, error)
            _let_go(db, claim, state=State.QUEUED, attempt=claim.attempt - 1, lease_until=now() + LATER)
            break
        except Exception as error:
            if not _failed_attempt(db, claim, error, attempt):
                break
    with _ended:
        _ended.notify_all()


def wait(site: Site, ids: Sequence[int], seconds: float) -> bool:
    """Wait until all these assessments are done or have failed, at most so long; whether they are.

    Where many wait already, it does not: the answer is how things stand now.
    """
    deadline = time.monotonic() + seconds
    if _have_ended(site.db, ids):
        return True
    if seconds <= 0 or not _seats.acquire(blocking=False):
        return False
    pause = 0.05
    try:
        while (left := deadline - time.monotonic()) > 0:
            with _ended:
                # Any end in this process rings; the pause is for what other processes end.
                _ended.wait(min(left, pause))
            if _have_ended(site.db, ids):
                return True
            pause = min(pause * 1.5, 0.5)
        return False
    finally:
        _seats.release()


def recover(db: Database, queue: Queue, known: Collection[int] = ()) -> int:
    """Wake what is queued, or was in the hands of somebody who died, unless it is `known` to be waiting; how many."""
    with db.read() as session:
        due = session.scalars(
            select(AssessmentRow.id)
            .where(AssessmentRow.state.in_(OPEN), _free())
            .order_by(AssessmentRow.id)
            .limit(RECOVER_AT_MOST)
        ).all()
    lost = [one for one in due if one not in known]
    if lost:
        queue.wake(lost)
    return len(lost)


def retry(session: Session, row: AssessmentRow) -> bool:
    """Put an assessment back into the queue, in the caller's transaction; wake the queue after it.

    Only what failed, or was given up as too costly, which can be the fault of a busy machine: False for all others.
    """
    if row.state != State.FAILED and not (row.state == State.DONE and row.code == UnreadableCode.TOO_COSTLY):
        return False
    session.execute(delete(Picture).where(Picture.assessment_id == row.id))
    row.state, row.attempt = State.QUEUED, 0
    row.lease_until = row.started_at = row.finished_at = row.outcome = row.code = row.record = None
    session.flush()
    return True


def _claim(db: Database, assessment_id: int) -> Claim | None:
    started_at = now()
    with db.begin() as session:
        taken = _update(
            session,
            AssessmentRow.id == assessment_id,
            AssessmentRow.state.in_(OPEN),
            _free(),
            state=State.RUNNING,
            attempt=AssessmentRow.attempt + 1,
            lease_until=started_at + LEASE,
            started_at=started_at,
        )
        if not taken:
            return None
        row, sha256 = (
            session.execute(
                select(AssessmentRow, ScanRow.sha256).join(ScanRow).where(AssessmentRow.id == assessment_id)
            )
            .one()
            ._tuple()
        )
        claim = Claim(row.id, row.key, row.scan_id, sha256, row.given, row.attempt, started_at)
    if claim.attempt > MAX_CLAIMS:
        # It was begun so often and never ended: something about it takes whole processes down.
        log.error("assessment %s: given up after %d claims", claim.key, MAX_CLAIMS)
        _let_go(db, claim, **_failed())
        return None
    return claim


def _free() -> ColumnElement[bool]:
    return or_(AssessmentRow.lease_until.is_(None), AssessmentRow.lease_until <= now())


def _ours(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    # The fence. The time is in it because `attempt` starts again when a failed row is asked for again.
    return (
        AssessmentRow.id == claim.id,
        AssessmentRow.state == State.RUNNING,
        AssessmentRow.attempt == claim.attempt,
        AssessmentRow.started_at == claim.started_at,
    )


def _update(session: Session, *where: ColumnElement[bool], **values: Any) -> bool:
    statement = update(AssessmentRow).where(*where).values(**values).execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def _let_go(db: Database, claim: Claim, **values: Any) -> bool:
    with db.begin() as session:
        return _update(session, *_ours(claim), **values)


def _failed_attempt(db: Database, claim: Claim, error: Exception, attempt: int) -> bool:
    """Write down that an attempt failed; whether there may be another."""
    # The type alone: what it says may be private.
    log.error("assessment %s: attempt %d failed: %s", claim.key, claim.attempt, type(error).__name__)
    log.debug("assessment %s", claim.key, exc_info=error)
    again = attempt + 1 < MAX_ATTEMPTS and claim.attempt < MAX_CLAIMS
    _let_go(db, claim, **({"state": State.QUEUED, "lease_until": None} if again else _failed()))
    return again


def _failed() -> dict[str, Any]:
    return {
        "state": State.FAILED,
        "lease_until": None,
        "finished_at": now(),
        "code": UnreadableCode.INTERNAL_ERROR.value,
    }


@contextmanager
def _renewed(db: Database, claim: Claim) -> Iterator[None]:
    """Renew the lease for as long as the block runs."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            try:
                _let_go(db, claim, lease_until=now() + LEASE)
            except SQLAlchemyError as error:
                log.warning("assessment %s: its lease could not be renewed (%s)", claim.key, type(error).__name__)

    thread = threading.Thread(target=renew, name=f"lease-{claim.key}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _have_ended(db: Database, ids: Sequence[int]) -> bool:
    with db.read() as session:
        return not session.scalar(select(func.count()).where(AssessmentRow.id.in_(ids), AssessmentRow.state.in_(OPEN)))


def _finish(db: Database, files: FileStore, claim: Claim, answered: Answered) -> bool:
    """Pictures first, then everything else in one transaction; False when the claim was no longer ours."""
    record, pictures = answered.record, {hashlib.sha256(data).hexdigest(): data for data in answered.pictures.values()}
    shown = {name: picture["sha256"] for name, picture in record["display"]["pictures"].items()}
    named = set(shown.values())
    if not named <= pictures.keys():
        raise ValueError("a picture that the record names is missing")
    for sha256 in named:
        files.put(pictures[sha256])
    with db.begin() as session:
        # In the order in which everybody takes them (store/retention.py).
        db.lock(session, "files")
        db.lock(session, "patients")
        if not _update(session, *_ours(claim), **answer.columns(record)):
            return False
        for sha256 in named:
            # Another assessment with the same picture may have been deleted since, and its files with it.
            if sha256 not in files:
                files.put(pictures[sha256])
        session.add_all(Picture(assessment_id=claim.id, name=name, sha256=sha256) for name, sha256 in shown.items())
        scan = session.get_one(ScanRow, claim.scan_id)
        answer.describe(scan, record)
        notes = patients.file_by_identity(db, session, scan, answered.identity, answer.sex(record), claim.id)
        if notes:
            display = {**record["display"], "notes": [*record["display"]["notes"], *notes]}
            record = {**record, "display": display}
        session.flush()
        _update(session, AssessmentRow.id == claim.id, record=record)
        audit.note(db, session, SYSTEM, audit.Action.ASSESS, "assessment", claim.key, outcome=record["outcome"])
    return True
