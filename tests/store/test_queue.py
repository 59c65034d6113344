"""The queue: its messages are hints, and the table is the truth. On both databases."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from spinecare.store import queue as queue_module
from spinecare.store import uploads, work
from spinecare.store.actor import DEMO
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, State
from spinecare.store.queue import HueyQueue
from spinecare.store.site import Answered, Site
from stored import FakePool, make_png


@pytest.fixture
def make_queue() -> Iterator[Callable[[Site], HueyQueue]]:
    """The queue of a site; stopped at the end."""
    made: list[HueyQueue] = []

    def make(site: Site, pool: Any = None) -> HueyQueue:
        made.append(HueyQueue(site.settings, site.db, site.files, pool or site.pool))
        return made[-1]

    yield make
    for queue in made:
        queue.stop()


def sent(site: Site, seed: int = 0, marker: str = "", batch: str | None = None) -> int:
    with site.files.incoming() as file:
        file.write(make_png(seed, marker))
        return uploads.accept(site, file, "scan.png", uploads.Given(), DEMO, batch).assessment_id


def states(site: Site) -> dict[str, int]:
    with site.db.read() as session:
        found = session.execute(select(AssessmentRow.state, func.count().label("n")).group_by(AssessmentRow.state))
        return {str(row.state): int(row.n) for row in found}


def until(check: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_what_is_woken_is_done(site: Site, make_queue: Callable[..., HueyQueue]) -> None:
    queue = make_queue(site)
    queue.start()
    ids = [sent(site, seed) for seed in range(5)]
    queue.wake(ids)
    assert work.wait(site, ids, 20)
    assert len(site.pool.asked) == 5
    assert queue.waiting() == set()


def test_it_begins_at_once(site: Site, make_queue: Callable[..., HueyQueue]) -> None:
    queue = make_queue(site)
    queue.start()
    time.sleep(1.5)  # it has found nothing for a while
    one = sent(site)
    begun = time.monotonic()
    queue.wake([one])
    assert work.wait(site, [one], 10)
    assert time.monotonic() - begun < 0.7


def test_what_was_never_woken_is_found_at_the_start(site: Site, make_queue: Callable[..., HueyQueue]) -> None:
    ids = [sent(site, seed) for seed in range(3)]  # as when the process died before the queue heard of them
    queue = make_queue(site)
    queue.start()
    assert work.wait(site, ids, 20)
    assert len(site.pool.asked) == 3


def test_what_a_dead_process_had_in_hand_is_found_when_its_lease_is_over(
    site: Site, make_queue: Callable[..., HueyQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "RECOVER_SECONDS", 0.2)
    one = sent(site)
    with site.db.begin() as session:
        row = session.get_one(AssessmentRow, one)
        row.state, row.attempt, row.lease_until = State.RUNNING, 1, now() + timedelta(seconds=1)
    make_queue(site).start()
    assert not work.wait(site, [one], 0.5)
    assert work.wait(site, [one], 20)


def test_messages_that_come_twice_or_for_nothing_do_no_harm(site: Site, make_queue: Callable[..., HueyQueue]) -> None:
    queue = make_queue(site)
    ids = [sent(site, seed) for seed in range(3)]
    queue.wake([*ids, *ids, 999999])
    queue.wake(ids)
    queue.start()
    until(lambda: states(site) == {State.DONE: 3} and not queue.waiting())
    assert len(site.pool.asked) == 3


def test_a_message_is_a_number_and_a_pickle_is_not_read(
    site: Site, make_queue: Callable[..., HueyQueue], tmp_path: Any
) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (type(tmp_path).touch, (tmp_path / "taken over",))

    queue = make_queue(site)
    one = sent(site)
    queue._huey.storage.enqueue(pickle.dumps(Evil()), 100)
    queue._huey.storage.enqueue(b"'; DROP TABLE assessment", 100)
    queue.wake([one])
    assert queue.waiting() == {one}
    queue.start()
    assert work.wait(site, [one], 20)
    assert not (tmp_path / "taken over").exists()


def test_a_file_that_came_alone_goes_before_five_hundred(site: Site, make_queue: Callable[..., HueyQueue]) -> None:
    order: list[int] = []
    queue = make_queue(site)
    batch = uploads.new_batch(site, DEMO)
    many = [sent(site, seed, batch=batch) for seed in range(queue_module.FEW + 3)]
    alone = sent(site, 100)
    queue.wake(many)
    queue.wake([alone])
    while (task := queue._huey.dequeue()) is not None:
        order.append(task.args[0])
    assert order == [alone, *many]


def test_the_recovery_does_not_fill_the_queue_with_what_waits_already(
    site: Site, make_queue: Callable[..., HueyQueue]
) -> None:
    queue = make_queue(site)
    ids = [sent(site, seed) for seed in range(4)]
    queue.wake(ids[:3])
    assert work.recover(site.db, queue, queue.waiting()) == 1
    assert queue._huey.storage.queue_size() == 4
    assert work.recover(site.db, queue, queue.waiting()) == 0


def test_two_processes_share_the_work(site: Site, make_queue: Callable[..., HueyQueue]) -> None:
    one, other = FakePool(), FakePool()
    first, second = make_queue(site, one), make_queue(site, other)
    first.start()
    second.start()
    ids = [sent(site, seed, "slow") for seed in range(8)]
    first.wake(ids)
    assert work.wait(site, ids, 30)
    assert len(one.asked) + len(other.asked) == 8
    assert other.asked


def test_stopping_finishes_what_is_in_hand_and_keeps_the_rest(
    make_store: Callable[..., Site], make_queue: Callable[..., HueyQueue]
) -> None:
    site = make_store(workers=1)
    begun = threading.Event()

    class Slow(FakePool):
        def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
            begun.set()
            time.sleep(1.0)
            return super().assess(data, name, given)

    queue = make_queue(site, Slow())
    ids = [sent(site, seed) for seed in range(3)]
    queue.start()
    queue.wake(ids)
    assert begun.wait(10)
    queue.stop()
    assert states(site) == {State.DONE: 1, State.QUEUED: 2}
    again = make_queue(site)
    again.start()
    assert work.wait(site, ids, 20)


def test_a_queue_that_cannot_be_reached_costs_nothing_that_was_accepted(
    site: Site, make_queue: Callable[..., HueyQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "RECOVER_SECONDS", 0.2)
    queue = make_queue(site)
    real = queue._huey.storage.enqueue

    def broken(*_: Any) -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(queue._huey.storage, "enqueue", broken)
    one = sent(site)
    queue.wake([one])
    monkeypatch.setattr(queue._huey.storage, "enqueue", real)
    queue.start()
    assert work.wait(site, [one], 20)
