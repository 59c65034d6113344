"""Sign-in by OpenID Connect: code flow with PKCE at the one provider of the settings.

What must be the same when the browser comes back (state, nonce, verifier, where to go) is kept here, for ten minutes,
for this browser and for one use. Nobody gets an existing account by its e-mail address: accounts belong to the
provider's `sub`, and a new one has the role of the settings until an administrator changes it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.integrations.base_client import OAuthError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from spinecare.server.problems import Problem
from spinecare.settings import SiteSettings
from spinecare.store import accounts
from spinecare.store.actor import SYSTEM, Role
from spinecare.store.database import now
from spinecare.store.models import Account, OidcStart
from spinecare.store.sessions import hash_of
from spinecare.store.site import Site

log = logging.getLogger(__name__)

AWAY = timedelta(minutes=10)
# Signatures by a key pair alone: with "none" or HS256 a stranger could sign.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TIMEOUT_S = 10.0
KEPT_S = 3600.0
LEEWAY_S = 60

_kept: dict[str, tuple[float, dict[str, Any]]] = {}
_keeping = threading.Lock()


def is_on(settings: SiteSettings) -> bool:
    """Whether the settings name a provider, us, and where it should send people back to."""
    return bool(settings.oidc_issuer and settings.oidc_client_id and settings.public_url and not settings.demo)


def start(site: Site, browser: str, there: str) -> str:
    """The provider's address to send a browser to; `browser` is the secret in its cookie.

    Raises
    ------
    Problem
        404 when this sign-in is off, 503 when the provider can't be reached.
    """
    settings = _on(site)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    provider = _provider(settings)
    with _client(settings, provider) as client:
        address, _ = client.create_authorization_url(
            provider["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
        )
    at = now()
    with site.db.begin() as session:
        session.execute(delete(OidcStart).where(OidcStart.expires_at < at))
        session.add(
            OidcStart(
                state_sha256=hash_of(state),
                browser_sha256=hash_of(browser),
                nonce=nonce,
                verifier=verifier,
                next=there,
                expires_at=at + AWAY,
            )
        )
    return str(address)


def finish(site: Site, browser: str, answer: dict[str, str]) -> tuple[Account, str]:
    """Whom the provider's answer names, and where that person wanted to go.

    Raises
    ------
    Problem
        When the answer is not to a question that this browser asked, or does not hold.
    """
    settings = _on(site)
    with site.db.begin() as session:
        begun = session.scalar(
            select(OidcStart).where(
                OidcStart.state_sha256 == hash_of(answer.get("state", "")),
                OidcStart.browser_sha256 == hash_of(browser),
                OidcStart.expires_at > now(),
            )
        )
        # Of two that come back at once, one deletes the row and goes on.
        gone = begun is not None and session.execute(delete(OidcStart).where(OidcStart.id == begun.id)).rowcount == 1  # type: ignore[attr-defined]
    if begun is None or not gone:
        raise _refused("The sign-in took too long, or was begun in another window.")
    provider = _provider(settings)
    named = answer.get("iss")
    if named is not None and named != settings.oidc_issuer:
        raise _refused("The answer came from another provider.")  # RFC 9207: mix-up
    if named is None and provider.get("authorization_response_iss_parameter_supported"):
        raise _refused("The answer does not say which provider it is from.")
    if "error" in answer or not answer.get("code"):
        raise _refused("The provider did not sign you in.")
    claims = _claims(settings, provider, answer["code"], begun)
    return _account(site, claims), begun.next


def _claims(settings: SiteSettings, provider: dict[str, Any], code: str, begun: OidcStart) -> dict[str, Any]:
    try:
        with _client(settings, provider) as client:
            token = client.fetch_token(
                provider["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=begun.verifier
            )
        decoded = jwt.decode(token["id_token"], _keys(provider, token["id_token"]), algorithms=ALGORITHMS)
        claims: dict[str, Any] = decoded.claims
        required = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": begun.nonce},
        )
        required.validate(claims)
    except (OAuthError, JoseError, httpx.HTTPError, KeyError, TypeError, ValueError) as error:
        log.warning("oidc: the provider's answer does not hold (%s)", type(error).__name__)
        raise _refused("What the provider answered does not hold.") from error
    audience = claims["aud"]
    alone = isinstance(audience, str) or len(audience) == 1
    if claims.get("azp", settings.oidc_client_id if alone else None) != settings.oidc_client_id:
        raise _refused("The provider's answer is for another program.")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise _refused("The provider's answer names nobody.")
    return claims


def _account(site: Site, claims: dict[str, Any]) -> Account:
    settings = site.settings
    # `sub` is unique within its issuer alone; the hash of both fits the column whatever the provider sends.
    subject = hashlib.sha256(f"{settings.oidc_issuer}\n{claims['sub']}".encode(errors="surrogatepass")).hexdigest()
    with site.db.begin() as session:
        site.db.lock(session, "accounts")
        account = session.scalar(select(Account).where(Account.oidc_subject == subject))
        if account is None:
            account = accounts.create(
                site.db,
                session,
                _free_login(session, claims, subject),
                _name(claims),
                Role(settings.oidc_default_role),
                SYSTEM,
                subject=subject,
            )
        if account.disabled:
            raise _refused("This account is disabled.")
        account.signed_in_at = now()
        return account


def _free_login(session: Session, claims: dict[str, Any], subject: str) -> str:
    wanted = claims.get("preferred_username") or claims.get("email") or ""
    try:
        login = accounts.clean_login(str(wanted))
        if accounts.by_login(session, login) is None:
            return login
    except ValueError:
        pass
    return f"oidc-{subject[:12]}"


def _name(claims: dict[str, Any]) -> str:
    try:
        return accounts.clean_name(str(claims.get("name") or claims.get("preferred_username") or "")[:128])
    except ValueError:
        return "Without a name"


def _on(site: Site) -> SiteSettings:
    if not is_on(site.settings):
        raise Problem(404, "Not found", "This sign-in is not set up.", "Sign in with login and password.", "not_found")
    return site.settings


def _client(settings: SiteSettings, provider: dict[str, Any]) -> Any:
    # Imported where it is used: few sites sign in this way, and it warns about its next version.
    from authlib.integrations.httpx_client import OAuth2Client

    ways = provider.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    way = "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"
    return OAuth2Client(
        settings.oidc_client_id,
        settings.oidc_client_secret or None,
        token_endpoint_auth_method=way if settings.oidc_client_secret else "none",
        scope="openid profile email",
        redirect_uri=settings.public_url.rstrip("/") + "/oidc/callback",
        code_challenge_method="S256",
        timeout=TIMEOUT_S,
        follow_redirects=False,
    )


def _provider(settings: SiteSettings) -> dict[str, Any]:
    issuer = settings.oidc_issuer
    found = _get(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise _unavailable("calls itself by another name than the settings do")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        parts = urlsplit(str(found.get(name, "")))
        if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
            raise _unavailable(f"has no {name} with https")
    return found


def _keys(provider: dict[str, Any], id_token: str) -> KeySet:
    address = provider["jwks_uri"]
    keys = _get(address)
    kid = extract_compact(id_token.encode()).headers().get("kid")
    if kid and kid not in {key.get("kid") for key in keys.get("keys", [])}:
        keys = _get(address, older_than_s=60.0)  # it may have new ones; not asked for again and again
    return KeySet.import_key_set({"keys": [key for key in keys["keys"] if key.get("use", "sig") == "sig"]})  # type: ignore[typeddict-item]


def _get(address: str, older_than_s: float = KEPT_S) -> dict[str, Any]:
    with _keeping:
        at, kept = _kept.get(address, (0.0, {}))
    if kept and time.monotonic() - at < older_than_s:
        return kept
    try:
        answer = httpx.get(address, timeout=TIMEOUT_S, follow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
        if not isinstance(found, dict):
            raise TypeError("not an object")
    except (httpx.HTTPError, ValueError, TypeError) as error:
        raise _unavailable(f"does not answer ({type(error).__name__})") from error
    with _keeping:
        _kept[address] = (time.monotonic(), found)
    return found


def _unavailable(why: str) -> Problem:
    log.error("oidc: the provider %s", why)
    return Problem(
        503,
        "Sign-in not available",
        "The provider for the sign-in does not answer as it should.",
        "Try again in a minute, or sign in with login and password.",
        "oidc",
    )


def _refused(why: str) -> Problem:
    return Problem(403, "Not signed in", why, "Go to the sign-in page and try again.", "oidc")
