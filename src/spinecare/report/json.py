"""The answer as plain JSON values: the object that `spinecare assess --json` and the web service give.

Its keys are a contract with other programs (`spinecare.assessment/1`); a key may be added, none renamed.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from spinecare.errors import AssessmentError, ScanError
from spinecare.scan import Assessment, Check, Interval, Level, Refused, Source

SCHEMA = "spinecare.assessment/1"

Answer = Assessment | Refused | ScanError | AssessmentError


def to_json(answer: Answer, file: str, sha256: str | None) -> dict[str, Any]:
    """One file's answer as a dict that `json.dumps(..., allow_nan=False)` takes.

    Parameters
    ----------
    answer
        What came of the file. An `AssessmentError` is told as unreadable, code `internal_error`.
    file
        Its name as the caller gave it.
    sha256
        Of the whole file in lower-case hex, or None when there was none to read.

    Raises
    ------
    ValueError
        When a probability is not a finite number: an answer must not leave in that state.
    """
    head = {"schema": SCHEMA, "file": file, "sha256": sha256}
    if isinstance(answer, Assessment):
        return {**head, "outcome": "assessed", **_assessed(answer)}
    outcome = "refused" if isinstance(answer, Refused) else "unreadable"
    return {
        **head,
        "outcome": outcome,
        "code": answer.code.value,
        "reason": answer.reason,
        "hint": answer.hint,
    }


def _assessed(answer: Assessment) -> dict[str, Any]:
    return {
        "osteoporosis": _yes_no(answer.osteoporosis),
        "category": None if answer.category is None else answer.category.value,
        "prediction_set": [label.value for label in answer.prediction_set],
        "probabilities": _probabilities(answer.probabilities),
        "interval": _interval(answer.interval),
        "abstained": answer.abstained,
        "levels": [_level(level) for level in answer.levels],
        "members": {name: _probabilities(said) for name, said in answer.members.items()},
        "quality": [_check(check) for check in answer.quality],
        "measurements": {name: _finite(value) for name, value in answer.measurements.items()},
        "model": {
            "name": answer.model.name,
            "version": answer.model.version,
            "sha256": answer.model.sha256,
            "trained_on": answer.model.trained_on,
        },
        "warnings": list(answer.warnings),
        "acquired": None if answer.acquired is None else answer.acquired.isoformat(),
        "device": answer.device,
        "uids": _uids(answer.source),
    }


def _yes_no(answer: bool | None) -> Literal["yes", "no"] | None:
    if answer is None:
        return None
    return "yes" if answer else "no"


def _probabilities(values: dict[str, float]) -> dict[str, float]:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"The probability of {name} is {value}.")
    return {name: float(value) for name, value in values.items()}


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "of": interval.of,
        "level": interval.level,
        "low": interval.low,
        "high": interval.high,
        "method": interval.method,
    }


def _level(level: Level) -> dict[str, Any]:
    return {
        "name": level.name,
        # A hundredth of a pixel is far below what any method can place.
        "polygon": [[round(float(row), 2), round(float(col), 2)] for row, col in level.polygon],
        "source": level.source,
        "confidence": _finite(level.confidence),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "passed": bool(check.passed),
        "value": _finite(check.value),
        "limit": _finite(check.limit),
        "unit": check.unit,
        "sentence": check.sentence,
    }


def _uids(source: Source) -> dict[str, str | None]:
    return {"sop": source.sop_instance_uid, "study": source.study_instance_uid}


def _finite(value: float) -> float | None:
    # JSON has no NaN and no infinity; null is what is not known.
    return float(value) if math.isfinite(value) else None
