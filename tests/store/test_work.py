"""Exactly once: claims, leases, the fence, retries, recovery. On both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from databases import StillQueue
from spinecare.errors import AssessmentError, StoreError
from spinecare.store import audit, retention, uploads, work
from spinecare.store.actor import DEMO, SYSTEM
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, AuditEntry, Outcome, PatientRow, ScanRow, State
from spinecare.store.site import Answered, Site, WorkerError
from stored import FakePool, hand_pictures, hand_record, make_png


def sent(site: Site, marker: str = "", seed: int = 0, given: uploads.Given | None = None) -> uploads.Accepted:
    with site.files.incoming() as file:
        file.write(make_png(seed, marker))
        return uploads.accept(site, file, "scan.png", given or uploads.Given(), DEMO)


def row_of(site: Site, one: uploads.Accepted) -> AssessmentRow:
    with site.db.read() as session:
        return session.get_one(AssessmentRow, one.assessment_id)


def do(site: Site, one: uploads.Accepted, pool: Any = None) -> AssessmentRow:
    work.do(site.db, site.files, pool or site.pool, one.assessment_id)
    return row_of(site, one)


def change(site: Site, one: uploads.Accepted, **values: Any) -> None:
    with site.db.begin() as session:
        row = session.get_one(AssessmentRow, one.assessment_id)
        for name, value in values.items():
            setattr(row, name, value)


class Raises(FakePool):
    """A pool whose first answers are errors."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        answered = super().assess(data, name, given)
        if self.errors:
            raise self.errors.pop(0)
        return answered


class Interrupted(FakePool):
    """A pool during whose work something else happens."""

    def __init__(self, meanwhile: Any) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        self.meanwhile()
        return super().assess(data, name, given)


@pytest.mark.parametrize(
    ("marker", "outcome", "osteoporosis", "category"),
    [
        ("yes", Outcome.ASSESSED, True, "osteoporosis"),
        ("", Outcome.ASSESSED, False, "low_bone_mass"),
        ("abstain", Outcome.ASSESSED, None, None),
        ("refuse", Outcome.REFUSED, None, None),
        ("unreadable", Outcome.UNREADABLE, None, None),
    ],
)
def test_an_answer_is_kept_with_its_pictures(
    site: Site, marker: str, outcome: Outcome, osteoporosis: bool | None, category: str | None
) -> None:
    row = do(site, sent(site, marker))
    assert (row.state, row.attempt, row.lease_until) == (State.DONE, 1, None)
    assert (row.outcome, row.osteoporosis, row.category) == (outcome, osteoporosis, category)
    assert row.finished_at is not None
    assert row.record is not None
    assert row.record["outcome"] == outcome
    for picture in row.record["display"]["pictures"].values():
        site.files.get(picture["sha256"])


def test_the_words_yes_and_no_of_a_real_record_become_true_and_false(site: Site) -> None:
    class Words(FakePool):
        def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
            answered = super().assess(data, name, given)
            return Answered({**answered.record, "osteoporosis": "no"}, answered.pictures)

    assert do(site, sent(site), Words()).osteoporosis is False


def test_what_is_done_is_not_done_again(site: Site) -> None:
    one = sent(site)
    first = do(site, one)
    again = do(site, one)
    assert (again.attempt, again.finished_at) == (first.attempt, first.finished_at)
    assert len(site.pool.asked) == 1
    with site.db.read() as session:
        done = session.scalars(select(AuditEntry).where(AuditEntry.action == "assess")).all()
    assert [(entry.actor, entry.object_key) for entry in done] == [(SYSTEM.key, one.key)]
    assert audit.check(site.db) is None


def test_what_is_in_somebodys_hands_is_left_to_them(site: Site) -> None:
    one = sent(site)
    change(site, one, state=State.RUNNING, attempt=1, started_at=now(), lease_until=now() + timedelta(seconds=30))
    row = do(site, one)
    assert (row.state, row.attempt, site.pool.asked) == (State.RUNNING, 1, [])


def test_when_the_lease_is_over_somebody_else_does_it(site: Site) -> None:
    one = sent(site)
    change(site, one, state=State.RUNNING, attempt=1, started_at=now(), lease_until=now() - timedelta(seconds=1))
    row = do(site, one)
    assert (row.state, row.attempt) == (State.DONE, 2)


