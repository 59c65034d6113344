"""From an upload to its answer: read, assess, and the HTTP status that says how it went."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from spinecare.errors import AssessmentError, ScanError, UnreadableCode
from spinecare.io.read import read_scan_bytes
from spinecare.report.json import to_json
from spinecare.scan import Assessment, ModelInfo, Refused, Scan
from spinecare.server.upload import Upload, megabytes
from spinecare.settings import ReadLimits, ServeSettings

log = logging.getLogger(__name__)

STATUS: dict[UnreadableCode, int] = {
    UnreadableCode.NOT_FOUND: 400,
    UnreadableCode.EMPTY_FILE: 400,
    UnreadableCode.TOO_MANY_BYTES: 413,
    UnreadableCode.TOO_MANY_PIXELS: 413,
    UnreadableCode.TOO_MANY_FRAMES: 422,
    UnreadableCode.NOT_A_PICTURE: 415,
    UnreadableCode.UNSUPPORTED_ENCODING: 415,
    UnreadableCode.NO_PIXELS: 422,
    UnreadableCode.DAMAGED: 422,
    UnreadableCode.INTERNAL_ERROR: 500,
}

OUR_FAULT = "The scan was not assessed, because of a fault in SpineCare and not in your file."
OUR_FAULT_HINT = "Try once more; if it happens again, tell who runs this service. No answer was given."


class AssessesScans(Protocol):
    """What the server needs of an assessor."""

    @property
    def model(self) -> ModelInfo: ...

    def assess(self, x: Scan, name: str | None = None) -> Assessment | Refused: ...


Outcome = Assessment | Refused | ScanError | AssessmentError


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one upload. `scan` is None when it could not be read."""

    upload: Upload
    outcome: Outcome
    scan: Scan | None
    seconds: float

    @property
    def status(self) -> int:
        """200 for assessed and refused; 4xx for unreadable; 500 for a step that failed inside."""
        if isinstance(self.outcome, Assessment | Refused):
            return 200
        return STATUS[self.outcome.code]

    def to_json(self) -> dict[str, Any]:
        """The object of DESIGN 7."""
        return to_json(self.outcome, self.upload.name, self.upload.sha256)


def answer(assessor: AssessesScans, upload: Upload, settings: ServeSettings) -> Answer:
    """Read and assess one upload. Errors that are nobody's intention go through to the caller."""
    started = time.perf_counter()
    scan: Scan | None = None
    outcome: Outcome
    try:
        if upload.data is None:
            raise ScanError(
                UnreadableCode.TOO_MANY_BYTES,
                f"The file has {megabytes(upload.size)}; at most {megabytes(settings.max_file_bytes)} are read.",
                "Send the one scan alone, not a whole study or an uncompressed series.",
            )
        scan = read_scan_bytes(upload.data, upload.name, ReadLimits(max_bytes=settings.max_file_bytes))
        outcome = assessor.assess(scan, name=upload.name)
    except ScanError as error:
        outcome = error
    except AssessmentError:
        log.exception("%s was not assessed", upload.sha256[:12])
        # What broke inside is for the log; it may name things that are not the sender's business.
        outcome = AssessmentError(OUR_FAULT, OUR_FAULT_HINT)
    seconds = time.perf_counter() - started
    # The name of a file can be the name of a person: the log knows it by its hash alone.
    log.info("%s %s in %.0f ms", upload.sha256[:12], type(outcome).__name__, 1000 * seconds)
    return Answer(upload, outcome, scan, seconds)


async def answers(
    assessor: AssessesScans,
    uploads: Sequence[Upload],
    settings: ServeSettings,
    limiter: anyio.CapacityLimiter,
) -> list[Answer]:
    """Answer each upload, in order, on worker threads; `limiter` bounds them over all requests."""
    return [await anyio.to_thread.run_sync(answer, assessor, upload, settings, limiter=limiter) for upload in uploads]


def joint_status(given: Sequence[Answer]) -> int:
    """The status of one request: one file's own; of several 500 if one failed, 422 if one was unreadable.

    As with the command line's exit code, a caller who looks at nothing else must not miss it.
    """
    if len(given) == 1:
        return given[0].status
    worst = max(one.status for one in given)
    return worst if worst in {200, 500} else 422
