"""Who a request is from, and what it may do: sessions, tokens, the demo, other sites and other hosts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from accounts import make_client, put_account, signed_in, with_csrf, with_token
from spinecare.server.security.who import is_loopback, safe_next
from spinecare.store import sessions
from spinecare.store.actor import May, Role
from spinecare.store.database import now
from spinecare.store.models import Account, SessionRow
from spinecare.store.site import Site


def change(site: Site, key: str, **values: object) -> None:
    with site.db.begin() as session:
        for name, value in values.items():
            setattr(session.query(Account).filter_by(key=key).one(), name, value)


def test_a_stranger_is_sent_to_the_sign_in_and_back(clinic: Site) -> None:
    answer = make_client(clinic).get("/test/see?q=a%26b&c=1")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/test/see%3Fq%3Da%2526b%26c%3D1"
    assert make_client(clinic).post("/test/do").headers["location"] == "/sign-in"


def test_a_program_without_a_token_gets_401_and_is_told_how(clinic: Site) -> None:
    answer = make_client(clinic).post("/api/test/do")

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    bad = make_client(clinic).get("/test/see", headers={"Authorization": "Bearer sc_wrong"})
    assert bad.status_code == 401
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]


def test_htmx_is_told_to_leave_the_page(clinic: Site) -> None:
    answer = make_client(clinic).get(
        "/test/see", headers={"HX-Request": "true", "HX-Current-URL": "https://evil.example//x/worklist?q=1"}
    )

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"].startswith("/sign-in?next=/")
    assert "evil" not in answer.headers["hx-redirect"]


@pytest.mark.parametrize(
    ("role", "see", "do"), [(Role.VIEWER, 200, 403), (Role.CLINICIAN, 200, 200), (Role.ADMINISTRATOR, 200, 200)]
)
def test_roles_may_what_they_may(clinic: Site, role: Role, see: int, do: int) -> None:
    client = signed_in(clinic, role)

    assert client.get("/test/see").status_code == see
    assert client.post("/test/do", data={"a": "b"}).status_code == do


def test_a_role_that_changes_or_an_account_that_is_disabled_holds_at_once(clinic: Site) -> None:
    put_account(clinic, Role.ADMINISTRATOR)
    client = signed_in(clinic, Role.CLINICIAN)
    assert client.post("/test/do").status_code == 200

    change(clinic, client.account, role="viewer")
    assert client.post("/test/do").status_code == 403
    change(clinic, client.account, disabled=True)
    assert client.get("/test/see").status_code == 303


def test_a_session_that_was_left_alone_is_over(clinic: Site) -> None:
    client = signed_in(clinic)
    with clinic.db.begin() as session:
        session.query(SessionRow).one().seen_at = now() - timedelta(minutes=31)

    assert client.get("/test/see").status_code == 303


def test_a_token_does_what_its_scopes_say_and_needs_no_form_token(clinic: Site) -> None:
    assert with_token(clinic, scopes={May.UPLOAD}).post("/api/test/do").status_code == 200
    refused = with_token(clinic, scopes={May.SEE}).post("/api/test/do")
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="upload"' in refused.headers["www-authenticate"]
    assert with_token(clinic, scopes={May.UPLOAD}).post("/test/do", data={"a": "b"}).json() == {"a": "b"}


def test_a_token_is_no_person(clinic: Site) -> None:
    program = with_token(clinic, Role.ADMINISTRATOR)

    assert program.get("/test/person").status_code == 403
    for path in ("/account/tokens", "/account/password", "/account/name"):
        assert program.post(path, data={"name": "x"}).status_code == 403


def test_a_bad_token_is_not_saved_by_a_good_cookie(clinic: Site) -> None:
    client = signed_in(clinic)

    for value in ("Bearer sc_wrong", "Basic YTpi", "Bearer", "", "bearer  "):
        assert client.get("/test/see", headers={"Authorization": value}).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "x" * 300, "a=b; c", '"', "\u00e9", "%00", "../../etc"])
def test_nonsense_in_the_cookie_is_nobody(clinic: Site, cookie: str) -> None:
    client = make_client(clinic)

    answer = client.get("/test/see", headers={"Cookie": f"spinecare_session={cookie}".encode("latin-1", "replace")})
    assert answer.status_code == 303


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://127.0.0.1@evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/test/do", "/api/test/do"])
def test_what_another_site_sends_is_refused_even_with_the_right_token(
    clinic: Site, site: Site, path: str, headers: dict[str, str]
) -> None:
    for client in (signed_in(clinic), with_csrf(make_client(site))):
        assert client.post(path, headers=headers).status_code == 403
        assert client.post(path, headers={"Origin": "http://127.0.0.1"}).status_code == 200


def test_a_session_changes_nothing_in_the_interface_without_its_token(clinic: Site) -> None:
    client = signed_in(clinic)
    assert client.post("/api/test/do").status_code == 200
    del client.headers["X-CSRF-Token"]

    answer = client.post("/api/test/do")
    assert answer.status_code == 403
    assert answer.json()["code"] == "csrf"


# Hosts


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "127.0.0.1:80:80", "[::2]", "10.0.0.1", ""]
)
def test_the_demo_answers_no_foreign_host(site: Site, host: str) -> None:
    client = make_client(site)

    for path in ("/test/see", "/healthz", "/metrics"):
        assert client.get(path, headers={"Host": host}).status_code == 421
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.1.2.3"]
)
def test_the_demo_answers_this_machine(site: Site, host: str) -> None:
    answer = make_client(site).get("/test/see", headers={"Host": host})

    assert answer.status_code == 200
    assert answer.json()["via"] == "demo"


def test_the_demo_administers_nobody(site: Site) -> None:
    assert "administer" not in make_client(site).get("/test/see").json()["may"]
    assert with_csrf(make_client(site)).post("/admin/accounts", data={"login": "eve"}).status_code == 403


def test_a_public_address_is_the_only_one(make_site: Callable[..., Site]) -> None:
    clinic = make_site(demo=False, public_url="https://spine.clinic.example")
    client = make_client(clinic, "spine.clinic.example")

    assert client.get("/sign-in").status_code == 200
    for host in ("evil.example", "spine.clinic.example:8443", "spine.clinic.example.evil.example"):
        assert client.get("/sign-in", headers={"Host": host}).status_code == 421
        assert client.get("/sign-in", headers={"X-Forwarded-Host": host}).status_code == 200
    assert client.get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code != 421


# Where to go after the sign-in


@pytest.mark.parametrize(
    "there",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/%0d\r\nSet-Cookie: a=b",
        "/sign-out",
        "/" + "x" * 2000,
        "",
        None,
    ],
)
def test_no_way_leads_elsewhere(there: str | None) -> None:
    assert safe_next(there) == "/"


@pytest.mark.parametrize("there", ["/", "/worklist?q=a&state=done", "/patients/0123456789abcdef#trend"])
def test_ways_inside_are_kept(there: str) -> None:
    assert safe_next(there) == there


def test_the_middleware_asks_the_database_off_the_event_loop(clinic: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    client, asked = signed_in(clinic), []
    find = sessions.find
    monkeypatch.setattr(
        "spinecare.server.security.who.sessions.find",
        lambda *given: (asked.append(threading.current_thread().name), find(*given))[1],
    )
    client.get("/test/see")
    client.get("/static/app.css")

    assert len(asked) == 1
    assert "AnyIO worker" in asked[0]


def test_an_odd_cookie_of_another_program_does_not_hide_ours(clinic: Site) -> None:
    client = signed_in(clinic)
    ours = f"spinecare_session={client.cookies['spinecare_session']}"

    for other in ('prefs={"a": [1, 2]}', "b@d=x", "=", "a=é"):
        for written in (f"{other}; {ours}", f"{ours}; {other}"):
            assert (
                make_client(clinic).get("/test/see", headers={"Cookie": written.encode("latin-1")}).status_code == 200
            )
