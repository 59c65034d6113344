"""One worker process, seen from outside: started, asked, and ended when it takes too long or talks rubbish."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from spinecare.errors import AssessmentError, BundleError
from spinecare.scan import ModelInfo
from spinecare.store.site import Answered, WorkerError
from spinecare.store.worker import FrameError, read_frame, write_frame

log = logging.getLogger(__name__)

START_SECONDS = 120.0
MAX_ANSWER_BYTES = 128 * 2**20
MAX_PICTURES = 32
Frame = tuple[dict[str, Any], list[bytes]]
# Control characters but the line feed, halves of surrogate pairs, and what turns the direction of writing.
_UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_NAME = re.compile(r"[a-z0-9_]{1,64}")
_PNG = b"\x89PNG\r\n\x1a\n"


class DiedError(Exception):
    """The process ended, or said what is no answer."""


class OvertimeError(Exception):
    """The process took too long, and was ended."""


class Child:
    """One process. Only one thread at a time asks it something."""

    def __init__(self, command: list[str]) -> None:
        self._model: ModelInfo | None = None
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Libraries complain there of what they read in a file: that is not for the log.
                stderr=None if log.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is not for it; its own children can be ended with it
            )
        except OSError as error:
            raise WorkerError("A worker process cannot be started. Is there memory left?") from error

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ready(self) -> ModelInfo:
        """Wait until it has loaded its model; which model that is.

        Raises
        ------
        BundleError, WorkerError
            When it cannot load it, or does not come up.
        """
        if self._model is not None:
            return self._model
        try:
            header, _ = self._within(START_SECONDS, self._read)
            if "error" in header:
                raise BundleError(str(header["error"]))
            self._model = ModelInfo(**header["model"])
        except BundleError:
            self.end()
            raise
        except (DiedError, OvertimeError, KeyError, TypeError) as error:
            self.end()
            raise WorkerError("A worker process did not come up. Is SPINECARE_WORKER_MEMORY_MB too small?") from error
        return self._model

    def ask(self, data: bytes, sha256: str, given: dict[str, Any], seconds: float) -> Answered | None:
        """The answer to one file; None when its memory was not enough."""

        def talk() -> tuple[dict[str, Any], list[bytes]]:
            assert self._process.stdin is not None
            write_frame(self._process.stdin, {"given": given}, [data])
            return self._read()

        header, parts = self._within(seconds, talk)
        if header.get("failed") == "memory":
            return None
        if "failed" in header:
            raise AssessmentError(f"A step failed on this scan ({header['failed']!s:.60}).", "No label is given.")
        return _checked(header, parts, sha256)

    def end(self) -> None:
        """Kill it, and what it started."""
        process = self._process
        if process.returncode is None:
            with contextlib.suppress(OSError):
                if hasattr(os, "killpg"):
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
            process.wait()

    def _read(self) -> tuple[dict[str, Any], list[bytes]]:
        assert self._process.stdout is not None
        frame = read_frame(self._process.stdout, MAX_ANSWER_BYTES)
        if frame is None:
            raise DiedError("it ended")
        return frame

    def _within(self, seconds: float, talk: Callable[[], Frame]) -> Frame:
        over = threading.Event()

        def kill() -> None:
            over.set()
            self.end()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            return talk()
        except (FrameError, OSError, ValueError, DiedError) as error:
            if over.is_set():
                raise OvertimeError from error
            raise DiedError(str(error)) from error
        finally:
            timer.cancel()


def _checked(header: dict[str, Any], parts: list[bytes], sha256: str) -> Answered:
    """The answer, when it has the form of one and is to this file."""
    try:
        record, identity, names = header["record"], header["identity"], header["pictures"]
        good = (
            record["sha256"] == sha256
            and record["outcome"] in {"assessed", "refused", "unreadable"}
            and isinstance(record["display"]["pictures"], dict)
            and len(names) == len(parts) <= MAX_PICTURES
            and all(part.startswith(_PNG) for part in parts)
            and all(_NAME.fullmatch(name) for name in record["display"]["pictures"])
        )
        identity = {str(name): None if value is None else _clean(str(value)) for name, value in identity.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DiedError("it said what is no answer") from error
    if not good:
        raise DiedError("it said what is no answer to this file")
    return Answered(_clean(record), dict(zip(map(str, names), parts, strict=True)), identity)


def _clean(value: Any) -> Any:
    """The value with its texts as a database, a page and a log can take them: what a file says may be anything."""
    if isinstance(value, str):
        return _UNFIT.sub("", value)
    if isinstance(value, dict):
        return {_clean(name): _clean(one) for name, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def _environment() -> dict[str, str]:
    # No address of a database and no secret of ours: what takes a worker over finds none.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPINECARE_", "PG"))}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **one, "MALLOC_ARENA_MAX": "2"}
