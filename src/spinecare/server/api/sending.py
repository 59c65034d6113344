"""What happens to the files of one request: kept and queued once, whoever sends them twice with the same key."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from spinecare.server.api.objects import load
from spinecare.server.problems import Problem
from spinecare.server.upload import Received
from spinecare.store import uploads
from spinecare.store.actor import Actor
from spinecare.store.models import Batch, IdempotencyKey, Upload
from spinecare.store.site import Site

WAIT_S = 30.0
_WAIT = re.compile(r"\s*wait\s*=\s*(\d{1,6})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Sent:
    """What came of the files of a request, in the order sent.

    keys, ids, names
        Of the assessments, one a scan.
    batch
        The key of the batch, where there were several.
    replayed
        True when a request with this idempotency key was answered before.
    """

    keys: tuple[str, ...]
    ids: tuple[int, ...]
    names: tuple[str, ...]
    batch: str | None
    replayed: bool = False


@dataclass(frozen=True)
class Preference:
    """What the header `Prefer` (RFC 7240) asks for: how long the answer may take."""

    respond_async: bool
    wait_s: float


def preference(header: str | None) -> Preference:
    """Read `Prefer: respond-async, wait=10`. What is not known in it is passed over, as the RFC says."""
    words = [word.strip() for word in (header or "").split(",")]
    waits = [match for word in words if (match := _WAIT.fullmatch(word))]
    wait_s = min(WAIT_S, float(waits[0].group(1))) if waits else WAIT_S
    if any(word.lower() == "respond-async" for word in words):
        return Preference(True, wait_s if waits else 0.0)
    return Preference(False, wait_s)


def send(site: Site, received: Received, actor: Actor, idempotency_key: str | None) -> Sent:
    """Keep and queue every scan of a request.

    Raises
    ------
    Problem
        422 when a field makes no sense, or the idempotency key came before with something else.
    """
    given = _given(received.fields)
    if idempotency_key is None:
        return _accept(site, received, given, actor)
    body = _fingerprint(received)
    before = _reserve(site, actor, idempotency_key, body)
    if before:
        replayed = _replay(site, before, received, actor)
        if replayed:
            return replayed
    sent = _accept(site, received, given, actor)
    with site.db.begin() as session:
        row = session.scalar(_of(actor, idempotency_key))
        if row is not None:
            row.assessment_keys = list(sent.keys)
    return sent


def _given(fields: dict[str, str]) -> uploads.Given:
    try:
        return uploads.Given.from_form(fields)
    except ValueError as error:
        raise Problem(422, "Not as expected", str(error), "Change the field, or leave it out.", "invalid") from error


def _accept(site: Site, received: Received, given: uploads.Given, actor: Actor) -> Sent:
    # Files of a batch wait behind those that come alone.
    several = len(received.files) > 1 or received.files[0][1].start(2) == b"PK"
    batch = uploads.new_batch(site, actor) if several else None
    accepted, names = [], []
    for name, file in received.scans():
        accepted.append(uploads.accept(site, file, name, given, actor, batch))
        names.append(name)
    return Sent(tuple(a.key for a in accepted), tuple(a.assessment_id for a in accepted), tuple(names), batch)


def _fingerprint(received: Received) -> str:
    # Not of the bytes as sent: a retry draws a new boundary for its form.
    files = [[name, file.sha256] for name, file in received.files]
    body = json.dumps([sorted(received.fields.items()), files], ensure_ascii=True)
    return hashlib.sha256(body.encode()).hexdigest()


def _of(actor: Actor, value: str):  # type: ignore[no-untyped-def]
    return select(IdempotencyKey).where(IdempotencyKey.actor == actor.key, IdempotencyKey.value == value)


def _reserve(site: Site, actor: Actor, value: str, body: str) -> list[str]:
    """The keys of the assessments that a request with this key made before; none when it is the first."""
    try:
        with site.db.begin() as session:
            row = session.scalar(_of(actor, value))
            if row is None:
                # Before the files are accepted: of two requests at once with other bodies, one is refused.
                session.add(IdempotencyKey(actor=actor.key, value=value, body_sha256=body, assessment_keys=[]))
                return []
    except IntegrityError:  # the other of two at once was first
        with site.db.read() as session:
            row = session.scalar(_of(actor, value))
    if row is None or row.body_sha256 == body:
        return list(row.assessment_keys) if row else []
    raise Problem(
        422,
        "Key used before",
        "This Idempotency-Key came before with other files or fields.",
        "Choose a new key for each upload; repeat one only with the same upload.",
        "idempotency_key_reused",
    )


def _replay(site: Site, keys: list[str], received: Received, actor: Actor) -> Sent | None:
    with site.db.read() as session:
        rows = load(session, keys)
        batch = session.scalar(
            select(Batch.key)
            .join(Upload, Upload.batch_id == Batch.id)
            .where(Upload.assessment_id.in_([row.id for row in rows.values()]), Upload.by == actor.key)
            .order_by(Batch.id.desc())
        )
    if any(key not in rows for key in keys):
        return None  # deleted since: the files are here again, so they are taken again
    names = tuple(name for name, _ in received.scans())
    return Sent(tuple(keys), tuple(rows[key].id for key in keys), names, batch, replayed=True)