def test_of_two_at_once_one_does_it(site: Site) -> None:
    one = sent(site, "slow")
    threads = [
        threading.Thread(target=work.do, args=(site.db, site.files, site.pool, one.assessment_id)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.pool.asked) == 1
    assert row_of(site, one).state == State.DONE


def test_an_answer_that_comes_after_the_lease_was_lost_is_dropped(site: Site) -> None:
    one = sent(site, "yes")
    other = FakePool()

    def somebody_else() -> None:
        change(site, one, lease_until=now() - timedelta(seconds=1))
        do(site, one, other)

    late = Interrupted(somebody_else)
    row = do(site, one, late)
    assert (len(late.asked), len(other.asked)) == (1, 1)
    assert (row.state, row.attempt) == (State.DONE, 2)
    with site.db.read() as session:
        assert len(session.scalars(select(AuditEntry).where(AuditEntry.action == "assess")).all()) == 1


def test_an_old_attempt_cannot_write_after_a_retry_began_to_count_anew(site: Site) -> None:
    one = sent(site)

    def failed_and_asked_again_and_claimed() -> None:
        change(site, one, state=State.FAILED, lease_until=None)
        with site.db.begin() as session:
            assert work.retry(session, session.get_one(AssessmentRow, one.assessment_id))
        assert work._claim(site.db, one.assessment_id) is not None

    row = do(site, one, Interrupted(failed_and_asked_again_and_claimed))
    assert (row.state, row.attempt, row.record) == (State.RUNNING, 1, None)


def test_the_lease_is_renewed_while_the_work_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "LEASE", timedelta(seconds=0.6))
    monkeypatch.setattr(work, "RENEW_SECONDS", 0.1)
    one, seen = sent(site), []

    def meanwhile() -> None:
        time.sleep(1.2)
        work.do(site.db, site.files, other, one.assessment_id)
        seen.append(row_of(site, one))

    other = FakePool()
    row = do(site, one, Interrupted(meanwhile))
    assert (seen[0].state, seen[0].attempt, other.asked) == (State.RUNNING, 1, [])
    assert (row.state, row.attempt) == (State.DONE, 1)


@pytest.mark.parametrize("error", [AssessmentError("a", "b"), RuntimeError("x"), ValueError("x")])
def test_a_fault_is_tried_three_times_and_then_failed(site: Site, error: Exception) -> None:
    pool = Raises(*[error] * 3)
    one = sent(site)
    row = do(site, one, pool)
    assert (row.state, row.code, row.lease_until, row.outcome) == (State.FAILED, "internal_error", None, None)
    assert len(pool.asked) == 3
    do(site, one, pool)
    assert len(pool.asked) == 3


def test_a_fault_that_passes_is_forgotten(site: Site) -> None:
    row = do(site, sent(site), Raises(RuntimeError("x"), RuntimeError("y")))
    assert (row.state, row.attempt, row.code) == (State.DONE, 3, None)


@pytest.mark.parametrize("error", [WorkerError("no process"), OSError(28, "no space")])
def test_what_is_no_fault_of_the_file_is_waited_out(site: Site, error: Exception) -> None:
    one, pool = sent(site), Raises(error)
    row = do(site, one, pool)
    assert (row.state, row.attempt) == (State.QUEUED, 0)
    assert row.lease_until is not None
    assert row.lease_until > now()
    assert do(site, one, pool).state == State.QUEUED  # not at once
    change(site, one, lease_until=now())
    assert do(site, one, pool).state == State.DONE


def test_a_missing_file_fails_and_says_so(site: Site) -> None:
    one = sent(site)
    with site.db.read() as session:
        sha256 = session.scalars(select(ScanRow.sha256)).one()
    site.files.remove(sha256)
    assert do(site, one).state == State.FAILED


def test_a_picture_that_is_named_and_not_there_is_a_fault(site: Site) -> None:
    class Forgets(FakePool):
        def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
            return Answered(hand_record("no"), {"scan": hand_pictures()["scan"]})

    assert do(site, sent(site), Forgets()).state == State.FAILED


def test_what_takes_every_process_down_is_given_up(site: Site) -> None:
    one = sent(site)
    change(site, one, state=State.RUNNING, attempt=work.MAX_CLAIMS, lease_until=now() - timedelta(seconds=1))
    row = do(site, one)
    assert (row.state, site.pool.asked) == (State.FAILED, [])


def test_recovery_wakes_what_is_due_and_not_known(site: Site) -> None:
    queued, dead, alive, later, done = (sent(site, seed=i) for i in range(5))
    change(site, dead, state=State.RUNNING, lease_until=now() - timedelta(seconds=1))
    change(site, alive, state=State.RUNNING, lease_until=now() + timedelta(seconds=20))
    change(site, later, lease_until=now() + timedelta(seconds=20))
    do(site, done)
    queue = StillQueue()
    assert work.recover(site.db, queue) == 2
    assert queue.woken == [queued.assessment_id, dead.assessment_id]
    assert work.recover(site.db, queue, known={queued.assessment_id}) == 1


def test_a_failed_one_can_be_asked_for_again(site: Site) -> None:
    one = sent(site)
    do(site, one, Raises(*[RuntimeError()] * 3))
    again = sent(site)
    assert again.already
    assert row_of(site, one).state == State.QUEUED
    assert do(site, one).state == State.DONE
    with site.db.begin() as session:
        assert not work.retry(session, session.get_one(AssessmentRow, one.assessment_id))


