"""Which files the rows of a database name: scans, and the pictures of their assessments."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from spinecare.store.database import UtcDateTime
from spinecare.store.models import ScanRow

MANY = 500  # above it, naming each in the query costs more than reading them all

# The pictures stand inside the record (report/record.py); both databases can look there by themselves.
_PICTURES = {
    "sqlite": (
        "SELECT DISTINCT json_extract(p.value, '$.sha256') FROM assessment, "
        "json_each(assessment.record, '$.display.pictures') AS p"
    ),
    "postgresql": (
        "SELECT DISTINCT p.value ->> 'sha256' FROM assessment, "
        "json_each(assessment.record -> 'display' -> 'pictures') AS p"
    ),
}


def named(session: Session) -> set[str]:
    """The SHA-256 of every file that a row names."""
    return set(session.scalars(select(ScanRow.sha256))) | _pictures(session)


def unnamed(session: Session, hashes: Iterable[str], since: datetime | None = None) -> set[str]:
    """Those of `hashes` that no row names; of pictures only those rows are looked at that were finished `since`."""
    left = set(hashes)
    scans = select(ScanRow.sha256)
    if len(left) <= MANY:
        scans = scans.where(ScanRow.sha256.in_(left))
    left -= set(session.scalars(scans))
    return left - _pictures(session, since) if left else left


def _pictures(session: Session, since: datetime | None = None) -> set[str]:
    query = text(_PICTURES[session.get_bind().dialect.name])
    if since is not None:
        query = text(f"{query.text} WHERE assessment.finished_at >= :since").bindparams(
            bindparam("since", since, UtcDateTime())
        )
    return set(session.scalars(query))
