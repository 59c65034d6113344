"""The shapes of the HTTP answers, for the OpenAPI document (DESIGN 7 in pydantic words)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spinecare.errors import UnreadableCode
from spinecare.scan import Label, LevelSource, RefusalCode


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


class _File(_Object):
    schema_: Literal["spinecare.assessment/1"] = Field(alias="schema")
    file: str
    sha256: str | None = Field(description="SHA-256 of the whole file, lower-case hex.")


class Probabilities(_Object):
    """Three numbers that add up to 1."""

    normal: float = Field(ge=0, le=1)
    low_bone_mass: float = Field(ge=0, le=1)
    osteoporosis: float = Field(ge=0, le=1)


class ProbabilityInterval(_Object):
    of: str
    level: float
    low: float
    high: float
    method: str


class QualityCheck(_Object):
    name: str
    passed: bool
    value: float | None
    limit: float | None
    unit: str
    sentence: str


class Uids(_Object):
    sop: str | None
    study: str | None


class LevelOut(_Object):
    name: Literal["L1", "L2", "L3", "L4"]
    polygon: list[tuple[float, float]] = Field(description="(row, col) in pixels of the scan.")
    source: LevelSource
    confidence: float | None = Field(ge=0, le=1)


class Model(_Object):
    name: str
    version: str
    sha256: str
    trained_on: str


class Assessed(_File):
    """The scan got an answer. `category` and `osteoporosis` are null when the model abstained."""

    outcome: Literal["assessed"]
    osteoporosis: Literal["yes", "no"] | None = Field(description="Yes exactly when the category is osteoporosis.")
    category: Label | None
    prediction_set: list[Label]
    probabilities: Probabilities
    interval: ProbabilityInterval | None
    abstained: bool
    levels: list[LevelOut]
    members: dict[str, Probabilities]
    quality: list[QualityCheck]
    measurements: dict[str, float | None]
    model: Model
    warnings: list[str]
    acquired: str | None
    device: str | None
    uids: Uids


class Refused(_File):
    """The file is a readable picture, but gets no label."""

    outcome: Literal["refused"]
    code: RefusalCode
    reason: str
    hint: str


class Unreadable(_File):
    """The file could not be read as a scan."""

    outcome: Literal["unreadable"]
    code: UnreadableCode
    reason: str
    hint: str


Answered = Assessed | Refused


class SeveralAnswers(_Object):
    """One object a file, in the order sent."""

    schema_: Literal["spinecare.assessments/1"] = Field(alias="schema")
    assessments: list[Assessed | Refused | Unreadable]


class Problem(_Object):
    """A request that could not be answered (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    hint: str


class Health(BaseModel):
    """The service is up."""

    status: Literal["ok"]
    version: str
    model: Model
