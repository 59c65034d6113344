"""Settings that would lock people out or let strangers in."""

from __future__ import annotations

from typing import Any

import pytest

from spinecare.errors import SettingsError
from spinecare.server.security.check import check_settings, public_host
from spinecare.settings import SiteSettings


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"public_url": "spine.clinic.example"}, "PUBLIC_URL"),
        ({"public_url": "https://"}, "PUBLIC_URL"),
        ({"public_url": "https://clinic.example/spine"}, "PUBLIC_URL"),
        ({"public_url": "https://clinic.example:x"}, "PUBLIC_URL"),
        ({"trusted_proxies": "10.0.0.1, proxy"}, "TRUSTED_PROXIES"),
        ({"oidc_issuer": "https://id.example"}, "OIDC_CLIENT_ID"),
        ({"oidc_issuer": "https://id.example", "oidc_client_id": "x"}, "PUBLIC_URL"),
        ({"oidc_default_role": "god"}, "OIDC_DEFAULT_ROLE"),
    ],
)
def test_what_makes_no_sense_is_said_at_the_start(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        check_settings(SiteSettings(**settings))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Spine.Clinic.example/", "spine.clinic.example"),
        ("https://spine.clinic.example:443", "spine.clinic.example"),
        ("http://spine.clinic.example:8000", "spine.clinic.example:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_the_public_host_is_what_browsers_send(url: str, host: str) -> None:
    check_settings(SiteSettings(public_url=url))
    assert public_host(url) == host
