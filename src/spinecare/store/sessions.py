"""Browsers that are signed in. The cookie's secret is kept as its hash alone."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from spinecare.settings import SiteSettings
from spinecare.store.actor import ROLE_MAY, Actor, Role
from spinecare.store.database import Database, now
from spinecare.store.models import Account, SessionRow

# `seen_at` is for the idle limit and for people to look at: a minute is exact enough, and spares a write a request.
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Signed:
    """A living session: who, the row's `id`, and the token of its forms."""

    actor: Actor
    session_id: int
    account_id: int
    csrf: str


def hash_of(secret: str) -> str:
    """What is kept of a secret of 256 random bits: SHA-256 in hex. (A password needs argon2; this doesn't.)"""
    return hashlib.sha256(secret.encode()).hexdigest()


def actor_of(account: Account) -> Actor:
    """The person at a page."""
    role = Role(account.role)
    return Actor(account.key, account.name, role, ROLE_MAY[role], "session")


def start(session: Session, account: Account, settings: SiteSettings) -> tuple[str, SessionRow]:
    """Sign a browser in: the secret for its cookie, always a new one, and the row."""
    at = now()
    # Old rows go when somebody comes: nothing else needs to sweep them.
    session.execute(delete(SessionRow).where(SessionRow.expires_at < at))
    secret = secrets.token_urlsafe(32)
    row = SessionRow(
        secret_sha256=hash_of(secret),
        account_id=account.id,
        csrf=secrets.token_urlsafe(32),
        created_at=at,
        seen_at=at,
        expires_at=at + timedelta(hours=settings.session_hours),
    )
    session.add(row)
    session.flush()
    return secret, row


def find(db: Database, secret: str, settings: SiteSettings, at: datetime | None = None) -> Signed | None:
    """The living session of this secret: not ended, not idle too long, its account not disabled.

    One read; `seen_at` is written at most once a minute.
    """
    at = at or now()
    with db.read() as session:
        found = session.execute(
            select(SessionRow, Account)
            .join(Account, Account.id == SessionRow.account_id)
            .where(SessionRow.secret_sha256 == hash_of(secret))
        ).first()
    if found is None:
        return None
    row, account = found
    idle = timedelta(minutes=settings.session_idle_minutes)
    if account.disabled or at >= row.expires_at or at - row.seen_at > idle:
        return None
    if at - row.seen_at > SEEN_EVERY:
        with db.begin() as session:
            session.execute(update(SessionRow).where(SessionRow.id == row.id).values(seen_at=at))
    return Signed(actor_of(account), row.id, account.id, row.csrf)


def end(session: Session, session_id: int, account_id: int) -> None:
    """Sign one browser of this account out."""
    session.execute(delete(SessionRow).where(SessionRow.id == session_id, SessionRow.account_id == account_id))


def end_secret(session: Session, secret: str) -> None:
    """Sign out the browser that holds this secret, if it is signed in."""
    session.execute(delete(SessionRow).where(SessionRow.secret_sha256 == hash_of(secret)))


def end_all(session: Session, account_id: int, but: int | None = None) -> None:
    """Sign all browsers of an account out, but the session `but`."""
    ending = delete(SessionRow).where(SessionRow.account_id == account_id)
    session.execute(ending if but is None else ending.where(SessionRow.id != but))


def living(session: Session, account_id: int, settings: SiteSettings) -> list[SessionRow]:
    """The browsers in which an account is signed in, last used first."""
    at = now()
    rows = session.scalars(
        select(SessionRow)
        .where(
            SessionRow.account_id == account_id,
            SessionRow.expires_at > at,
            SessionRow.seen_at > at - timedelta(minutes=settings.session_idle_minutes),
        )
        .order_by(SessionRow.seen_at.desc())
    )
    return list(rows)
