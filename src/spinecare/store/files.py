"""Files by their contents: each under its SHA-256, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from spinecare.errors import StoreError

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(eq=False)
class Incoming:
    """A file on its way in: write to it, then `keep` it, or let it go."""

    _file: IO[bytes]
    _store: FileStore
    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _kept: bool = False

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def start(self, size: int) -> bytes:
        """The first `size` bytes of what was written."""
        with self.open() as again:
            return again.read(size)

    def read(self) -> bytes:
        """All of what was written."""
        return self.start(-1)

    def open(self) -> BinaryIO:
        """What was written, to be read from its beginning."""
        self._file.flush()
        return Path(self._file.name).open("rb")

    def keep(self) -> str:
        """Put it under its hash, on the disk for good; the hash. Twice is once."""
        if not self._kept:
            self._store._take(self)
            self._kept = True
        return self.sha256


class FileStore:
    """A folder of files named by their SHA-256, two levels deep. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, sha256: str) -> Path:
        """Where the file of this hash lies, whether it does or not. Raises `ValueError` for what is no hash."""
        if not _HASH.fullmatch(sha256):
            raise ValueError("not a SHA-256 in lower-case hex")
        return self.folder / sha256[:2] / sha256[2:4] / sha256

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A place to write a file of unknown contents; gone at the end unless it was kept."""
        with tempfile.NamedTemporaryFile(dir=self._incoming, delete=False) as file:
            try:
                yield Incoming(file, self)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    Path(file.name).unlink()

    def put(self, data: bytes) -> str:
        """Keep these bytes; their hash."""
        with self.incoming() as file:
            file.write(data)
            return file.keep()

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).exists()

    def get(self, sha256: str) -> bytes:
        """The bytes, verified.

        Raises
        ------
        StoreError
            When they are not there, or are not what they were.
        """
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise StoreError(f"The file {sha256[:12]} is missing.", "Restore it from a backup.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"The file {sha256[:12]} has changed on the disk.", "Restore it from a backup.")
        return data

    def remove(self, sha256: str) -> None:
        """Forget a file. Nothing happens when there is none."""
        self.path(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        """The hash of every file that is kept."""
        for path in self.folder.glob("??/??/*"):
            if _HASH.fullmatch(path.name):
                yield path.name

    def _take(self, incoming: Incoming) -> None:
        file = incoming._file
        file.flush()
        os.fsync(file.fileno())
        place = self.path(incoming.sha256)
        made = not place.parent.exists()
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(file.name).replace(place)
        for folder in (place.parent, place.parent.parent, self.folder) if made else (place.parent,):
            _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    # Without this the name of a new file can be lost with the power, though its bytes are on the disk.
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
