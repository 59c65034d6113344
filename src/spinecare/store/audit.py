"""The audit log: who did what to what, when. Each entry holds the hash of the one before it.

A changed, removed or inserted entry breaks the chain, and `check` names the first that no longer fits. What a chain
alone cannot show is that its newest entries are gone: `tail` gives the last number and hash, to be kept elsewhere.

Entries hold keys, never names, identifiers of people or file names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from spinecare.store.actor import Actor
from spinecare.store.database import Database, now
from spinecare.store.models import AuditEntry

START = bytes(32)  # stands in the first entry as the hash before it
KEY_LENGTH = 64
PAGE = 500

_last = select(AuditEntry.id, AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1)


class Action(StrEnum):
    """What can be done."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    SEE = "see"
    UPLOAD = "upload"
    ASSESS = "assess"
    READING = "reading"
    EXPORT = "export"
    CHANGE = "change"
    DELETE = "delete"
    ADMINISTER = "administer"
    BACKUP = "backup"


@dataclass(frozen=True)
class Tail:
    """The newest entry: its number (0: there is none) and its hash in hex."""

    id: int
    hash: str


def note(db: Database, session: Session, actor: Actor, action: Action, kind: str, key: str, **details: Any) -> None:
    """Add an entry, in the caller's transaction: what is rolled back was never noted.

    Call it as the last thing of the transaction: from here to its end nobody else can add an entry.

    Parameters
    ----------
    session
        Of `db.begin()`.
    kind, key
        What it was done to: `assessment`, `patient`, `account`, `worklist` … and its public key ("" where there
        is none).
    details
        JSON values that tell nothing about a person: counts, states, keys, names of changed fields.
    """
    db.lock(session, "audit")
    before = last(session)
    entry = AuditEntry(
        id=before.id + 1,
        at=now(),
        actor=actor.key,
        via=actor.via,
        action=action.value,
        object_kind=kind,
        object_key=key[:KEY_LENGTH],
        details=details,
        previous=bytes.fromhex(before.hash),
    )
    entry.hash = _hash(entry)
    session.add(entry)
    session.flush()  # the next entry of this transaction must find this one


def check(db: Database) -> int | None:
    """The number of the first entry that is missing or not as it was written; None when all is well."""
    expected, previous, size = 1, START, PAGE
    with db.read() as session:
        while True:
            try:
                entries = session.scalars(
                    select(AuditEntry).where(AuditEntry.id >= expected).order_by(AuditEntry.id).limit(size)
                ).all()
            except (ValueError, TypeError):
                # Something that cannot even be read as a time or as JSON stands there: find which entry it is.
                if size == 1:
                    return expected
                size = 1
                continue
            if not entries:
                return None
            for entry in entries:
                if entry.id != expected:
                    return expected
                if entry.previous != previous or entry.hash != _hash(entry):
                    return entry.id
                expected, previous = entry.id + 1, entry.hash
            session.expunge_all()


def tail(db: Database) -> Tail:
    """The newest entry. Written down elsewhere, it shows later whether entries were cut off the end."""
    with db.read() as session:
        return last(session)


def last(session: Session) -> Tail:
    """`tail`, in a transaction of the caller's."""
    found = session.execute(_last).first()
    return Tail(found.id, found.hash.hex()) if found else Tail(0, START.hex())


def holds(db: Database, remembered: Tail) -> bool:
    """Whether an entry that was the newest once is still there, unchanged."""
    if remembered.id == 0:
        return remembered.hash == START.hex()
    with db.read() as session:
        found = session.get(AuditEntry, remembered.id)
        return found is not None and found.hash.hex() == remembered.hash


def _hash(entry: AuditEntry) -> bytes:
    return hashlib.sha256(entry.previous + _canonical(_written(entry))).digest()


def _written(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": _time(entry.at),
        "actor": entry.actor,
        "via": entry.via,
        "action": entry.action,
        "kind": entry.object_kind,
        "key": entry.object_key,
        "details": entry.details,
    }


def _time(at: datetime) -> str:
    # Both databases keep microseconds, so the text is the same when it comes back.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
