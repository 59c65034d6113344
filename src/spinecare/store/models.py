"""The tables. `key` is what appears in addresses; `id` never leaves the server.

A person's identifiers stand in `Identity` and in `Upload.file_name` alone, apart from scans and answers.
"""

from __future__ import annotations

import secrets
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from spinecare.store.database import UtcDateTime, now

CASCADE = "CASCADE"


def new_key() -> str:
    """A public key: 16 hex digits that nobody can guess."""
    return secrets.token_hex(8)


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can find them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}


class State(StrEnum):
    """Where an assessment stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # gave up after several tries: a fault of ours, shown, and it can be asked for again


class Outcome(StrEnum):
    """What became of it, once done (DESIGN 7)."""

    ASSESSED = "assessed"
    REFUSED = "refused"
    UNREADABLE = "unreadable"


class Verdict(StrEnum):
    """What a reader says of an assessment."""

    AGREE = "agree"
    CORRECT = "correct"
    NOT_USABLE = "not_usable"


class PatientRow(Base):
    """One person, by pseudonym: no name here."""

    __tablename__ = "patient"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    sex: Mapped[str | None] = mapped_column(String(1))
    birth_year: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    identity: Mapped[Identity | None] = relationship(back_populates="patient", passive_deletes=True)
    scans: Mapped[list[ScanRow]] = relationship(back_populates="patient")


class Identity(Base):
    """Who a patient is: what the clinic calls them. Kept apart, and only here."""

    __tablename__ = "identity"
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id", ondelete=CASCADE), primary_key=True)
    clinic_id: Mapped[str | None] = mapped_column(String(128), unique=True)
    name: Mapped[str | None] = mapped_column(String(256))
    birth_date: Mapped[date | None]
    patient: Mapped[PatientRow] = relationship(back_populates="identity")


class ScanRow(Base):
    """One file, by its contents. Its bytes lie in the file store under `sha256`."""

    __tablename__ = "scan"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size_bytes: Mapped[int]
    # Known once it has been read.
    media_type: Mapped[str | None] = mapped_column(String(64))
    acquired: Mapped[date | None]
    device: Mapped[str | None] = mapped_column(String(128))
    sop_uid: Mapped[str | None] = mapped_column(String(64))
    study_uid: Mapped[str | None] = mapped_column(String(64))
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patient.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    patient: Mapped[PatientRow | None] = relationship(back_populates="scans")
    assessments: Mapped[list[AssessmentRow]] = relationship(back_populates="scan", passive_deletes=True)


class Batch(Base):
    """Files that were sent together."""

    __tablename__ = "batch"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    by: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(default=now)


class AssessmentRow(Base):
    """One scan asked of one model: queued with its upload, done exactly once.

    `given` is what the sender said of the patient (age, sex …), as canonical JSON text: the same file with the
    same words and the same model is the same assessment.
    `attempt` is the fence: a worker that lost its lease cannot write its answer any more.
    """

    __tablename__ = "assessment"
    __table_args__ = (
        UniqueConstraint("scan_id", "given", "model_sha256"),
        Index("ix_assessment_created_at_id", "created_at", "id"),
        Index("ix_assessment_state_lease_until", "state", "lease_until"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    scan_id: Mapped[int] = mapped_column(ForeignKey("scan.id", ondelete=CASCADE))
    given: Mapped[str] = mapped_column(String(512), default="{}")
    model_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[str] = mapped_column(String(8), default=State.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    # The answer: what the worklist filters by, and the whole record (report/record.py).
    outcome: Mapped[str | None] = mapped_column(String(10), index=True)
    code: Mapped[str | None] = mapped_column(String(32))
    osteoporosis: Mapped[bool | None]
    category: Mapped[str | None] = mapped_column(String(16), index=True)
    probability: Mapped[float | None]
    record: Mapped[dict[str, Any] | None]
    scan: Mapped[ScanRow] = relationship(back_populates="assessments")
    uploads: Mapped[list[Upload]] = relationship(back_populates="assessment", passive_deletes=True)
    readings: Mapped[list[Reading]] = relationship(
        back_populates="assessment", order_by="Reading.id", passive_deletes=True
    )


class Picture(Base):
    """A picture that an assessment's record shows, again as a row: who removes files asks here who still names them."""

    __tablename__ = "picture"
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessment.id", ondelete=CASCADE), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)


