"""A process of its own that decodes and assesses, one file at a time: `python -m spinecare.store.worker SETTINGS`.

Whatever a file does to it — crash it, fill its memory, keep it busy — costs this process and no other. It is started
and ended by `store/workers.py`, knows no database and no secret, and speaks over its standard input and output in
frames: a length of four bytes, that much JSON, and behind it the bytes whose sizes the JSON names.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import struct
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spinecare.assessor import Assessor
    from spinecare.scan import Scan

LENGTH = struct.Struct(">I")
MAX_HEADER_BYTES = 16 * 2**20
# The decoders in io/isolated.py take a limit of their own, which must not be above ours.
APART_BYTES = 4 * 2**30
# What stands for the file's name in sentences: one assessment can have come under several names.
NAMELESS = "\ufffc"


class FrameError(Exception):
    """What came over the pipe is no frame, or breaks off."""


def write_frame(pipe: IO[bytes], header: Mapping[str, Any], parts: list[bytes]) -> None:
    """Send JSON values, with the sizes of `parts` under `sizes`, and the parts."""
    text = json.dumps({**header, "sizes": [len(part) for part in parts]}, allow_nan=False).encode()
    pipe.write(LENGTH.pack(len(text)) + text)
    for part in parts:
        pipe.write(part)
    pipe.flush()


def read_frame(pipe: IO[bytes], max_bytes: int) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next frame, or None at the end.

    Raises
    ------
    FrameError
        When it is none, breaks off, or has parts of more than `max_bytes` in all.
    """
    first = pipe.read(LENGTH.size)
    if not first:
        return None
    try:
        (length,) = LENGTH.unpack(first)
        if length > MAX_HEADER_BYTES:
            raise FrameError("its header is too long")
        header = json.loads(_exactly(pipe, length), parse_constant=_no_number, parse_float=_finite)
        sizes = header.pop("sizes")
        if any(type(size) is not int or size < 0 for size in sizes) or sum(sizes) > max_bytes:
            raise FrameError("its parts have no sizes that can be")
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FrameError("it does not begin with a header") from error
    return header, [_exactly(pipe, size) for size in sizes]


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)  # 1e999


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise FrameError("it breaks off")
    return data


def main() -> None:
    """Open the model, say which it is, and answer until the input ends."""
    settings = json.loads(sys.argv[1])
    answers = _keep_stdout_clean()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(settings["nice"])  # pages go first
    _limit_memory(settings["memory_mb"] * 2**20)
    from spinecare.errors import SpineCareError

    try:
        assessor = _load(settings)
    except SpineCareError as error:
        write_frame(answers, {"error": str(error)}, [])
        return
    model = assessor.model
    write_frame(
        answers,
        {
            "model": {
                "name": model.name,
                "version": model.version,
                "sha256": model.sha256,
                "trained_on": model.trained_on,
            }
        },
        [],
    )
    questions = sys.stdin.buffer
    while (question := read_frame(questions, settings["max_bytes"])) is not None:
        header, (data,) = question
        # The parent ends us first. When it has died itself, this does: the kernel asks no Python.
        _alarm(settings["seconds"] + 5)
        header, parts, tired = _answer(assessor, data, header["given"])
        _alarm(0)
        write_frame(answers, header, parts)
        if tired:
            return


def _keep_stdout_clean() -> IO[bytes]:
    # Libraries print: whatever they write to file descriptor 1 goes to standard error from here on.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    highest = max(limit, APART_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, highest if hard == resource.RLIM_INFINITY else min(highest, hard)))


def _alarm(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _load(settings: dict[str, Any]) -> Assessor:
    import cv2

    from spinecare.assessor import load
    from spinecare.report import record  # noqa: F401 - before the first file comes
    from spinecare.settings import RuntimeSettings

    cv2.setNumThreads(settings["threads"])
    return load(settings["bundle"], RuntimeSettings(threads=settings["threads"]))


def _answer(assessor: Assessor, data: bytes, given: dict[str, Any]) -> tuple[dict[str, Any], list[bytes], bool]:
    """Header and pictures of one answer, and whether this process should end after it."""
    import hashlib

    from spinecare.errors import AssessmentError, ScanError
    from spinecare.io.read import read_scan_bytes
    from spinecare.report.json import Answer
    from spinecare.report.record import make_record

    sha256 = hashlib.sha256(data).hexdigest()
    begun = time.perf_counter()
    scan: Scan | None = None
    outcome: Answer
    try:
        scan = with_given(read_scan_bytes(data, NAMELESS), given)
        outcome = assessor.assess(scan)
    except ScanError as error:
        outcome = error
    except AssessmentError as error:
        cause = error.__cause__
        return {"failed": "memory" if isinstance(cause, MemoryError) else type(cause).__name__}, [], True
    except MemoryError:
        return {"failed": "memory"}, [], True
    made = make_record(outcome, scan, sha256, time.perf_counter() - begun, assessor.bundle)
    record = without_name(made.record)
    identity = _identity(data) if scan is not None and scan.source.media_type == "application/dicom" else {}
    names = list(made.pictures)
    header = {"record": record, "identity": identity, "pictures": names}
    return header, [made.pictures[name] for name in names], False


def with_given(scan: Scan, given: dict[str, Any]) -> Scan:
    """The scan with what its sender said, where the file itself says nothing."""
    patient = scan.patient
    filled = replace(
        patient,
        sex=patient.sex or given.get("sex"),
        age_years=_first(patient.age_years, given.get("age_years")),
        height_cm=_first(patient.height_cm, given.get("height_cm")),
        weight_kg=_first(patient.weight_kg, given.get("weight_kg")),
    )
    acquired = scan.acquired or (date.fromisoformat(given["acquired"]) if given.get("acquired") else None)
    return replace(scan, patient=filled, acquired=acquired)


def without_name(record: dict[str, Any]) -> dict[str, Any]:
    """The record with sentences that speak of "the file" and name none."""
    told: dict[str, Any] = {}
    for key in ("reason", "hint"):
        if key in record:
            sentence = record[key].replace(f"The file {NAMELESS}", "The file")
            sentence = sentence.replace(f"The picture {NAMELESS}", "The picture")
            told[key] = sentence.replace(NAMELESS, "the file")
    return {**record, **told}


def _identity(data: bytes) -> dict[str, str | None]:
    from spinecare.io.dicom import open_dicom
    from spinecare.io.tags import read_identity

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_identity(open_dicom(data, "scan"))
        except Exception:
            return {}  # it was read before; what cannot be read twice names nobody


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


if __name__ == "__main__":
    main()
