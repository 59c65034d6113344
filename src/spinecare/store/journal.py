"""The audit log, for people to read: by who, what and when, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from spinecare.store.models import Account, AuditEntry

# Who acts without an account (store/actor.py).
NAMES = {"system": "SpineCare itself", "demo": "Demo"}


@dataclass(frozen=True)
class Filters:
    """What to look for; empty finds everything. `since` and `until` are days in UTC, both included."""

    actor: str = ""
    action: str = ""
    kind: str = ""
    key: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Page:
    """Entries, newest first; `older` is the number to ask on with, None at the end."""

    entries: list[AuditEntry]
    older: int | None


def find(session: Session, filters: Filters, before: int | None = None, limit: int = 50) -> Page:
    """The newest entries that fit, of those with a number below `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if filters.actor:
        query = query.where(AuditEntry.actor == filters.actor)
    if filters.action:
        query = query.where(AuditEntry.action == filters.action)
    if filters.kind:
        query = query.where(AuditEntry.object_kind == filters.kind)
    if filters.key:
        query = query.where(AuditEntry.object_key == filters.key)
    if filters.since:
        query = query.where(AuditEntry.at >= _start(filters.since))
    if filters.until:
        query = query.where(AuditEntry.at < _start(filters.until) + timedelta(days=1))
    found = list(session.scalars(query))
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def people(session: Session) -> dict[str, str]:
    """The names of all who can stand in the log, by key."""
    return {**NAMES, **{row.key: row.name for row in session.execute(select(Account.key, Account.name))}}


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