class Upload(Base):
    """One file as somebody sent it. `file_name` can be a person's name, so it is shown to nobody but readers."""

    __tablename__ = "upload"
    id: Mapped[int] = mapped_column(primary_key=True)
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessment.id", ondelete=CASCADE), index=True)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(128))
    by: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(default=now)
    assessment: Mapped[AssessmentRow] = relationship(back_populates="uploads")


class IdempotencyKey(Base):
    """An upload that a program may send twice: the key it chose, and what came of the first."""

    __tablename__ = "idempotency_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(String(128))
    body_sha256: Mapped[str] = mapped_column(String(64))
    assessment_keys: Mapped[list[str]]
    at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (UniqueConstraint("actor", "value"),)


class Reading(Base):
    """A reader's verdict: the label that a later model can learn from. Never changed, only added to."""

    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessment.id", ondelete=CASCADE), index=True)
    verdict: Mapped[str] = mapped_column(String(10))
    label: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(1000))
    by: Mapped[str] = mapped_column(String(32))
    by_name: Mapped[str] = mapped_column(String(128))
    at: Mapped[datetime] = mapped_column(default=now)
    assessment: Mapped[AssessmentRow] = relationship(back_populates="readings")


class Account(Base):
    """Somebody who can sign in."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    login: Mapped[str] = mapped_column(String(128), unique=True)
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(256))
    oidc_subject: Mapped[str | None] = mapped_column(String(256), unique=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    signed_in_at: Mapped[datetime | None]


class SessionRow(Base):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "session"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete=CASCADE), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    account: Mapped[Account] = relationship()


class Token(Base):
    """A program's key. Only its hash is kept."""

    __tablename__ = "token"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete=CASCADE), index=True)
    name: Mapped[str] = mapped_column(String(128))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    account: Mapped[Account] = relationship()


class Invitation(Base):
    """A link that works once: the first administrator, a new account, a forgotten password."""

    __tablename__ = "invitation"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    purpose: Mapped[str] = mapped_column(String(16))  # first, invite, reset
    role: Mapped[str | None] = mapped_column(String(16))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete=CASCADE))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OidcStart(Base):
    """A browser on its way to the OpenID provider and back: what must still be the same when it returns."""

    __tablename__ = "oidc_start"
    id: Mapped[int] = mapped_column(primary_key=True)
    state_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    browser_sha256: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(String(128))
    next: Mapped[str] = mapped_column(String(1024))
    expires_at: Mapped[datetime]


class AuditEntry(Base):
    """Who did what to what, when. Each entry holds the hash of the one before."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(32), index=True)
    via: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(32), index=True)
    object_kind: Mapped[str] = mapped_column(String(16))
    object_key: Mapped[str] = mapped_column(String(64), index=True)
    details: Mapped[dict[str, Any]]
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class Specialist(Base):
    """An entry of the directory."""

    __tablename__ = "specialist"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True, default=new_key)
    name: Mapped[str] = mapped_column(String(128), index=True)
    specialty: Mapped[str] = mapped_column(String(64), index=True)
    organisation: Mapped[str | None] = mapped_column(String(128))
    address: Mapped[str | None] = mapped_column(String(256))
    city: Mapped[str] = mapped_column(String(64), index=True)
    country: Mapped[str | None] = mapped_column(String(64))
    phone: Mapped[str | None] = mapped_column(String(64))
    email: Mapped[str | None] = mapped_column(String(128))
    website: Mapped[str | None] = mapped_column(String(256))
    hours: Mapped[str | None] = mapped_column(String(256))
    latitude_deg: Mapped[float | None]
    longitude_deg: Mapped[float | None]
    is_sample: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
