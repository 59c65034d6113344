"""ZIP archives, opened with care: nothing that an archive says of itself is believed while it is inflated."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import IO, BinaryIO, NoReturn, cast

from spinecare.errors import ScanError, UnreadableCode
from spinecare.settings import ArchiveLimits

NAME_LENGTH = 120
HINT = "Send the scans themselves, or an archive of them alone."

_CHUNK = 64 * 1024
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # with a password, strongly, and with an encrypted directory
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # zipfile inflates no other in bounded steps
_RATIO_FROM = 4 * 1024 * 1024  # what is smaller may shrink as it likes: a black picture does
_CLUTTER = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


class _Measured:
    """A file that refuses to be read in big pieces: zipfile takes a whole directory at once, however long."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = most

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._most + 1 if size < 0 else min(size, self._most + 1))
        if len(data) > self._most:
            _refuse(UnreadableCode.TOO_COSTLY, "The archive's table of contents is too long.")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def members(file: BinaryIO, limits: ArchiveLimits | None = None) -> Iterator[tuple[str, bytes]]:
    """The files of a ZIP archive, one after the other.

    Directories, links and what macOS and Windows add are left out. An archive inside is handed over as the file
    that it is, never opened. The table of contents is checked before the first file comes.

    Parameters
    ----------
    file
        Open for reading, anywhere in it.
    limits
        The usual ones when None.

    Yields
    ------
    name, data
        The cleaned last part of its name, and its bytes.

    Raises
    ------
    ScanError
        `too_costly` for what is over a limit or built as a bomb, `unsupported_encoding` for what is encrypted
        or packed in an uncommon way, `damaged` for what contradicts itself.
    """
    limits = limits or ArchiveLimits()
    try:
        with zipfile.ZipFile(cast("IO[bytes]", _Measured(file, limits.max_directory_bytes))) as archive:
            wanted = _checked(archive, limits)
            left = limits.max_total_bytes
            for info in wanted:
                data = _inflate(archive, info, min(left, limits.max_file_bytes), limits)
                left -= len(data)
                yield clean_name(info.filename), data
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise _error(
            UnreadableCode.DAMAGED, "The archive is damaged.", "Make it again and send the new one."
        ) from error


def clean_name(name: str) -> str:
    """The last part of a name, without control and direction characters, at most `NAME_LENGTH` long."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if not unicodedata.category(c).startswith(("C", "Zl", "Zp"))).strip().rstrip(" .")
    return (shown if len(shown) <= NAME_LENGTH else shown[: NAME_LENGTH - 1] + "…") or "file"


def _checked(archive: zipfile.ZipFile, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    """The members to read, once the table of contents makes sense."""
    infos = archive.infolist()
    wanted = [info for info in infos if _is_file(info)]
    if not wanted:
        _refuse(UnreadableCode.EMPTY_FILE, "The archive holds no file.")
    if len(wanted) > limits.max_files:
        _refuse(UnreadableCode.TOO_COSTLY, f"The archive holds {len(wanted):,} files; at most {limits.max_files:,}.")
    # Entries that share bytes are how a small archive grows without end; a first one that starts later means that
    # the file is two archives, or an archive and something else.
    begins = sorted(infos, key=lambda info: info.header_offset)
    overlap = any(
        one.header_offset + _LOCAL_HEADER_BYTES + one.compress_size > two.header_offset for one, two in pairwise(begins)
    )
    if overlap or begins[0].header_offset != 0:
        _refuse(UnreadableCode.TOO_COSTLY, "The archive is put together in a way that is used to do harm.")
    if sum(info.file_size for info in wanted) > limits.max_total_bytes:
        _refuse_size(limits)
    for info in wanted:
        if info.flag_bits & _ENCRYPTED:
            _refuse(UnreadableCode.UNSUPPORTED_ENCODING, "The archive is locked with a password.")
        if info.compress_type not in _METHODS:
            _refuse(UnreadableCode.UNSUPPORTED_ENCODING, "The archive is packed in a way that is not supported.")
        if info.file_size > limits.max_file_bytes:
            _refuse_size(limits, info)
    return wanted


def _is_file(info: zipfile.ZipInfo) -> bool:
    mode = info.external_attr >> 16 if info.create_system == 3 else 0  # 3: made on Unix
    clutter = info.filename.startswith("__MACOSX/") or clean_name(info.filename).lower() in _CLUTTER
    return not info.is_dir() and not clutter and stat.S_IFMT(mode) in {0, stat.S_IFREG}


def _inflate(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, limits: ArchiveLimits) -> bytes:
    """One member, counted as it comes out."""
    data = bytearray()
    by_ratio = max(_RATIO_FROM, limits.max_ratio * info.compress_size)
    with archive.open(info) as member:
        while chunk := member.read(_CHUNK):
            data += chunk
            if len(data) > most:
                _refuse_size(limits, info)
            if len(data) > by_ratio:
                _refuse(UnreadableCode.TOO_COSTLY, f"{clean_name(info.filename)} in the archive grows without end.")
    return bytes(data)


def _refuse_size(limits: ArchiveLimits, info: zipfile.ZipInfo | None = None) -> NoReturn:
    if info is not None and limits.max_file_bytes < limits.max_total_bytes:
        most = limits.max_file_bytes // 2**20
        reason = f"{clean_name(info.filename)} in the archive is too big: at most {most:,} MB a file."
    else:
        reason = f"The archive holds more than {limits.max_total_bytes // 2**20:,} MB."
    _refuse(UnreadableCode.TOO_COSTLY, reason)


def _refuse(code: UnreadableCode, reason: str) -> NoReturn:
    raise _error(code, reason, HINT)


def _error(code: UnreadableCode, reason: str, hint: str) -> ScanError:
    return ScanError(code, reason, hint)
