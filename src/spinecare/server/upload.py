"""Takes files out of a multipart request: in memory only, with the limits kept while the bytes come in.

Starlette's own form parser moves files over 1 MB to a temporary file; this one never writes to disk,
and it counts an over-long file without keeping it, so that its answer can still name its hash.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from spinecare.settings import ServeSettings

if TYPE_CHECKING:
    from hashlib import _Hash

    from python_multipart.multipart import MultipartCallbacks

# A refused body is still read, and dropped, up to here: a browser that may not finish sending shows
# "connection reset" in place of our sentence.
DRAIN_BYTES = 256 * 1024 * 1024
NAME_LENGTH = 120
FORM_EXAMPLE = "curl -F file=@scan.dcm http://127.0.0.1:8000/api/v1/assessments"


class UploadError(Exception):
    """A request that holds nothing to assess, or too much. `status` is the HTTP status."""

    def __init__(self, status: int, title: str, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.status = status
        self.title = title
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, eq=False)
class Upload:
    """One file as it came. `data` is None when it was over the limit; `sha256` is of all its bytes."""

    name: str
    size: int
    sha256: str
    data: bytes | None


@dataclass
class _Part:
    disposition: bytes = b""
    name: str | None = None
    size: int = 0
    kept: bytearray = field(default_factory=bytearray)
    digest: _Hash = field(default_factory=hashlib.sha256)


class _Collector:
    """Receives the parser's events and makes uploads of the parts that carry a file name."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.uploads: list[Upload] = []
        self.finished = False
        self._part = _Part()
        self._header = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._part.disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        raw = options.get(b"filename")
        self._part.name = None if raw is None else clean_name(raw.decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.name is None:  # an ordinary form field: nothing of ours
            return
        part.size += end - start
        part.digest.update(memoryview(data)[start:end])
        if part.size <= self.settings.max_file_bytes:
            part.kept += data[start:end]
        else:
            part.kept.clear()

    def _end(self) -> None:
        part = self._part
        # A browser sends one nameless, empty part when no file was chosen.
        if part.name is None or (part.name == "" and part.size == 0):
            return
        if len(self.uploads) == self.settings.max_files:
            raise UploadError(
                413,
                "Too many files",
                f"The upload holds more than {self.settings.max_files} files.",
                f"Send at most {self.settings.max_files} files at a time.",
            )
        data = bytes(part.kept) if part.size <= self.settings.max_file_bytes else None
        self.uploads.append(Upload(part.name or "unnamed", part.size, part.digest.hexdigest(), data))
        self._part = _Part()

    def _finish(self) -> None:
        self.finished = True


def clean_name(name: str) -> str:
    """The last part of a file name, without control or direction characters, at most 120 long."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if not unicodedata.category(c).startswith("C")).strip()
    return shown if len(shown) <= NAME_LENGTH else shown[: NAME_LENGTH - 1] + "…"


def megabytes(size: int) -> str:
    """A number of bytes as a person reads it."""
    return f"{size / 1024 / 1024:.0f} MB"


async def read_uploads(request: Request, settings: ServeSettings) -> list[Upload]:
    """The files of a multipart request, in the order sent.

    Raises
    ------
    UploadError
        When the body is not a multipart form, is cut off or broken, holds no file, too many files,
        or is larger than `settings.max_request_bytes`.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    stream = request.stream()
    if kind != b"multipart/form-data" or not boundary:
        await _drain(stream)
        raise UploadError(
            415,
            "Not a file upload",
            "The request is not a multipart form, so there is no file in it.",
            f"Send the scan as multipart/form-data, for example: {FORM_EXAMPLE}",
        )
    too_large = UploadError(
        413,
        "Upload too large",
        f"The upload is larger than {megabytes(settings.max_request_bytes)} in all.",
        f"Send fewer files at a time, each at most {megabytes(settings.max_file_bytes)}.",
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > settings.max_request_bytes:
        if int(declared) <= DRAIN_BYTES:
            await _drain(stream)
        raise too_large
    collector = _Collector(settings)
    received = 0
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        async for chunk in stream:
            received += len(chunk)
            if received > settings.max_request_bytes:
                raise too_large
            parser.write(chunk)
        parser.finalize()
    except UploadError:
        await _drain(stream)
        raise
    except FormParserError as error:
        await _drain(stream)
        raise _broken() from error
    if not collector.finished:
        raise _broken()
    if not collector.uploads:
        raise UploadError(
            400,
            "No file",
            "No file was chosen.",
            "Choose a scan (DICOM, PNG, JPEG, TIFF or BMP) and send it.",
        )
    return collector.uploads


def _broken() -> UploadError:
    return UploadError(
        400,
        "Broken upload",
        "The upload broke off or is not a well-formed multipart form.",
        "Send the file again.",
    )


async def _drain(stream: AsyncIterator[bytes]) -> None:
    dropped = 0
    try:
        async for chunk in stream:
            dropped += len(chunk)
            if dropped > DRAIN_BYTES:
                return
    except (ClientDisconnect, RuntimeError):
        return