def test_what_was_too_costly_once_can_be_sent_again(site: Site) -> None:
    class Busy(FakePool):
        def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
            return Answered({**hand_record("unreadable"), "code": "too_costly"}, {})

    one = sent(site)
    assert do(site, one, Busy()).code == "too_costly"
    assert sent(site).already
    row = do(site, one)
    assert (row.state, row.outcome, row.code) == (State.DONE, Outcome.ASSESSED, None)


def test_waiting_ends_with_the_last_of_them(site: Site) -> None:
    one, two = sent(site), sent(site, seed=1)
    ids = [one.assessment_id, two.assessment_id]
    do(site, one)
    begun = time.monotonic()
    assert not work.wait(site, ids, 0.2)
    assert time.monotonic() - begun < 2
    threading.Timer(0.2, do, (site, two)).start()
    assert work.wait(site, ids, 10)
    assert time.monotonic() - begun < 5


def test_no_more_wait_than_leave_threads_for_pages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_seats", threading.BoundedSemaphore(1))
    one = sent(site)
    first = threading.Thread(target=work.wait, args=(site, [one.assessment_id], 1.0))
    first.start()
    time.sleep(0.2)
    begun = time.monotonic()
    assert not work.wait(site, [one.assessment_id], 10)
    assert time.monotonic() - begun < 0.5
    first.join()


def test_a_scan_that_is_deleted_meanwhile_is_no_fault(site: Site) -> None:
    one = sent(site)
    pool = Interrupted(lambda: retention.delete_assessment(site, one.key, DEMO))
    work.do(site.db, site.files, pool, one.assessment_id)
    with site.db.read() as session:
        assert session.get(AssessmentRow, one.assessment_id) is None


def test_a_picture_that_deletion_took_is_kept_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sent(site)
    real_lock = site.db.lock

    def lock(session: Any, name: str) -> None:
        if name == "files":  # the last moment at which a deletion can come between
            for picture in hand_record()["display"]["pictures"].values():
                site.files.remove(picture["sha256"])
        real_lock(session, name)

    monkeypatch.setattr(site.db, "lock", lock)
    row = do(site, one)
    assert row.record is not None
    for picture in row.record["display"]["pictures"].values():
        site.files.get(picture["sha256"])


def test_a_lost_file_is_said_with_a_sentence(site: Site) -> None:
    with site.files.incoming() as file:
        file.write(make_png())
        sha256 = file.keep()
        site.files.remove(sha256)
        with pytest.raises(StoreError, match="deleted while it came in"):
            uploads.accept(site, file, "scan.png", uploads.Given(), DEMO)


class Killed(BaseException):
    """As SIGKILL: nothing after it runs, and the database forgets what was not committed."""


def test_killed_at_any_step_nothing_is_lost_and_nothing_done_twice(
    make_store: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One upload from its first byte to its answer, killed before its first step, its second, … and started again."""
    site, points = make_store(), 0
    steps_left = -1

    def step(*_: Any, **__: Any) -> None:
        nonlocal steps_left
        steps_left -= 1
        if steps_left == 0:
            raise Killed

    def stepped(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            step()
            result = call(*args, **named)
            step()
            return result

        return wrapped

    event.listen(site.db.engine, "before_cursor_execute", lambda _, __, said, *___: said.startswith("BEGIN") or step())
    monkeypatch.setattr(Session, "commit", stepped(Session.commit))
    monkeypatch.setattr(site.files, "_take", stepped(site.files._take))
    monkeypatch.setattr(site.pool, "assess", stepped(site.pool.assess))
    monkeypatch.setattr(site.queue, "wake", stepped(site.queue.wake))
    given = uploads.Given(clinic_id="P-1", age_years=70.0)
    while True:
        points += 1
        steps_left, killed = points, False
        try:
            one = sent(site, "yes", points, given)
            do(site, one)
        except Killed:
            killed = True
        steps_left = -1
        # The next process: the client sends again what was not answered, leases of the dead run out, the queue looks.
        one = sent(site, "yes", points, given)
        if row_of(site, one).state == State.RUNNING:
            change(site, one, lease_until=now())
        queue = StillQueue()
        work.recover(site.db, queue)
        for lost in queue.woken:
            work.do(site.db, site.files, site.pool, lost)
        row = row_of(site, one)
        assert row.state == State.DONE, f"killed at step {points}"
        assert row.record is not None
        with site.db.read() as session:
            done = session.scalars(
                select(AuditEntry).where(AuditEntry.action == "assess", AuditEntry.object_key == row.key)
            ).all()
            scan = session.get_one(ScanRow, row.scan_id)
            assert len(done) == 1, f"killed at step {points}"
            assert scan.patient_id is not None
        for sha256 in (scan.sha256, *(picture["sha256"] for picture in row.record["display"]["pictures"].values())):
            site.files.get(sha256)
        if not killed:
            break
    assert points > 20
    with site.db.read() as session:
        assert session.scalar(select(func.count()).select_from(AssessmentRow)) == points
        assert session.scalar(select(func.count()).select_from(PatientRow)) == 1
    assert audit.check(site.db) is None
