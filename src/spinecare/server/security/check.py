"""Settings that would lock people out or let strangers in, found at the start and not by the first who signs in."""

from __future__ import annotations

from urllib.parse import urlsplit

from spinecare.errors import SettingsError
from spinecare.server.security.limits import trusted_networks
from spinecare.settings import SiteSettings
from spinecare.store.actor import Role


def check_settings(settings: SiteSettings) -> None:
    """Raise `SettingsError` with a sentence when an address, a proxy or the sign-in elsewhere makes no sense."""
    trusted_networks(settings.trusted_proxies)
    if settings.public_url:
        public_host(settings.public_url)
    if settings.oidc_issuer and not (settings.oidc_client_id and settings.public_url):
        raise SettingsError("SPINECARE_OIDC_ISSUER also needs SPINECARE_OIDC_CLIENT_ID and SPINECARE_PUBLIC_URL.")
    if settings.oidc_default_role not in {role.value for role in Role}:
        roles = ", ".join(role.value for role in Role)
        raise SettingsError(
            f"SPINECARE_OIDC_DEFAULT_ROLE is {settings.oidc_default_role!r}, and should be one of {roles}."
        )


def public_host(public_url: str) -> str:
    """What the Host header is when somebody comes by this address. Raises `SettingsError` when it is none."""
    try:
        parts = urlsplit(public_url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    # Behind a path of a shared host, cookies and addresses would be shared with what else lives there.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise SettingsError(f"SPINECARE_PUBLIC_URL is {public_url!r}, and should be like https://spine.clinic.example.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host if port in {None, {"http": 80, "https": 443}[parts.scheme]} else f"{host}:{port}"
