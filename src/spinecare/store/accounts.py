"""Accounts: who can sign in, with which password, and how often somebody may guess it."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from spinecare.errors import StoreError
from spinecare.store import audit, sessions, tokens
from spinecare.store.actor import SYSTEM, Actor, Role
from spinecare.store.audit import Action
from spinecare.store.database import Database, now
from spinecare.store.models import Account

MIN_PASSWORD, MAX_PASSWORD = 12, 256
MAX_FAILURES = 10
LOCKED_FOR = timedelta(minutes=15)
# One hash takes 64 MiB and a tenth of a second on purpose; more at once would let strangers fill the memory.
_HASHING = threading.BoundedSemaphore(2)
# Who waits for that holds a thread that pages need: more than these are sent away, and told to come back.
_SEATS = threading.BoundedSemaphore(8)
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")
_EASY = ("password", "passwort", "spinecare", "qwerty", "123456", "abcdef", "letmein", "welcome")


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()  # argon2id


@cache
def _nobodys_hash() -> str:
    return _hasher().hash("compared with where there is no such account")


def _plain(password: str) -> str:
    # The same letter can be typed as one sign or as two; people can't tell (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


@contextmanager
def _seat() -> Iterator[None]:
    if not _SEATS.acquire(blocking=False):
        raise StoreError("Too many people sign in at this moment.", "Wait a few seconds and try again.")
    try:
        yield
    finally:
        _SEATS.release()


def hash_password(password: str) -> str:
    """Argon2id with its salt and costs, as text. Raises `StoreError` when too many ask for it at once."""
    with _seat(), _HASHING:
        return _hasher().hash(_plain(password))


def _verify(password: str, known: str | None) -> tuple[bool, str | None]:
    # Whether there is such an account must not be told by the time: something is always hashed.
    with _HASHING:
        try:
            right, better = _hasher().verify_and_update(_plain(password), known or _nobodys_hash())
        except PwdlibError:
            return False, None
    return right and known is not None, better


def clean_login(login: str) -> str:
    """A login as it is kept: lower case, no spaces around.

    Raises
    ------
    ValueError
        A sentence, when it can be none.
    """
    login = unicodedata.normalize("NFKC", login).strip().lower()
    if not _LOGIN.fullmatch(login):
        raise ValueError("A login has 2 to 64 letters (a–z), digits, or . _ - + @, like j.doe or an e-mail address.")
    return login


def clean_name(name: str) -> str:
    """A name as it is shown. Raises `ValueError` with a sentence when there is none."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 128 or not name.isprintable():
        raise ValueError("Give a name of at most 128 letters.")
    return name


def clean_password(password: str, login: str) -> str:
    """The password, when it can be one; no rules about kinds of letters (NIST SP 800-63B).

    Raises
    ------
    ValueError
        A sentence that says what to choose instead.
    """
    plain = _plain(password)
    if len(plain) < MIN_PASSWORD:
        raise ValueError(f"A password has at least {MIN_PASSWORD} characters. A few words in a row are good.")
    if len(plain) > MAX_PASSWORD:
        raise ValueError(f"A password has at most {MAX_PASSWORD} characters.")
    rest = plain.lower()
    for easy in (*_EASY, login.lower(), login.lower().split("@")[0]):
        rest = rest.replace(easy, "") if len(easy) >= 3 else rest
    if len(rest) < 6 or len(set(rest)) < 5:
        raise ValueError("This password is easy to guess. Take a few words that have nothing to do with you.")
    return password


def by_login(session: Session, login: str) -> Account | None:
    """The account with this login, typed in any case."""
    try:
        return session.scalar(select(Account).where(Account.login == clean_login(login)))
    except ValueError:
        return None


def by_key(session: Session, key: str) -> Account | None:
    """The account with this key."""
    return session.scalar(select(Account).where(Account.key == key))


def everybody(session: Session) -> list[Account]:
    """All accounts, by name."""
    return list(session.scalars(select(Account).order_by(func.lower(Account.name), Account.id)))


def any_account(db: Database) -> bool:
    """Whether there is one at all; without, the first start's link makes it."""
    with db.read() as session:
        return session.scalar(select(Account.id).limit(1)) is not None


def create(
    db: Database, session: Session, login: str, name: str, role: Role, actor: Actor, *, subject: str | None = None
) -> Account:
    """A new account, without a password: an invitation's link or OpenID Connect (`subject`) lets its owner in.

    Raises
    ------
    ValueError
        A sentence, when the login or the name can't be one, or the login is taken.
    """
    login, name = clean_login(login), clean_name(name)
    db.lock(session, "accounts")
    if by_login(session, login) is not None:
        raise ValueError("Somebody has this login already. Choose another.")
    account = Account(login=login, name=name, role=role.value, oidc_subject=subject)
    session.add(account)
    session.flush()
    audit.note(db, session, actor, Action.ADMINISTER, "account", account.key, did="create", role=role.value)
    return account


