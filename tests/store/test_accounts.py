"""Accounts and the links that work once, as somebody would attack them; on both databases."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pwdlib import PasswordHash
from sqlalchemy.orm import Session

from accounts import CheapHasher
from spinecare.errors import StoreError
from spinecare.store import accounts, audit, invitations, sessions, tokens
from spinecare.store.actor import SYSTEM, May, Role
from spinecare.store.database import now
from spinecare.store.models import Account, AuditEntry, Invitation
from spinecare.store.site import Site

RIGHT = "blue door seven herons"


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> CheapHasher:
    made = CheapHasher()
    monkeypatch.setattr(accounts, "_hasher", lambda: made)
    monkeypatch.setattr(accounts, "_nobodys_hash", lambda: "cheap:nobody's")
    return made


def put(site: Site, login: str = "a.keller", role: Role = Role.CLINICIAN, password: str | None = RIGHT) -> str:
    with site.db.begin() as session:
        account = accounts.create(site.db, session, login, "Ada Keller", role, SYSTEM)
        if password is not None:
            account.password_hash = accounts.hash_password(password)
        return account.key


def change(site: Site, key: str, **values: object) -> None:
    with site.db.begin() as session:
        for name, value in values.items():
            setattr(accounts.by_key(session, key), name, value)


def sign_in(site: Site, password: str = RIGHT, login: str = "a.keller", known: str = "") -> Account | None:
    return accounts.check_sign_in(site.db, login, password, known)


def of(session: Session, key: str) -> Account:
    account = accounts.by_key(session, key)
    assert account is not None
    return account


def known_to(site: Site) -> str:
    """What a browser keeps once this account has signed in."""
    account = sign_in(site)
    assert account is not None
    return accounts.known_browser(account)


def test_a_password_is_kept_as_argon2id_with_the_costs_that_owasp_asks_for() -> None:
    hashed = accounts.hash_password(RIGHT)

    assert hashed.startswith("$argon2id$")
    costs = dict(part.split("=") for part in hashed.split("$")[3].split(","))
    assert int(costs["m"]) >= 19 * 1024
    assert int(costs["t"]) >= 2
    assert PasswordHash.recommended().verify(RIGHT, hashed)


def test_the_right_password_signs_in_and_any_other_does_not(site: Site, hasher: CheapHasher) -> None:
    key = put(site)

    assert sign_in(site, login=" A.Keller ").key == key  # type: ignore[union-attr]
    for wrong in ("", "blue door seven heron", RIGHT.upper(), RIGHT + "\0"):
        assert sign_in(site, wrong) is None
    assert sign_in(site, login="nobody") is None
    assert sign_in(site, login="") is None


def test_a_letter_typed_as_one_sign_or_as_two_is_the_same_letter(site: Site, hasher: CheapHasher) -> None:
    put(site, password="grün und größer")

    assert sign_in(site, "gru\u0308n und gro\u0308ßer") is not None


def test_an_unknown_login_costs_one_hash_like_a_known_one(site: Site, hasher: CheapHasher) -> None:
    put(site)
    put(site, "invited", password=None)
    change(site, put(site, "gone"), disabled=True)

    for login in ("a.keller", "nobody", "invited", "gone", "no login at all"):
        hasher.verified.clear()
        assert sign_in(site, "wrong", login) is None
        assert hasher.verified == ["wrong"]


def test_nobodys_hash_costs_what_a_real_one_costs() -> None:
    real, nobodys = accounts.hash_password(RIGHT), accounts._nobodys_hash()

    assert real.split("$")[:4] == nobodys.split("$")[:4]


def test_an_account_without_a_password_takes_none(site: Site, hasher: CheapHasher) -> None:
    put(site, "invited", password=None)

    assert sign_in(site, "nobody's", "invited") is None
    assert sign_in(site, "", "invited") is None


def test_a_megabyte_is_never_hashed(site: Site, hasher: CheapHasher) -> None:
    put(site)

    assert sign_in(site, "x" * 1_000_000) is None
    assert max(len(one) for one in hasher.verified) <= accounts.MAX_PASSWORD


def test_ten_wrong_tries_make_the_account_rest_for_a_quarter_of_an_hour(
    site: Site, hasher: CheapHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site)

    for _ in range(10):
        assert sign_in(site, "wrong") is None
    assert sign_in(site) is None

    later = now() + timedelta(minutes=15, seconds=1)
    monkeypatch.setattr(accounts, "now", lambda: later)
    assert sign_in(site, "wrong") is None
    assert sign_in(site) is not None


def test_a_good_sign_in_forgets_the_wrong_tries_before_it(site: Site, hasher: CheapHasher) -> None:
    put(site)

    for _ in range(3):
        for _ in range(9):
            assert sign_in(site, "wrong") is None
        assert sign_in(site) is not None


def test_many_guesses_at_once_are_ten_guesses(site: Site, hasher: CheapHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    put(site)
    compared: list[str | None] = []

    def verify(password: str, known: str | None) -> tuple[bool, None]:
        compared.append(known)
        return False, None

    monkeypatch.setattr(accounts, "_verify", verify)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: sign_in(site, f"guess {n}"), range(30)))

    assert len([known for known in compared if known is not None]) == accounts.MAX_FAILURES


def test_a_crowd_at_the_door_does_not_take_every_thread(
    site: Site, hasher: CheapHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site)
    go_on = threading.Event()
    monkeypatch.setattr(accounts, "_verify", lambda *given: (go_on.wait(20), None))

    def outcome(n: int) -> str:
        try:
            sign_in(site, "wrong", f"person{n}")
        except StoreError as error:
            go_on.set()
            return error.hint
        return "answered"

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(outcome, range(12)))
    assert "Wait a few seconds and try again." in said
    assert said.count("answered") >= 8
    assert sign_in(site) is not None


def test_strangers_who_guess_do_not_keep_a_known_browser_out(site: Site, hasher: CheapHasher) -> None:
    put(site)
    known = known_to(site)
    for _ in range(12):
        sign_in(site, "wrong")

    assert sign_in(site) is None
    assert sign_in(site, "wrong", known=known) is None
    assert sign_in(site, known=known) is not None


def test_a_browser_is_known_to_one_account_and_one_password(site: Site, hasher: CheapHasher) -> None:
    put(site)
    put(site, "other", password="another good password")
    known = known_to(site)
    for login in ("a.keller", "other"):
        for _ in range(10):
            sign_in(site, "wrong", login)

    assert sign_in(site, "another good password", "other", known=known) is None
    with site.db.begin() as session:
        account = accounts.by_login(session, "a.keller")
        assert account is not None
        account.password_hash = accounts.hash_password("quite another password")
    assert sign_in(site, "quite another password", known=known) is None
    for forged in ("", "x", known[:-1] + "0", "é" * 40, account.key + "."):
        assert sign_in(site, "quite another password", known=forged) is None


def test_an_account_without_a_password_knows_no_browser(site: Site, hasher: CheapHasher) -> None:
    key = put(site, password=None)
    with site.db.read() as session:
        account = accounts.by_key(session, key)

    assert account is not None
    assert not accounts._is_known(account, accounts.known_browser(account))


def test_who_is_disabled_while_the_password_is_hashed_does_not_get_in(
    site: Site, hasher: CheapHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(site)
    verify = accounts._verify

    def slow(password: str, known: str | None) -> tuple[bool, str | None]:
        change(site, key, disabled=True)
        return verify(password, known)

    monkeypatch.setattr(accounts, "_verify", slow)
    assert sign_in(site) is None


def test_the_audit_log_knows_of_failures_and_not_what_was_typed(site: Site, hasher: CheapHasher) -> None:
    key = put(site)
    sign_in(site, "my secret password")
    sign_in(site, login="typed-my-password-here")

    with site.db.read() as session:
        entries = session.query(AuditEntry).filter_by(action="sign_in_failed").order_by(AuditEntry.id).all()
    assert [entry.object_key for entry in entries] == [key, "unknown"]
    written = json.dumps([[e.object_key, e.actor, e.details] for e in entries])
    assert "secret" not in written
    assert "typed" not in written
    assert audit.check(site.db) is None


@pytest.mark.parametrize(
    "password",
    ["short", "elevenchars", "x" * 257, "aaaaaaaaaaaaaaaa", "password1234", "SpineCare123456", "a.keller-a.keller"],
)
def test_passwords_that_are_guessed_first_are_not_taken(password: str) -> None:
    with pytest.raises(ValueError, match="password"):
        accounts.clean_password(password, "a.keller")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "zwölf Zeichen", "日本語のとても長いことば", "x1!x2?y3#z4+"]
)
def test_other_passwords_are_taken_as_they_are(password: str) -> None:
    assert accounts.clean_password(password, "a.keller") == password


@pytest.mark.parametrize("login", ["", "a", "a b", "é" * 5, "-x", "x" * 65, "a\nb", "<b>", "a/b"])
def test_what_can_be_no_login_is_not_taken(login: str) -> None:
    with pytest.raises(ValueError, match="login"):
        accounts.clean_login(login)


def test_a_login_is_taken_once_in_any_case(site: Site) -> None:
    put(site, password=None)

    with pytest.raises(ValueError, match="already"):
        put(site, "A.KELLER", password=None)


def test_the_last_administrator_stays(site: Site, hasher: CheapHasher) -> None:
    first = put(site, role=Role.ADMINISTRATOR)
    put(site, "invited", Role.ADMINISTRATOR, password=None)  # never came: can't administer
    change(site, put(site, "gone", Role.ADMINISTRATOR), disabled=True)

    with site.db.begin() as session:
        account = accounts.by_key(session, first)
        assert account is not None
        with pytest.raises(ValueError, match="only administrator"):
            accounts.set_role(site.db, session, account, Role.VIEWER, SYSTEM)
        with pytest.raises(ValueError, match="only administrator"):
            accounts.disable(site.db, session, account, SYSTEM)
    put(site, "second", Role.ADMINISTRATOR)
    with site.db.begin() as session:
        accounts.disable(site.db, session, of(session, first), SYSTEM)


def test_two_administrators_who_disable_each_other_at_once_leave_one(site: Site, hasher: CheapHasher) -> None:
    keys = [put(site, name, Role.ADMINISTRATOR) for name in ("one", "two")]

    def disable(key: str) -> bool:
        try:
            with site.db.begin() as session:
                accounts.disable(site.db, session, of(session, key), SYSTEM)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, keys)) == [False, True]


def test_disabling_ends_sessions_and_tokens_for_good(site: Site, hasher: CheapHasher) -> None:
    key = put(site)
    with site.db.begin() as session:
        account = accounts.by_key(session, key)
        assert account is not None
        cookie, _ = sessions.start(session, account, site.settings)
        token, _ = tokens.make(session, account, "archive", frozenset({May.SEE}), 30)
    assert tokens.find(site.db, token) is not None

    with site.db.begin() as session:
        accounts.disable(site.db, session, of(session, key), SYSTEM)
    with site.db.begin() as session:
        accounts.enable(site.db, session, of(session, key), SYSTEM)

    assert sessions.find(site.db, cookie, site.settings) is None
    assert tokens.find(site.db, token) is None
    assert sign_in(site) is not None


# Links


def secret_of(path: str | None) -> str:
    assert path is not None
    assert path.startswith("/welcome/")
    return path.removeprefix("/welcome/")


def test_the_first_link_makes_one_administrator_and_there_is_no_second_first(site: Site, hasher: CheapHasher) -> None:
    secret = secret_of(invitations.first_link(site.db))

    account = invitations.accept(site.db, secret, RIGHT, "Ada", "Ada Keller")

    assert account is not None
    assert (account.role, account.login) == ("administrator", "ada")
    assert sign_in(site, login="ada") is not None
    assert invitations.first_link(site.db) is None
    assert invitations.accept(site.db, secret, RIGHT, "eve", "Eve") is None


def test_each_start_voids_the_link_of_the_one_before(site: Site, hasher: CheapHasher) -> None:
    old, new = secret_of(invitations.first_link(site.db)), secret_of(invitations.first_link(site.db))

    assert invitations.accept(site.db, old, RIGHT, "eve", "Eve") is None
    assert invitations.accept(site.db, new, RIGHT, "ada", "Ada") is not None


def test_a_link_that_many_use_at_once_works_for_one(site: Site, hasher: CheapHasher) -> None:
    secret = secret_of(invitations.first_link(site.db))

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: invitations.accept(site.db, secret, RIGHT, f"person{n}", "X"), range(6)))

    assert sum(one is not None for one in made) == 1
    with site.db.read() as session:
        assert session.query(Account).count() == 1


def test_a_link_is_not_used_up_by_looking_or_by_a_password_that_is_not_taken(site: Site, hasher: CheapHasher) -> None:
    secret = secret_of(invitations.first_link(site.db))
    for _ in range(3):
        with site.db.read() as session:
            assert invitations.find(session, secret) is not None
    for login, name, password in (("ada", "Ada", "short"), ("", "Ada", RIGHT), ("ada", "", RIGHT)):
        with pytest.raises(ValueError, match=r"."):
            invitations.accept(site.db, secret, password, login, name)

    assert invitations.accept(site.db, secret, RIGHT, "ada", "Ada") is not None


def test_links_end_with_time_with_a_newer_one_and_with_their_account(
    site: Site, hasher: CheapHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(site, password=None)

    def link() -> str:
        with site.db.begin() as session:
            account = accounts.by_key(session, key)
            assert account is not None
            return secret_of(invitations.link_for(site.db, session, account, SYSTEM))

    old, new = link(), link()
    assert invitations.accept(site.db, old, RIGHT) is None
    with monkeypatch.context() as later:
        later.setattr(invitations, "now", lambda: now() + timedelta(days=8))
        assert invitations.accept(site.db, new, RIGHT) is None
    change(site, key, disabled=True)
    assert invitations.accept(site.db, new, RIGHT) is None
    change(site, key, disabled=False)
    assert invitations.accept(site.db, new, RIGHT) is not None
    for nonsense in ("", "x", new + "x", "x" * 100_000):
        assert invitations.accept(site.db, nonsense, RIGHT) is None


def test_a_new_password_by_link_signs_all_browsers_out_and_ends_the_rest(site: Site, hasher: CheapHasher) -> None:
    key = put(site)
    for _ in range(10):
        sign_in(site, "wrong")
    with site.db.begin() as session:
        account = accounts.by_key(session, key)
        assert account is not None
        cookie, _ = sessions.start(session, account, site.settings)
        secret = secret_of(invitations.link_for(site.db, session, account, SYSTEM))

    assert invitations.accept(site.db, secret, "quite another password") is not None

    assert sessions.find(site.db, cookie, site.settings) is None
    assert sign_in(site) is None
    assert sign_in(site, "quite another password") is not None


def test_no_secret_stands_in_the_database(make_store: Callable[..., Site], hasher: CheapHasher) -> None:
    site = make_store()
    secret = secret_of(invitations.first_link(site.db))

    with site.db.read() as session:
        row = session.query(Invitation).one()
        assert secret not in str(vars(row))
