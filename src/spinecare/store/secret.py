"""The secret of an installation: 32 random bytes, made once, beside its files."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from spinecare.errors import StoreError

BYTES = 32
NAME = "secret"


def site_secret(data: Path) -> bytes:
    """The secret, made now if there is none. Whoever has it can tell which pseudonym is whose.

    Raises
    ------
    StoreError
        When the file has been changed, or cannot be written.
    """
    path = data / NAME
    try:
        if not path.exists():
            _make(path)
        secret = path.read_bytes()
    except OSError as error:
        raise StoreError("The secret of this installation cannot be read.", f"Check the folder {data}.") from error
    if len(secret) != BYTES:
        raise StoreError(
            "The secret of this installation is damaged.", f"Restore {NAME} in the data folder from a backup."
        )
    return secret


def _make(path: Path) -> None:
    # Written beside and then linked: of two processes that start at once, one wins and both read the same.
    own = path.with_name(f"{NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()
