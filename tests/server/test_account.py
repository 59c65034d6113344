"""Signing in and out, the links that work once, and one's own account."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from accounts import CheapHasher, Client, make_client, put_account, signed_in, with_csrf, with_token
from spinecare.server.security import cookies
from spinecare.store import accounts, audit, invitations
from spinecare.store.actor import SYSTEM, Role
from spinecare.store.models import Account, AuditEntry, SessionRow, Token
from spinecare.store.site import Site

RIGHT = "blue door seven herons"


@pytest.fixture(autouse=True)
def hasher(monkeypatch: pytest.MonkeyPatch) -> CheapHasher:
    made = CheapHasher()
    monkeypatch.setattr(accounts, "_hasher", lambda: made)
    monkeypatch.setattr(accounts, "_nobodys_hash", lambda: "cheap:nobody's")
    return made


@pytest.fixture
def clinic(make_site: Callable[..., Site]) -> Site:
    """A site where a clinician `ada` has a password."""
    site = make_site(demo=False)
    put_account(site, login="ada")
    with site.db.begin() as session:
        session.query(Account).one().password_hash = accounts.hash_password(RIGHT)
    return site


def sign_in(client: Client, password: str = RIGHT, login: str = "ada", there: str = "/account") -> int:
    """Through the form, as a browser does."""
    page = client.get("/sign-in", params={"next": there})
    data = {"csrf": token_in(page.text), "next": there, "login": login, "password": password}
    answer = client.post("/sign-in", data=data)
    if answer.status_code == 303:
        assert answer.headers["location"] == there
    return answer.status_code


def token_in(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def actions(site: Site) -> list[str]:
    with site.db.read() as session:
        return [entry.action for entry in session.query(AuditEntry).order_by(AuditEntry.id)]


def test_from_the_first_link_to_signing_out(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    client = make_client(site)
    assert "no account yet" in client.get("/sign-in").text
    link = invitations.first_link(site.db)
    assert link is not None
    page = client.get(link)
    assert page.status_code == 200
    data = {"csrf": token_in(page.text), "name": "Ada Keller", "login": "ada", "password": RIGHT, "again": RIGHT}

    wrong = client.post(link, data={**data, "again": "another one"})
    assert wrong.status_code == 422
    assert 'value="Ada Keller"' in wrong.text
    assert RIGHT not in wrong.text
    answer = client.post(link, data=data)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = client.get("/account")
    assert "Administrator" in page.text
    assert client.post("/sign-out", data={"csrf": token_in(page.text)}).headers["location"] == "/sign-in"
    assert client.get("/account").status_code == 303
    assert actions(site)[-2:] == ["sign_in", "sign_out"]
    assert audit.check(site.db) is None

    assert client.get(link).status_code == 404
    again = make_client(site)
    eve = {**data, "login": "eve", "csrf": with_csrf(again).csrf}
    assert again.post(link, data=eve).status_code == 404
    assert invitations.first_link(site.db) is None
    assert "no account yet" not in again.get("/sign-in").text


def test_a_sign_in_makes_a_new_session_and_ends_the_one_before(clinic: Site) -> None:
    """Or somebody could leave a session of theirs in a browser and share the next one (fixation)."""
    client = make_client(clinic)
    client.cookies.set("spinecare_session", "chosen-by-somebody-else")
    assert sign_in(client) == 303
    first = client.cookies.get("spinecare_session", domain="127.0.0.1")
    assert first != "chosen-by-somebody-else"

    old = make_client(clinic)
    old.cookies.set("spinecare_session", first)
    assert old.get("/account").status_code == 200
    client.cookies.set("spinecare_session", first)
    with_csrf(client)
    fields = {"csrf": "", "login": "ada", "password": RIGHT}
    with clinic.db.read() as session:
        fields["csrf"] = session.query(SessionRow).one().csrf
    assert client.post("/sign-in", data=fields).status_code == 303
    assert old.get("/account").status_code == 303
    with clinic.db.read() as session:
        assert session.query(SessionRow).count() == 1


def test_what_goes_wrong_looks_the_same_for_everybody(clinic: Site) -> None:
    put_account(clinic, login="invited")
    client = make_client(clinic)

    def answer(login: str, password: str) -> tuple[int, str]:
        page = client.get("/sign-in")
        data = {"csrf": token_in(page.text), "login": login, "password": password}
        said = client.post("/sign-in", data=data)
        return said.status_code, said.text.replace(f'value="{login}"', 'value=""')

    wrong = answer("ada", "wrong")
    assert wrong[0] == 401
    assert answer("nobody", "wrong") == wrong
    assert answer("invited", "") == wrong
    for _ in range(10):
        answer("ada", "wrong")
    assert answer("ada", RIGHT) == wrong  # rests now, which is not told either


def test_what_was_typed_is_shown_escaped_and_the_password_never(clinic: Site) -> None:
    client = with_csrf(make_client(clinic))

    page = client.post("/sign-in", data={"login": '"><script>alert(1)</script>', "password": "my-very-own-password"})

    assert "<script>alert" not in page.text
    assert "my-very-own-password" not in page.text


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"])
def test_the_sign_in_leads_nowhere_else(clinic: Site, there: str) -> None:
    client = with_csrf(make_client(clinic))
    assert "evil" not in client.get("/sign-in", params={"next": there}).text

    answer = client.post("/sign-in", data={"login": "ada", "password": RIGHT, "next": there})
    assert answer.headers["location"] == "/"
    assert client.get("/sign-in", params={"next": there}).headers["location"] == "/"


def test_the_cookies_are_for_this_host_and_no_script(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False, public_url="https://spine.clinic.example")
    client = signed_in(site, host="spine.clinic.example")
    assert client.get("/account").status_code == 200

    plain = cookies.set_cookie(make_site(demo=False).settings, cookies.SESSION, "x")
    secure = cookies.set_cookie(site.settings, cookies.SESSION, "x")
    assert plain == "spinecare_session=x; Path=/; HttpOnly; SameSite=Lax"
    assert secure == "__Host-spinecare_session=x; Path=/; HttpOnly; SameSite=Lax; Secure"


def test_no_page_of_ours_can_be_framed_or_kept(clinic: Site) -> None:
    for client, path in ((make_client(clinic), "/sign-in"), (signed_in(clinic), "/account")):
        headers = client.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"


def test_a_known_browser_gets_in_while_strangers_guess(clinic: Site) -> None:
    mine = make_client(clinic)
    assert sign_in(mine) == 303
    with_csrf(mine).post("/sign-out", data={"csrf": token_in(mine.get("/account").text)})
    stranger = make_client(clinic)
    for _ in range(12):
        assert sign_in(stranger, "wrong") == 401
    assert sign_in(stranger) == 401
    mine.headers.pop("X-CSRF-Token")

    assert sign_in(mine) == 303


def test_a_known_browser_can_guess_no_more_often_than_others(clinic: Site) -> None:
    mine = make_client(clinic)
    sign_in(mine)
    known = mine.cookies.get("spinecare_known", domain="127.0.0.1")
    thief = make_client(clinic)
    thief.cookies.set("spinecare_known", known)
    statuses = [sign_in(thief, "wrong") for _ in range(12)]

    assert set(statuses) == {401}
    assert sign_in(thief) == 401


def test_another_password_needs_the_one_before_and_ends_other_browsers(clinic: Site) -> None:
    client, other = make_client(clinic), make_client(clinic)
    assert sign_in(client) == sign_in(other) == 303
    csrf = token_in(client.get("/account").text)
    new = "quite another password"

    def change(current: str, password: str = new, again: str = new) -> int:
        data = {"csrf": csrf, "current": current, "password": password, "again": again}
        return client.post("/account/password", data=data).status_code

    assert change("wrong") == 422
    assert change(RIGHT, "short", "short") == 422
    assert change(RIGHT, new, new + "x") == 422
    assert other.get("/account").status_code == 200
    assert change(RIGHT) == 303
    assert client.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    assert sign_in(make_client(clinic)) == 401
    assert sign_in(make_client(clinic), new) == 303


def test_the_current_password_can_not_be_guessed_fast(clinic: Site) -> None:
    client = signed_in(clinic, login="ada")
    data = {"current": "wrong", "password": RIGHT, "again": RIGHT}

    statuses = {client.post("/account/password", data=data).status_code for _ in range(25)}
    assert statuses == {422, 429}


def test_a_token_is_shown_once_and_works_until_it_is_ended(clinic: Site) -> None:
    client = signed_in(clinic, login="ada")

    page = client.post("/account/tokens", data={"name": "archive", "scope": ["see", "upload"], "days": "90"})

    secret = re.search(r"sc_[\w-]{43}", page.text)
    assert page.status_code == 201
    assert secret is not None
    assert secret[0] not in client.get("/account").text
    program = make_client(clinic)
    program.headers["Authorization"] = f"Bearer {secret[0]}"
    assert program.get("/account").status_code == 403  # known, but no person
    with clinic.db.read() as session:
        key = session.query(Token).one().key
    assert client.post(f"/account/tokens/{key}/end").status_code == 303
    assert program.get("/account").status_code == 401
    assert client.post(f"/account/tokens/{key}/end").status_code == 404


def test_nobody_makes_a_token_that_may_more_than_they_may(clinic: Site) -> None:
    client = signed_in(clinic, Role.VIEWER)
    assert "administer" not in client.get("/account").text

    for data in (
        {"name": "x", "scope": "administer", "days": "30"},
        {"name": "x", "scope": ["see", "upload"], "days": "30"},
        {"name": "x", "scope": "nonsense", "days": "30"},
        {"name": "", "scope": "see", "days": "30"},
        {"name": "x", "scope": "see", "days": "99999999999999999999"},
        {"name": "x", "scope": "see", "days": "-1"},
        {"name": "x", "scope": "see", "days": "²"},
    ):
        assert client.post("/account/tokens", data=data).status_code == 422
    with clinic.db.read() as session:
        assert session.query(Token).count() == 0


def test_one_sees_and_ends_what_is_ones_own(clinic: Site) -> None:
    mine, theirs = signed_in(clinic, login="ada"), signed_in(clinic, Role.ADMINISTRATOR)
    with_token(clinic, Role.ADMINISTRATOR)
    with clinic.db.read() as session:
        rows = {row.account_id: row.id for row in session.query(SessionRow)}
        other_id = session.query(Account).filter_by(role="administrator").one().id
        token = session.query(Token).one().key

    mine.post("/account/sessions", data={"session": str(rows[other_id])})
    for nonsense in ("x", "", "-1", "9" * 30, "1 OR 1=1"):
        assert mine.post("/account/sessions", data={"session": nonsense}).status_code == 303
    assert mine.post(f"/account/tokens/{token}/end").status_code == 404
    assert theirs.get("/account").status_code == 200
    mine.post("/account/sessions", data={"session": "others"})
    assert mine.get("/account").status_code == theirs.get("/account").status_code == 200


def test_a_name_is_changed_and_shown_escaped(clinic: Site) -> None:
    client = signed_in(clinic, login="ada")

    assert client.post("/account/name", data={"name": "<b>Dr.</b>  Ada\n"}).status_code == 303
    assert "&lt;b&gt;Dr.&lt;/b&gt; Ada" in client.get("/account").text
    for bad in ("", "   ", "x" * 200, "a\x07b", "a\u202eb"):
        assert client.post("/account/name", data={"name": bad}).status_code == 422


@pytest.mark.parametrize(
    "path", ["/account/name", "/account/password", "/account/sessions", "/account/tokens", "/sign-out", "/sign-in"]
)
def test_every_form_needs_its_token(clinic: Site, path: str) -> None:
    client = signed_in(clinic)
    del client.headers["X-CSRF-Token"]

    assert client.post(path, data={"name": "x"}).status_code == 403


def test_links_say_whose_they_are_and_sign_in(clinic: Site) -> None:
    with clinic.db.begin() as session:
        account = accounts.create(clinic.db, session, "mia", "Mia Lang", Role.VIEWER, SYSTEM)
        link = invitations.link_for(clinic.db, session, account, SYSTEM)
    client = make_client(clinic)
    page = client.get(link)
    assert "Mia Lang" in page.text

    # What a field says of login or role changes nothing.
    data = {"csrf": token_in(page.text), "password": RIGHT, "again": RIGHT, "login": "ada", "role": "administrator"}
    assert client.post(link, data=data).status_code == 303
    assert "Viewer" in client.get("/account").text


def test_the_demo_says_that_it_has_no_accounts(client: Client) -> None:
    assert "No accounts in the demo" in client.get("/account").text
    assert client.get("/sign-in").status_code == 303
