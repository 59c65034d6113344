"""What a file may cost, checked against what its header says, before anything is decoded."""

from __future__ import annotations

from spinecare.errors import ScanError, UnreadableCode
from spinecare.settings import ReadLimits

USUAL = ReadLimits()


def check_bytes(size: int, name: str, limits: ReadLimits) -> None:
    """Raise `ScanError` when a file of `size` bytes is empty or too big."""
    if size == 0:
        raise ScanError(
            UnreadableCode.EMPTY_FILE,
            f"The file {name} is empty.",
            "Export the scan again and send the new file.",
        )
    if size > limits.max_bytes:
        raise ScanError(
            UnreadableCode.TOO_MANY_BYTES,
            f"The file {name} has {_mega(size)} MB; at most {_mega(limits.max_bytes)} MB are read.",
            "Send a single scan as one picture.",
        )


def check_pixels(rows: int, cols: int, name: str, limits: ReadLimits) -> None:
    """Raise `ScanError` when a picture of `rows` by `cols` has no pixels or too many."""
    if rows < 1 or cols < 1:
        raise ScanError(
            UnreadableCode.NO_PIXELS,
            f"The picture in {name} has no size: {rows} rows by {cols} columns.",
            "Export the scan again and send the new file.",
        )
    if rows * cols > limits.max_pixels:
        raise ScanError(
            UnreadableCode.TOO_MANY_PIXELS,
            f"The picture in {name} has {rows} x {cols} pixels; at most {limits.max_pixels:,} are read.",
            "Send the scan in the size in which the scanner exported it.",
        )


def check_frames(frames: int, name: str, limits: ReadLimits, at_least: bool = False) -> None:
    """Raise `ScanError` when a file has too many frames (`at_least`: they were not all counted)."""
    if frames > limits.max_frames:
        more = "at least " if at_least else ""
        allowed = "only files with one" if limits.max_frames == 1 else f"at most {limits.max_frames}"
        raise ScanError(
            UnreadableCode.TOO_MANY_FRAMES,
            f"The file {name} holds {more}{frames} pictures; {allowed} are read.",
            "Send the spine scan alone, as a single picture.",
        )


def too_costly(name: str, what: str) -> ScanError:
    """The error for a file that takes more to read than a scan ever does."""
    return ScanError(
        UnreadableCode.TOO_COSTLY,
        f"The file {name} takes too long to read: {what}.",
        "Export the scan again from the scanner or the archive.",
    )


def damaged(name: str, what: str) -> ScanError:
    """The error for a file that breaks off or contradicts itself."""
    return ScanError(
        UnreadableCode.DAMAGED,
        f"The file {name} is damaged: {what}.",
        "Copy or export the scan again and send the new file.",
    )


def _mega(size: int) -> str:
    return f"{size / 2**20:.1f}".removesuffix(".0")
