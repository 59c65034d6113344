"""Worker processes of a study: started afresh, one thread each, quiet on Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2
from threadpoolctl import threadpool_limits

from spinecare.errors import TrainingError

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
Job = TypeVar("Job")
Done = TypeVar("Done")


def each(work: Callable[[Job], Done], jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Done]]:
    """Do every job, and give (job, what came of it) as soon as it is done.

    One thread a job however many workers there are, so that the numbers don't depend on them: sums of several threads
    are added up in another order.

    Parameters
    ----------
    workers
        Processes; 1 works in this one. They are started afresh (spawn), so `work` and jobs must be picklable.

    Raises
    ------
    TrainingError
        When a worker was stopped from outside, as a system does that has no memory left.
    """
    with one_thread():
        if workers == 1 or len(jobs) < 2:
            for job in jobs:
                yield job, work(job)
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_start_worker)
        try:
            waiting = {pool.submit(work, job): job for job in jobs}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except (KeyboardInterrupt, GeneratorExit):
            # Whoever takes the results stops: a job may take long, and writes its file whole or not at all, so nobody
            # needs to wait for it.
            for process in list(pool._processes.values()):
                process.terminate()
            raise
        except BrokenProcessPool as error:
            raise TrainingError(
                "A worker process was stopped from outside, most likely because memory ran out. What is finished is "
                "kept: go on with fewer --workers."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for every library, here and (by the environment) in processes started meanwhile."""
    kept = {name: os.environ.get(name) for name in THREADS}
    os.environ |= dict.fromkeys(THREADS, "1")
    torch = sys.modules.get("torch")
    threads = (torch.get_num_threads() if torch else 0, cv2.getNumThreads())
    cv2.setNumThreads(1)
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_worker() -> None:
    # Ctrl-C reaches every process of a terminal; only the first one shall answer it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
