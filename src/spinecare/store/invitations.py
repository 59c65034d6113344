"""Links that work once: the first administrator, a new account, a forgotten password. Kept as their hash."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from spinecare.store import accounts, audit
from spinecare.store.actor import SYSTEM, Actor, Role
from spinecare.store.audit import Action
from spinecare.store.database import Database, now
from spinecare.store.models import Account, Invitation
from spinecare.store.sessions import actor_of, hash_of

FIRST, INVITE, RESET = "first", "invite", "reset"
LIVES = {FIRST: timedelta(days=1), INVITE: timedelta(days=7), RESET: timedelta(days=1)}


@dataclass(frozen=True)
class Welcome:
    """What a link is for; `account` is None for the first administrator, who is made with it."""

    purpose: str
    account: Account | None


def first_link(db: Database) -> str | None:
    """The path of a new link that makes the first administrator; None when there are accounts.

    Earlier ones stop to work: each start prints its own.
    """
    with db.begin() as session:
        db.lock(session, "accounts")
        if session.scalar(select(Account.id).limit(1)) is not None:
            return None
        session.execute(delete(Invitation).where(Invitation.purpose == FIRST))
        return _link(session, FIRST, None)


def link_for(db: Database, session: Session, account: Account, actor: Actor) -> str:
    """The path of a new link with which the owner of `account` chooses a password; earlier ones stop to work."""
    session.execute(delete(Invitation).where(Invitation.account_id == account.id))
    purpose = RESET if account.password_hash else INVITE
    audit.note(db, session, actor, Action.ADMINISTER, "account", account.key, did=f"{purpose} link")
    return _link(session, purpose, account.id)


def _link(session: Session, purpose: str, account_id: int | None) -> str:
    at = now()
    # Links that are over go when a new one is made: nothing else needs to sweep them.
    session.execute(delete(Invitation).where(or_(Invitation.expires_at < at, Invitation.used_at.is_not(None))))
    secret = secrets.token_urlsafe(32)
    session.add(
        Invitation(
            secret_sha256=hash_of(secret), purpose=purpose, account_id=account_id, expires_at=at + LIVES[purpose]
        )
    )
    return f"/welcome/{secret}"


def find(session: Session, secret: str) -> Welcome | None:
    """What this link is for, if it still works. Looking does not use it up: programs look at links, too."""
    row = session.scalar(select(Invitation).where(_works(secret)))
    if row is None:
        return None
    account = session.get(Account, row.account_id) if row.account_id else None
    return None if account is not None and account.disabled else Welcome(row.purpose, account)


def accept(db: Database, secret: str, password: str, login: str = "", name: str = "") -> Account | None:
    """Use the link up: its account gets this password. The account; None when the link works no more.

    Of two that come at once, one gets it.

    Parameters
    ----------
    login, name
        Of the first administrator; other links have their account already.

    Raises
    ------
    ValueError
        A sentence, when login, name or password can't be used. The link still works then.
    """
    with db.read() as session:
        welcome = find(session, secret)
    if welcome is None:
        return None
    login = welcome.account.login if welcome.account else accounts.clean_login(login)
    # Hashing takes a tenth of a second, in which nobody else should wait for the database.
    hashed = accounts.hash_password(accounts.clean_password(password, login))
    with db.begin() as session:
        db.lock(session, "accounts")
        taken = session.execute(
            update(Invitation).where(_works(secret)).values(used_at=now()).execution_options(synchronize_session=False)
        )
        if taken.rowcount != 1:  # type: ignore[attr-defined]
            return None
        if welcome.account is None:
            if session.scalar(select(Account.id).limit(1)) is not None:
                return None
            account = accounts.create(db, session, login, name, Role.ADMINISTRATOR, SYSTEM)
        else:
            account = session.get_one(Account, welcome.account.id)
            if account.disabled:
                return None
        accounts.set_password(db, session, account, hashed, actor_of(account), keep=None)
        account.signed_in_at = now()
        return account


def _works(secret: str) -> ColumnElement[bool]:
    return and_(
        Invitation.secret_sha256 == hash_of(secret[:256]),
        Invitation.used_at.is_(None),
        Invitation.expires_at > now(),
    )
