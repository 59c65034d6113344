"""Our cookies: not readable by scripts, not sent with other sites' forms, bound to this host where HTTPS allows it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from spinecare.settings import SiteSettings

SESSION = "spinecare_session"
# Holds a browser's secret while nobody is signed in: forms' tokens are derived from it.
FORM = "spinecare_form"
# Says that an account was used in this browser before (store/accounts.py `known_browser`).
KNOWN = "spinecare_known"
KNOWN_SECONDS = 180 * 24 * 3600


def is_secure(settings: SiteSettings) -> bool:
    """Whether people come by HTTPS."""
    return settings.public_url.lower().startswith("https://")


def cookie_name(settings: SiteSettings, name: str) -> str:
    """The name as it is sent. `__Host-` makes browsers refuse it from a subdomain or without HTTPS."""
    return f"__Host-{name}" if is_secure(settings) else name


def set_cookie(settings: SiteSettings, name: str, value: str, max_age_s: int | None = None) -> str:
    """The value of a Set-Cookie header. Without `max_age_s` the cookie ends with the browser; 0 removes it."""
    parts = [f"{cookie_name(settings, name)}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if max_age_s is not None:
        parts.append(f"Max-Age={max_age_s}")
    if is_secure(settings):
        parts.append("Secure")
    return "; ".join(parts)


def get_cookie(settings: SiteSettings, scope: Scope, name: str) -> str:
    """What the browser sent under this name; empty when nothing or nothing plausible."""
    # Starlette's parser takes what it can: another program's odd cookie on this host must not hide ours.
    value = cookie_parser("; ".join(Headers(scope=scope).getlist("cookie"))).get(cookie_name(settings, name), "")
    return value if len(value) <= 256 else ""
