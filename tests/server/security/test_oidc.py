"""Sign-in by OpenID Connect, against a small provider on loopback that can be told to lie."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from accounts import Client, make_client
from spinecare.server.security import oidc
from spinecare.store.models import Account, AuditEntry, OidcStart, SessionRow
from spinecare.store.site import Site

HOST = "spine.clinic.example"


class Provider:
    """Answers as OpenID Connect Core 1.0 says; `claims` and the other fields are what it lies with."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.sign_with: Any = self.key
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.claims: dict[str, Any] = {}
        self.person = {"sub": "s-1", "name": "Ada Keller", "preferred_username": "ada.keller"}
        self.metadata: dict[str, Any] = {}
        self.token_status = 200
        self.asked: list[dict[str, str]] = []
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("openid-configuration"):
                    return self._json(provider.configuration())
                return self._json({"keys": [provider.key.as_dict(private=False)]})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                sent = {name: values[0] for name, values in parse_qs(body).items()}
                sent["authorization"] = self.headers.get("Authorization", "")
                self._json(*provider.token(sent))

            def _json(self, value: Any, status: int = 200) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *given: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
            **self.metadata,
        }

    def authorize(self, address: str) -> dict[str, str]:
        """What a browser brings back after the person said yes; checks what we asked."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(self.issuer + "/authorize?")
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"https://{HOST}/oidc/callback"
        assert "openid" in asked["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"state": asked["state"], "code": code}

    def token(self, sent: dict[str, str]) -> tuple[dict[str, Any], int]:
        self.asked.append(sent)
        asked = self.codes.pop(sent.get("code", ""), None)
        if asked is None or self.token_status != 200:
            return {"error": "invalid_grant"}, 400
        digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        at = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "spinecare",
            "iat": at,
            "exp": at + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithms = [self.header["alg"]]
        token = jwt.encode(self.header, claims, self.sign_with, algorithms=algorithms)
        return {"access_token": "a", "token_type": "Bearer", "id_token": token}, 200


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def clinic(make_site: Callable[..., Site], provider: Provider) -> Site:
    return make_site(
        demo=False,
        public_url=f"https://{HOST}",
        oidc_issuer=provider.issuer,
        oidc_client_id="spinecare",
        oidc_client_secret="a secret",
        oidc_default_role="clinician",
    )


@pytest.fixture
def browser(clinic: Site) -> Client:
    """A browser that has seen the sign-in page."""
    made = make_client(clinic, HOST)
    assert "/oidc/start" in made.get("/sign-in").text
    return made


def come_back(browser: Client, answer: dict[str, str]) -> Any:
    return browser.get("/oidc/callback", params=answer)


def go(browser: Client, provider: Provider, there: str = "/worklist") -> Any:
    browser.cookies.clear()
    browser.get("/sign-in")
    start = browser.get("/oidc/start", params={"next": there})
    assert start.status_code == 303
    return come_back(browser, provider.authorize(start.headers["location"]))


def everybody(site: Site) -> list[Account]:
    with site.db.read() as session:
        return session.query(Account).order_by(Account.id).all()


def test_somebody_new_gets_an_account_with_the_role_of_the_settings(
    browser: Client, provider: Provider, clinic: Site
) -> None:
    answer = go(browser, provider)

    assert (answer.status_code, answer.headers["location"]) == (303, "/worklist")
    (account,) = everybody(clinic)
    assert (account.login, account.name, account.role) == ("ada.keller", "Ada Keller", "clinician")
    assert account.password_hash is None
    assert browser.get("/account").status_code == 200
    assert provider.asked[0]["authorization"].startswith("Basic ")
    with clinic.db.read() as session:
        assert session.query(AuditEntry).filter_by(action="sign_in").count() == 1
        assert session.query(OidcStart).count() == 0


def test_the_session_cookie_is_for_this_host_and_https_alone(browser: Client, provider: Provider) -> None:
    cookie = next(
        one
        for one in go(browser, provider).headers.get_list("set-cookie")
        if one.startswith("__Host-spinecare_session=")
    )

    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_who_comes_again_is_the_same_person_and_keeps_the_role_given_here(
    browser: Client, provider: Provider, clinic: Site
) -> None:
    go(browser, provider)
    with clinic.db.begin() as session:
        session.query(Account).one().role = "viewer"
    provider.person = {"sub": "s-1", "name": "Ada Other", "preferred_username": "another"}
    go(browser, provider)

    (account,) = everybody(clinic)
    assert (account.login, account.role) == ("ada.keller", "viewer")


def test_nobody_gets_an_account_that_exists_by_naming_its_login(
    browser: Client, provider: Provider, clinic: Site
) -> None:
    with clinic.db.begin() as session:
        session.add(Account(login="ada.keller", name="Local", role="administrator"))
    go(browser, provider)

    local, new = everybody(clinic)
    assert local.oidc_subject is None
    assert new.login.startswith("oidc-")
    assert new.role == "clinician"


def test_a_disabled_account_stays_out(browser: Client, provider: Provider, clinic: Site) -> None:
    go(browser, provider)
    with clinic.db.begin() as session:
        session.query(Account).one().disabled = True
        session.query(SessionRow).delete()

    answer = go(browser, provider)

    assert answer.status_code == 403
    with clinic.db.read() as session:
        assert session.query(SessionRow).count() == 0


def test_an_answer_works_once(browser: Client, provider: Provider) -> None:
    start = browser.get("/oidc/start")
    answer = provider.authorize(start.headers["location"])

    assert come_back(browser, answer).status_code == 303
    assert come_back(browser, answer).status_code == 403


def test_an_answer_in_another_browser_is_none(browser: Client, provider: Provider, clinic: Site) -> None:
    """Or somebody could be signed in as the attacker by a link."""
    start = browser.get("/oidc/start")
    answer = provider.authorize(start.headers["location"])
    other = make_client(clinic, HOST)
    other.get("/sign-in")

    assert come_back(other, answer).status_code == 403
    assert come_back(make_client(clinic, HOST), answer).status_code == 403
    assert provider.asked == []
    assert everybody(clinic) == []


@pytest.mark.parametrize("state", ["", "x", "x" * 10_000])
def test_an_answer_to_no_question_is_none(browser: Client, provider: Provider, state: str) -> None:
    browser.get("/oidc/start")

    assert come_back(browser, {"state": state, "code": "code-0"}).status_code == 403
    assert provider.asked == []


def test_a_question_grows_old(browser: Client, provider: Provider, clinic: Site) -> None:
    start = browser.get("/oidc/start")
    with clinic.db.begin() as session:
        row = session.query(OidcStart).one()
        row.expires_at = row.expires_at - oidc.AWAY

    assert come_back(browser, provider.authorize(start.headers["location"])).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-program"},
        {"aud": ["another-program"]},
        {"aud": ["spinecare", "another-program"]},
        {"aud": ["spinecare", "another-program"], "azp": "another-program"},
        {"azp": "another-program"},
        {"exp": 1_000_000},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 17},
    ],
)
def test_a_token_that_does_not_hold_signs_nobody_in(
    browser: Client, provider: Provider, clinic: Site, claims: dict[str, Any]
) -> None:
    provider.claims = claims

    assert go(browser, provider).status_code == 403
    assert everybody(clinic) == []
    assert browser.get("/account").status_code == 303


def test_a_token_that_the_provider_did_not_sign_signs_nobody_in(
    browser: Client, provider: Provider, clinic: Site
) -> None:
    provider.sign_with = RSAKey.generate_key(2048, {"kid": "one"})
    assert go(browser, provider).status_code == 403
    assert everybody(clinic) == []


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256"])
def test_a_token_without_a_signature_or_signed_with_the_public_key_signs_nobody_in(
    browser: Client, provider: Provider, clinic: Site, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    token = provider.token

    def forged(sent: dict[str, str]) -> tuple[dict[str, Any], int]:
        answer, status = token(sent)
        head = part(json.dumps({"alg": algorithm, "kid": "one"}).encode()) + "." + answer["id_token"].split(".")[1]
        # As if the public key, which everybody has, were a shared secret.
        secret = provider.key.as_pem(private=False)
        made = part(hmac.digest(secret, head.encode(), "sha256")) if algorithm == "HS256" else ""
        answer["id_token"] = f"{head}.{made}"
        return answer, status

    monkeypatch.setattr(provider, "token", forged)
    assert go(browser, provider).status_code == 403
    assert everybody(clinic) == []


def test_a_provider_may_change_its_key(
    browser: Client, provider: Provider, clinic: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(browser, provider)
    clock = time.monotonic() + 120
    monkeypatch.setattr(oidc.time, "monotonic", lambda: clock)
    provider.key = provider.sign_with = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    provider.header = {"alg": "RS256", "kid": "two"}

    assert go(browser, provider).status_code == 303


def test_the_answer_says_which_provider_it_is_from(browser: Client, provider: Provider) -> None:
    """RFC 9207, against mix-up."""
    start = browser.get("/oidc/start")
    answer = provider.authorize(start.headers["location"])
    assert come_back(browser, {**answer, "iss": "https://evil.example"}).status_code == 403

    start = browser.get("/oidc/start")
    answer = provider.authorize(start.headers["location"])
    assert come_back(browser, {**answer, "iss": provider.issuer}).status_code == 303
    assert len(provider.asked) == 1


def test_a_no_or_a_fault_of_the_provider_is_said_in_a_sentence(browser: Client, provider: Provider) -> None:
    start = browser.get("/oidc/start")
    state = provider.authorize(start.headers["location"])["state"]
    answer = come_back(browser, {"state": state, "error": "access_denied", "error_description": "<script>"})
    assert answer.status_code == 403
    assert "<script>" not in answer.text.replace("<script src=", "")

    provider.token_status = 500
    assert go(browser, provider).status_code == 403


def test_a_provider_under_another_name_or_without_https_is_not_asked(
    make_site: Callable[..., Site], provider: Provider
) -> None:
    def start(**metadata: Any) -> int:
        provider.metadata = metadata
        oidc._kept.clear()
        site = make_site(
            demo=False, public_url=f"https://{HOST}", oidc_issuer=provider.issuer, oidc_client_id="spinecare"
        )
        client = make_client(site, HOST)
        client.get("/sign-in")
        return client.get("/oidc/start").status_code

    assert start() == 303
    assert start(issuer="https://evil.example") == 503
    assert start(token_endpoint="http://evil.example/token") == 503
    provider.server.shutdown()
    provider.server.server_close()
    assert start() == 503


def test_the_way_back_stays_inside(browser: Client, provider: Provider) -> None:
    assert go(browser, provider, "//evil.example").headers["location"] == "/"


def test_it_is_off_by_default(make_site: Callable[..., Site]) -> None:
    client = make_client(make_site(demo=False))

    assert "/oidc" not in client.get("/sign-in").text
    assert client.get("/oidc/start").status_code == 404
    assert client.get("/oidc/callback?state=x&code=y").status_code == 404


def test_no_name_and_no_secret_reaches_the_log(
    browser: Client, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.claims = {"nonce": "another"}
    with caplog.at_level("INFO", logger="spinecare"):
        go(browser, provider)

    assert "does not hold" in caplog.text
    assert not any(word in caplog.text for word in ("Ada", "ada.keller", "s-1", "code-"))
