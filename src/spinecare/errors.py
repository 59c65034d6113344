"""The one tree of exceptions.

Every error that SpineCare raises on purpose is a `SpineCareError`. Its text is one or two
sentences for a person: what was wrong with which input, and what can be done about it.
"""

from __future__ import annotations

from enum import StrEnum


class UnreadableCode(StrEnum):
    """Why a file could not be read at all: the closed list behind `outcome: unreadable`."""

    NOT_FOUND = "not_found"
    EMPTY_FILE = "empty_file"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    NOT_A_PICTURE = "not_a_picture"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    NO_PIXELS = "no_pixels"
    DAMAGED = "damaged"
    TOO_COSTLY = "too_costly"
    INTERNAL_ERROR = "internal_error"


class SpineCareError(Exception):
    """Base of everything that SpineCare raises on purpose."""


class ScanError(SpineCareError):
    """A file that cannot be read as a scan.

    Parameters
    ----------
    code
        One of `UnreadableCode`.
    reason
        A sentence: what was wrong with which input.
    hint
        A sentence: what the person can do.
    """

    def __init__(self, code: UnreadableCode, reason: str, hint: str) -> None:
        super().__init__(f"{reason} {hint}")
        self.code = code
        self.reason = reason
        self.hint = hint


class AssessmentError(SpineCareError):
    """A step that failed inside, on a file that could be read: no label is given.

    `reason` and `hint` are sentences, as in `ScanError`; the cause is chained as `__cause__`.
    """

    code = UnreadableCode.INTERNAL_ERROR

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason} {hint}")
        self.reason = reason
        self.hint = hint


class DatasetError(SpineCareError):
    """A manifest or a folder of scans that breaks a rule of evidence or cannot be read."""


class BundleError(SpineCareError):
    """A model bundle that is damaged, changed, or asks for what this version cannot do."""


class TrainingError(SpineCareError):
    """Training that cannot start or go on: too few patients, a class missing, a stale run."""


class PhantomError(SpineCareError):
    """Virtual patients that cannot be made as asked."""


class EvaluationError(SpineCareError):
    """Predictions that cannot be evaluated: shapes that disagree, labels or probabilities out of range."""


class StoreError(SpineCareError):
    """What is kept cannot be reached, is damaged, or cannot be changed as asked.

    `reason` and `hint` are sentences, as in `ScanError`.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason} {hint}")
        self.reason = reason
        self.hint = hint


class ConflictError(StoreError):
    """What was asked for contradicts what is kept: nothing was changed."""


class SettingsError(SpineCareError):
    """A setting of the installation that makes no sense."""