def check_sign_in(db: Database, login: str, password: str, known: str = "") -> Account | None:
    """The account, when login and password are right and it may sign in. Nothing tells which of it was wrong.

    A try is counted before the password is looked at, so that many at once can't be more than `MAX_FAILURES`;
    after those the account rests for `LOCKED_FOR`. A browser that shows `known_browser` of the account isn't
    kept out by that rest, or strangers could keep people from working by guessing on purpose.

    Raises
    ------
    StoreError
        When too many sign in at once; such a try isn't counted.
    """
    with _seat():
        return _check_sign_in(db, login, password, known)


def _check_sign_in(db: Database, login: str, password: str, known: str) -> Account | None:
    if len(password) > MAX_PASSWORD:
        password = ""  # nobody's: no time and memory for megabytes
    with db.begin() as session:
        account = by_login(session, login)
        known_hash = account.password_hash if account else None
        if account is not None:
            session.refresh(account, with_for_update=None if db.is_sqlite else True)
            if not _counted(account) and not _is_known(account, known):
                known_hash = None
            if account.disabled:
                known_hash = None
    right, better = _verify(password, known_hash)
    with db.begin() as session:
        account = by_login(session, login)
        # Once more: it may have been disabled, or its password changed, while we hashed.
        if right and account is not None and not account.disabled and account.password_hash == known_hash:
            account.failures, account.locked_until, account.signed_in_at = 0, None, now()
            account.password_hash = better or account.password_hash
            return account
        audit.note(db, session, SYSTEM, Action.SIGN_IN_FAILED, "account", account.key if account else "unknown")
    return None


def _counted(account: Account) -> bool:
    """Count a try; False when the account rests."""
    at = now()
    if account.locked_until is not None:
        if at < account.locked_until:
            return False
        account.failures, account.locked_until = 0, None
    account.failures += 1
    if account.failures >= MAX_FAILURES:
        account.locked_until = at + LOCKED_FOR
    return True


def known_browser(account: Account) -> str:
    """What a browser keeps after a sign-in, to be known again ("device cookie", OWASP). Void with a new password."""
    key = (account.password_hash or "").encode()
    return f"{account.key}.{hmac.new(key, b'known ' + account.key.encode(), hashlib.sha256).hexdigest()}"


def _is_known(account: Account, known: str) -> bool:
    return bool(account.password_hash) and hmac.compare_digest(known.encode(), known_browser(account).encode())


def is_password(account: Account, password: str) -> bool:
    """Whether it is this account's. For people who are signed in; the caller limits how often."""
    with _seat():
        return len(password) <= MAX_PASSWORD and _verify(password, account.password_hash)[0]


def set_password(db: Database, session: Session, account: Account, hashed: str, actor: Actor, keep: int | None) -> None:
    """Give an account the password of this hash: it may sign in at once, and every browser but `keep` is signed out."""
    account.password_hash = hashed
    account.failures, account.locked_until = 0, None
    sessions.end_all(session, account.id, but=keep)
    audit.note(db, session, actor, Action.CHANGE, "account", account.key, did="password")


def set_role(db: Database, session: Session, account: Account, role: Role, actor: Actor) -> None:
    """Change what an account may do, from its next request on.

    Raises
    ------
    ValueError
        A sentence, when nobody would be left who can administer.
    """
    db.lock(session, "accounts")
    if role != Role.ADMINISTRATOR:
        _keep_an_administrator(session, account)
    before, account.role = account.role, role.value
    audit.note(
        db, session, actor, Action.ADMINISTER, "account", account.key, did="role", before=before, after=role.value
    )


def disable(db: Database, session: Session, account: Account, actor: Actor) -> None:
    """Let nobody in with this account any more: its browsers are signed out and its tokens end.

    Raises
    ------
    ValueError
        A sentence, when nobody would be left who can administer.
    """
    db.lock(session, "accounts")
    _keep_an_administrator(session, account)
    account.disabled = True
    sessions.end_all(session, account.id)
    tokens.revoke(session, account.id)
    audit.note(db, session, actor, Action.ADMINISTER, "account", account.key, did="disable")


def enable(db: Database, session: Session, account: Account, actor: Actor) -> None:
    """Let the account in again. Its tokens stay ended."""
    account.disabled, account.failures, account.locked_until = False, 0, None
    audit.note(db, session, actor, Action.ADMINISTER, "account", account.key, did="enable")


def _keep_an_administrator(session: Session, account: Account) -> None:
    others = select(func.count()).where(
        Account.role == Role.ADMINISTRATOR,
        Account.disabled.is_(False),
        Account.id != account.id,
        # Who was invited and never came can't administer.
        Account.password_hash.is_not(None) | Account.oidc_subject.is_not(None),
    )
    if account.role == Role.ADMINISTRATOR and not account.disabled and session.scalar(others) == 0:
        raise ValueError("This is the only administrator. Make somebody else administrator first.")
