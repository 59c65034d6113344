"""Who does something, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What an account is for."""

    ADMINISTRATOR = "administrator"
    CLINICIAN = "clinician"
    VIEWER = "viewer"


class May(StrEnum):
    """The permissions. They are also the scopes that an API token can have."""

    SEE = "see"
    UPLOAD = "upload"
    READ = "read"  # a reader's verdict on an assessment: agree, correct, not usable
    EXPORT = "export"
    MANAGE = "manage"  # the directory, deletion, retention
    ADMINISTER = "administer"  # accounts, tokens of others, the audit log


ROLE_MAY: dict[Role, frozenset[May]] = {
    Role.VIEWER: frozenset({May.SEE}),
    Role.CLINICIAN: frozenset({May.SEE, May.UPLOAD, May.READ, May.EXPORT}),
    Role.ADMINISTRATOR: frozenset(May),
}


@dataclass(frozen=True)
class Actor:
    """A person at a page, a program with a token, the demo's visitor, or SpineCare itself.

    key
        The account's key; `demo` or `system` where there is no account.
    may
        What the role allows, narrowed by the scopes of a token.
    """

    key: str
    name: str
    role: Role
    may: frozenset[May]
    via: Literal["session", "token", "demo", "system"]


SYSTEM = Actor("system", "SpineCare", Role.ADMINISTRATOR, frozenset(), "system")
# The demo has no accounts: its visitor may do what a clinician may and keep the directory, and administers nobody.
DEMO = Actor("demo", "Demo", Role.CLINICIAN, ROLE_MAY[Role.CLINICIAN] | {May.MANAGE}, "demo")
