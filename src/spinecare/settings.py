"""Settings, as frozen values with the defaults of the product."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from spinecare.errors import SettingsError

Denoise = Literal["off", "gaussian", "nlm", "wavelet"]


@dataclass(frozen=True)
class ReadLimits:
    """What a file may cost before it is decoded.

    `max_bytes` of the file, `max_pixels` of one decoded frame (rows x cols), `max_frames`.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_frames: int = 1


@dataclass(frozen=True)
class ArchiveLimits:
    """What a ZIP archive may cost while it is opened.

    `max_files` in it, `max_file_bytes` of one and `max_total_bytes` of all of them, inflated; `max_ratio` of inflated
    to packed bytes, for files over 4 MB (deflate reaches 1,032 with zeros alone); `max_directory_bytes` of its table of
    contents.
    """

    max_files: int = 1000
    max_file_bytes: int = 32 * 1024 * 1024
    max_total_bytes: int = 512 * 1024 * 1024
    max_ratio: int = 200
    max_directory_bytes: int = 1024 * 1024


@dataclass(frozen=True)
class PrepareSettings:
    """How a scan is made ready. A bundle names the settings it was trained with.

    `height`, `width` of the prepared picture in pixels; `denoise` on the crop.
    """

    height: int = 192
    width: int = 96
    denoise: Denoise = "gaussian"

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ServeSettings:
    """What one request to the web service may cost.

    `max_file_bytes` of one file, `max_request_bytes` of a whole upload, `max_files` in it, archives' files counted.
    """

    max_file_bytes: int = 32 * 1024 * 1024
    max_request_bytes: int = 512 * 1024 * 1024
    max_files: int = 1000


def _two_at_most() -> int:
    return min(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class SiteSettings:
    """One installation of SpineCare. Each field is read from `SPINECARE_<FIELD>`; docs/configuration.md says more.

    data
        The folder of everything that is kept: files, and the databases where they are SQLite.
    database
        URL; SQLite in `data` when empty. `postgresql://user@host/name` moves database and queue there.
    bundle
        Folder of a model bundle; the shipped one when None.
    demo
        No accounts: loopback only.
    public_url
        What people type to get here, as https://spine.clinic.example; makes cookies Secure and checks the Host.
    workers
        Processes that decode and assess; `worker_memory_mb`, `worker_seconds` end one that takes more.
    consumers
        False: this process only answers pages; `spinecare worker` does the assessing.
    retention_days
        Scans and answers older than this are deleted; None keeps them.
    session_idle_minutes, session_hours
        After which a browser must sign in again: unused, and at most.
    trusted_proxies
        Addresses whose X-Forwarded-For and -Proto are believed, comma-separated.
    oidc_issuer, oidc_client_id, oidc_client_secret, oidc_default_role
        Sign-in by OpenID Connect; off while the issuer is empty.
    log_json
        Logs as one JSON object a line.
    """

    data: Path = Path("spinecare-data")
    database: str = ""
    bundle: Path | None = None
    demo: bool = False
    public_url: str = ""
    workers: int = field(default_factory=_two_at_most)
    worker_memory_mb: int = 3072
    worker_seconds: float = 60.0
    consumers: bool = True
    retention_days: int | None = None
    session_idle_minutes: int = 30
    session_hours: int = 12
    trusted_proxies: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_default_role: str = "viewer"
    log_json: bool = False
    limits: ServeSettings = field(default_factory=ServeSettings)

    @property
    def database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database or f"sqlite:///{self.data / 'spinecare.db'}"


# Set around tests and benchmarks, which start the real commands; no settings of an installation.
TEST_PREFIXES = ("SPINECARE_TEST_", "SPINECARE_CONTRACT_")


def site_settings(environment: Mapping[str, str] | None = None, **given: Any) -> SiteSettings:
    """The settings of `SPINECARE_*` in the environment (also `SPINECARE_MAX_FILE_BYTES` and the other limits);
    `given` goes before them.

    Raises
    ------
    SettingsError
        When a value is not what its setting takes, or no setting has such a name.
    """
    environment = os.environ if environment is None else environment
    prefix = "SPINECARE_"
    written = {
        name[len(prefix) :].lower(): value
        for name, value in environment.items()
        if name.startswith(prefix) and not name.startswith(TEST_PREFIXES)
    }
    limits = _taken(ServeSettings, written)
    site = _taken(SiteSettings, written)
    if written:
        names = ", ".join(prefix + name.upper() for name in sorted(written))
        raise SettingsError(f"There is no setting {names}. docs/configuration.md lists them.")
    return SiteSettings(**{"limits": ServeSettings(**limits), **site, **given})


def _taken(kind: type, written: dict[str, str]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        f.name: _value(f.name, written.pop(f.name), hints[f.name])
        for f in fields(kind)
        if f.name in written and f.name != "limits"
    }


def _value(name: str, text: str, hint: Any) -> Any:
    options = get_args(hint) or (hint,)
    if text == "" and type(None) in options:
        return None
    kind = options[0]
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise SettingsError(
            f"SPINECARE_{name.upper()} is {text!r}, and should be {'yes or no' if kind is bool else 'a number'}."
        ) from None


def _default_threads() -> int:
    # More than four threads gain nothing on pictures this small and take cores from other requests.
    return min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class RuntimeSettings:
    """How the members run: `threads` inside one ONNX Runtime session."""

    threads: int = field(default_factory=_default_threads)
