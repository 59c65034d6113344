"""Which files the rows of a database name: scans, and the pictures of their assessments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from spinecare.store.models import Picture, ScanRow

AT_ONCE = 500  # hashes in one query or transaction
_COLUMNS = (ScanRow.sha256, Picture.sha256)


def named(session: Session) -> set[str]:
    """The SHA-256 of every file that a row names."""
    return {sha256 for column in _COLUMNS for sha256 in session.scalars(select(column))}


def unnamed(session: Session, hashes: Iterable[str]) -> set[str]:
    """Those of `hashes` that no row names."""
    left = set(hashes)
    for some in slices(left):
        for column in _COLUMNS:
            left -= set(session.scalars(select(column).where(column.in_(some))))
    return left


def slices(hashes: Iterable[str]) -> Iterator[list[str]]:
    """All of them, sorted, `AT_ONCE` at a time."""
    every = sorted(hashes)
    return (every[i : i + AT_ONCE] for i in range(0, len(every), AT_ONCE))
