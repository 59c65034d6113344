"""API tokens: a program's key to what its owner may do, narrowed by scopes. Shown once, kept as its hash."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from spinecare.store.actor import ROLE_MAY, Actor, May, Role
from spinecare.store.database import Database, now
from spinecare.store.models import Account, Token
from spinecare.store.sessions import SEEN_EVERY, hash_of

# A prefix lets scanners of repositories find tokens that were committed by mistake.
PREFIX = "sc_"
MAX_DAYS = 366


def make(session: Session, account: Account, name: str, scopes: frozenset[May], days: int) -> tuple[str, Token]:
    """A new token of `account`, for `days`: its secret, which is never seen again, and the row.

    Raises
    ------
    ValueError
        A sentence, when the name, the scopes or the days are not possible.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= 128 or not name.isprintable():
        raise ValueError("Give the token a name, so that you know later which program has it.")
    if not scopes:
        raise ValueError("Choose at least one thing that the program may do.")
    if not scopes <= ROLE_MAY[Role(account.role)]:
        raise ValueError("A token can't do more than you may do yourself.")
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"A token can live from 1 to {MAX_DAYS} days.")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = Token(
        secret_sha256=hash_of(secret),
        account_id=account.id,
        name=name,
        scopes=sorted(scope.value for scope in scopes),
        expires_at=now() + timedelta(days=days),
    )
    session.add(row)
    session.flush()
    return secret, row


def find(db: Database, secret: str, at: datetime | None = None) -> Actor | None:
    """Who this token stands for now: what its owner's role allows today, and its scopes. None when it is no good.

    One read; `used_at` is written at most once a minute.
    """
    at = at or now()
    if not secret.startswith(PREFIX) or len(secret) > 128:
        return None
    with db.read() as session:
        found = session.execute(
            select(Token, Account)
            .join(Account, Account.id == Token.account_id)
            .where(Token.secret_sha256 == hash_of(secret))
        ).first()
    if found is None:
        return None
    token, account = found
    over = token.expires_at is not None and at >= token.expires_at
    if account.disabled or token.revoked_at is not None or over:
        return None
    if token.used_at is None or at - token.used_at > SEEN_EVERY:
        with db.begin() as session:
            session.execute(update(Token).where(Token.id == token.id).values(used_at=at))
    role = Role(account.role)
    may = frozenset(may for may in ROLE_MAY[role] if may.value in token.scopes)
    return Actor(account.key, account.name, role, may, "token")


def of_account(session: Session, account_id: int) -> list[Token]:
    """The tokens of an account that still work, newest first."""
    rows = session.scalars(
        select(Token)
        .where(
            Token.account_id == account_id,
            Token.revoked_at.is_(None),
            or_(Token.expires_at.is_(None), Token.expires_at > now()),
        )
        .order_by(Token.id.desc())
    )
    return list(rows)


def revoke(session: Session, account_id: int, key: str | None = None) -> bool:
    """End the token `key` of this account, or all of them; whether there was one."""
    ending = update(Token).where(Token.account_id == account_id, Token.revoked_at.is_(None)).values(revoked_at=now())
    done = session.execute(ending if key is None else ending.where(Token.key == key))
    return bool(done.rowcount)  # type: ignore[attr-defined]
