"""Takes files and fields out of a multipart request while its bytes come in: each file straight to the disk, hashed
on the way, with the limits kept as they are passed and not as they are declared.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from spinecare.errors import StoreError
from spinecare.io.archive import members
from spinecare.io.kind import START_BYTES, Kind, kind_of
from spinecare.report.words import megabytes
from spinecare.server.problems import Problem
from spinecare.server.security.csrf import HEADER, check_csrf
from spinecare.settings import ArchiveLimits, ServeSettings
from spinecare.store.files import Incoming
from spinecare.store.site import Site

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# A refused body is still read, and dropped, up to here: a browser that may not finish sending shows
# "connection reset" in place of our sentence.
DRAIN_BYTES = 256 * 1024 * 1024
NAME_LENGTH = 120
MAX_FIELDS = 64
MAX_FIELD_BYTES = 4096
FORM_EXAMPLE = "curl -F file=@scan.dcm http://127.0.0.1:8000/api/v1/assessments"


class UploadError(Problem):
    """A request that holds nothing to assess, or too much."""


@dataclass(eq=False)
class Received:
    """What a request held. The files are gone at the end of `receive`, unless they were kept.

    fields
        Ordinary fields of the form, the last one of a name.
    files
        (cleaned name, file), in the order sent.
    """

    site: Site
    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, Incoming]] = field(default_factory=list)

    def scans(self) -> Iterator[tuple[str, Incoming]]:
        """The files, archives replaced by what is in them. Each is to be accepted before the next is asked for.

        It reads and unpacks: not for the event loop.

        Raises
        ------
        ScanError, UploadError
            When an archive is refused.
        """
        limits = self.site.settings.limits
        count = 0
        for name, file in self.files:
            for one in self._opened(name, file):
                count += 1
                if count > limits.max_files:
                    raise _too_many_files(limits)
                yield one

    def _opened(self, name: str, file: Incoming) -> Iterator[tuple[str, Incoming]]:
        if not _is_archive(file.start(START_BYTES)):
            yield name, file
            return
        limits = self.site.settings.limits
        within = ArchiveLimits(
            max_files=limits.max_files,
            max_file_bytes=limits.max_file_bytes,
            max_total_bytes=limits.max_request_bytes,
        )
        with file.open() as archive:
            for member, data in members(archive, within):
                if _is_archive(data[:START_BYTES]):
                    raise UploadError(
                        415,
                        "Archive in an archive",
                        f"{member} in {name} is an archive itself, which is not opened.",
                        "Put the scans into one archive, or send them as they are.",
                        "nested_archive",
                    )
                with self.site.files.incoming() as one:
                    one.write(data)
                    yield member, one


@asynccontextmanager
async def receive(request: Request, site: Site) -> AsyncIterator[Received]:
    """Take in a multipart request.

    Raises
    ------
    UploadError
        When the body is not a multipart form, is cut off or broken, holds no file, too many, or too much.
    Problem
        403, when it comes from a browser and its form's token is missing or wrong.
    """
    limits = site.settings.limits
    _allow_open_files(4 * limits.max_files + 512)
    with ExitStack() as stack:
        parts = _Parts(request, site, stack)
        await _read(request, parts, limits)
        yield parts.received


async def _read(request: Request, parts: _Parts, limits: ServeSettings) -> None:
    stream = request.stream()
    try:
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UploadError(
                415,
                "Not a file upload",
                "The request is not a multipart form, so there is no file in it.",
                f"Send the scan as multipart/form-data, for example: {FORM_EXAMPLE}",
                "not_a_form",
            )
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limits.max_request_bytes:
            raise _too_large(limits)
        parser = MultipartParser(boundary, parts.callbacks())
        received = 0
        async for chunk in stream:
            received += len(chunk)
            if received > limits.max_request_bytes:
                raise _too_large(limits)
            parser.write(chunk)
        parser.finalize()
        if not parts.finished:
            raise _broken()
        parts.check()
    except ClientDisconnect as error:
        raise _broken() from error
    except FormParserError as error:
        await _drain(stream)
        raise _broken() from error
    except OSError as error:
        await _drain(stream)
        raise StoreError("The file could not be kept.", "Tell who runs this service: the disk may be full.") from error
    except Problem:
        await _drain(stream)
        raise


@dataclass
class _Part:
    disposition: bytes = b""
    field_name: str = ""
    file_name: str | None = None
    file: Incoming | None = None
    most: int = 0
    text: bytearray = field(default_factory=bytearray)


class _Parts:
    """Receives the parser's events: parts that carry a file name become files, the others fields."""

    def __init__(self, request: Request, site: Site, stack: ExitStack) -> None:
        self.received = Received(site)
        self.finished = False
        self._request, self._site, self._stack = request, site, stack
        self._limits = site.settings.limits
        self._checked = False
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

    def check(self) -> None:
        """Raise what is wrong with a request that was read to its end."""
        self._check_form()
        if not self.received.files:
            raise UploadError(
                400,
                "No file",
                "No file was chosen.",
                "Choose a scan (DICOM, PNG, JPEG, TIFF or BMP) and send it.",
                "no_file",
            )

    def _check_form(self) -> None:
        # Before the first byte of a file is kept. The interface for programs has its own way (security/who.py).
        if self._checked or self._request.url.path.startswith("/api/"):
            return
        check_csrf(self._request, self.received.fields.get("csrf") or self._request.headers.get(HEADER))
        self._checked = True

    def _begin(self) -> None:
        self._part = _Part()

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._part.disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        self._part.field_name = options.get(b"name", b"").decode("utf-8", "replace")
        raw = options.get(b"filename")
        self._part.file_name = None if raw is None else clean_name(raw.decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.file_name is None:
            if len(part.text) + end - start > MAX_FIELD_BYTES:
                raise UploadError(
                    413, "Too long", f"The field {part.field_name[:40]} is too long.", "Shorten it.", "too_many_bytes"
                )
            part.text += data[start:end]
            return
        file, piece = part.file or self._open(), memoryview(data)[start:end]
        if file.size + len(piece) > part.most:
            # An archive holds many: what is in it is measured when it is opened.
            if part.most == self._limits.max_request_bytes or not _is_archive(file.start(START_BYTES) + piece):
                raise UploadError(
                    413,
                    "File too large",
                    f"The file {part.file_name} has more than {megabytes(self._limits.max_file_bytes)}.",
                    "Send a single scan as one picture.",
                    "too_many_bytes",
                )
            part.most = self._limits.max_request_bytes
        file.write(piece)

    def _open(self) -> Incoming:
        self._check_form()
        if len(self.received.files) == self._limits.max_files:
            raise _too_many_files(self._limits)
        self._part.most = self._limits.max_file_bytes
        self._part.file = self._stack.enter_context(self._site.files.incoming())
        return self._part.file

    def _end(self) -> None:
        part = self._part
        self._part = _Part()
        if part.file_name is None:
            if len(self.received.fields) == MAX_FIELDS:
                raise UploadError(413, "Too long", "The form has too many fields.", "Send it again.", "too_many_fields")
            self.received.fields[part.field_name] = part.text.decode("utf-8", "replace")
        elif part.file_name or part.file:
            # A browser sends one nameless, empty part when no file was chosen.
            self._part = part
            file = part.file or self._open()
            self.received.files.append((part.file_name or "unnamed", file))
            self._part = _Part()

    def _finish(self) -> None:
        self.finished = True


def _is_archive(start: bytes) -> bool:
    return kind_of(start) == Kind.ZIP


def _allow_open_files(wanted: int) -> None:
    """Every file of a request is open while it comes in; most processes may ask for more than they begin with."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < wanted and soft != resource.RLIM_INFINITY:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def clean_name(name: str) -> str:
    """The last part of a file name, without control or direction characters, at most 120 long."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if not unicodedata.category(c).startswith("C")).strip()
    return shown if len(shown) <= NAME_LENGTH else shown[: NAME_LENGTH - 1] + "…"


def _too_large(limits: ServeSettings) -> UploadError:
    return UploadError(
        413,
        "Upload too large",
        f"The upload is larger than {megabytes(limits.max_request_bytes)} in all.",
        f"Send fewer files at a time, each at most {megabytes(limits.max_file_bytes)}.",
        "too_many_bytes",
    )


def _too_many_files(limits: ServeSettings) -> UploadError:
    return UploadError(
        413,
        "Too many files",
        f"The upload holds more than {limits.max_files} files.",
        f"Send at most {limits.max_files} files at a time.",
        "too_many_files",
    )


def _broken() -> UploadError:
    return UploadError(
        400,
        "Broken upload",
        "The upload broke off or is not a well-formed multipart form.",
        "Send the file again.",
        "broken",
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
