"""The shapes of the HTTP answers, for the OpenAPI document (DESIGN 7 in pydantic words).

An object may get more keys in a later version of the interface; none is renamed or taken away under `/api/v1`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spinecare.errors import UnreadableCode
from spinecare.scan import Label, LevelSource, RefusalCode
from spinecare.store.models import Outcome, State

KEY_PATTERN = "^[0-9a-f]{16}$"
Key = Annotated[str, Field(pattern=KEY_PATTERN, description="16 hex digits.")]
Link = Annotated[str, Field(description="Address on this server.")]


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


class Links(_Object):
    """Where more can be had. Null: there is none."""

    self_: Link = Field(alias="self")
    page: Link = Field(description="The same for people.")
    readings: Link
    pictures: dict[str, Link] = Field(description="`scan`, `prepared`, `map` and a `map_…` for each model.")
    report: Link | None = Field(description="The PDF.")
    patient: Link | None = Field(description="Null: the scan is filed under nobody.")


class _File(_Object):
    schema_: Literal["spinecare.assessment/1"] = Field(alias="schema")
    file: str = Field(description="Its name as it was sent; empty for those who may not know it.")
    sha256: str = Field(description="SHA-256 of the whole file, lower-case hex.")
    id: Key
    state: State
    created_at: datetime
    finished_at: datetime | None
    links: Links


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

    state: Literal[State.DONE]
    outcome: Literal["assessed"]
    osteoporosis: Literal["yes", "no"] | None = Field(description="Yes exactly when the category is osteoporosis.")
    category: Label | None
    prediction_set: list[Label] = Field(description="What the model cannot rule out.")
    probabilities: Probabilities
    interval: ProbabilityInterval | None = Field(description="How certain the probability is.")
    abstained: bool = Field(description="True: the model cannot tell on this scan.")
    levels: list[LevelOut]
    members: dict[str, Probabilities] = Field(description="What each model said, by its name.")
    quality: list[QualityCheck] = Field(description="What was checked of the scan.")
    measurements: dict[str, float | None] = Field(description="By name, which ends with its unit. Null: not measured.")
    model: Model
    warnings: list[str] = Field(description="Sentences that belong beside the answer.")
    acquired: str | None = Field(description="The day of the scan, from the file.")
    device: str | None = Field(description="The scanner, from the file.")
    uids: Uids = Field(description="Of the DICOM object and its study.")


class Refused(_File):
    """The file is a readable picture, but gets no label."""

    state: Literal[State.DONE]
    outcome: Literal["refused"]
    code: RefusalCode
    reason: str
    hint: str


class Unreadable(_File):
    """The file could not be read as a scan. State `failed`: SpineCare gave up, and it is not the file's fault."""

    state: Literal[State.DONE, State.FAILED]
    outcome: Literal["unreadable"]
    code: UnreadableCode
    reason: str
    hint: str


class Pending(_File):
    """Not assessed yet: ask again at `links.self`."""

    state: Literal[State.QUEUED, State.RUNNING]


Answer = Assessed | Refused | Unreadable | Pending


class SeveralAnswers(_Object):
    """One object a file, in the order sent."""

    schema_: Literal["spinecare.assessments/1"] = Field(alias="schema")
    assessments: list[Assessed | Refused | Unreadable | Pending]


class SummaryLinks(_Object):
    self_: Link = Field(alias="self", description="All of it.")
    page: Link = Field(description="The same for people.")
    patient: Link | None


class Summary(_Object):
    """An assessment in a list: what it came to. `links.self` has all of it."""

    id: Key
    state: State
    outcome: Outcome | None
    code: str | None = Field(description="Why it was refused or unreadable.")
    osteoporosis: Literal["yes", "no"] | None
    category: Label | None
    probability: float | None = Field(ge=0, le=1, description="Of osteoporosis.")
    file: str = Field(description="Empty for those who may not know it.")
    acquired: date | None
    created_at: datetime
    reading: Literal["agree", "correct", "not_usable"] | None = Field(description="The last reader's verdict.")
    links: SummaryLinks


class _Page(_Object):
    next: Link | None = Field(description="The next page of this list; null on the last.")


class SummaryPage(_Page):
    """Assessments, newest first."""

    items: list[Summary]


# At least one character that can be seen, and no NUL, which no database keeps.
ReasonText = Annotated[
    str,
    Field(pattern=r"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f][^\x00]*$", max_length=1000, description="Why, in a sentence."),
]


class _NewReading(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Agree(_NewReading):
    """The reader sees it as SpineCare does."""

    verdict: Literal["agree"]
    reason: ReasonText | None = None


class Correct(_NewReading):
    """The reader sees another category."""

    verdict: Literal["correct"]
    label: Label = Field(description="What it is.")
    reason: ReasonText


class NotUsable(_NewReading):
    """The scan should not have got an answer."""

    verdict: Literal["not_usable"]
    reason: ReasonText


NewReading = Annotated[Agree | Correct | NotUsable, Field(discriminator="verdict")]


class ReadingOut(_Object):
    """A reader's verdict on an assessment. It is never changed: the last one counts."""

    verdict: Literal["agree", "correct", "not_usable"]
    label: Label | None
    reason: str | None
    by_name: str
    at: datetime


class Readings(_Object):
    """Every reading of one assessment, oldest first."""

    items: list[ReadingOut]


class IdentityOut(_Object):
    """Who a patient is: only for those who may read scans."""

    clinic_id: str | None
    name: str | None
    birth_date: date | None


class PatientLinks(_Object):
    self_: Link = Field(alias="self")
    page: Link = Field(description="The same for people.")
    assessments: Link


class PatientOut(_Object):
    """One person, by pseudonym."""

    id: Key
    sex: Literal["F", "M"] | None
    birth_year: int | None
    created_at: datetime
    scans: int = Field(ge=0, description="How many scans are filed under this person.")
    identity: IdentityOut | None = Field(description="Null for those who may not know it.")
    links: PatientLinks


class PatientPage(_Page):
    """Patients, newest first."""

    items: list[PatientOut]


class PatientSearch(BaseModel):
    """Which patient to look for. It is sent as a body, so that no log of addresses holds it."""

    model_config = ConfigDict(extra="forbid")
    clinic_id: str = Field(
        min_length=1, max_length=128, pattern=r"^[^\x00]+$", description="The clinic's own number of the patient."
    )


class SpecialistOut(_Object):
    """An entry of the directory."""

    id: Key
    name: str
    specialty: str
    organisation: str | None
    address: str | None
    city: str
    country: str | None
    phone: str | None
    email: str | None
    website: str | None
    hours: str | None
    latitude_deg: float | None
    longitude_deg: float | None
    is_sample: bool = Field(description="True: an invented entry that shows what a directory looks like.")


class SpecialistPage(_Page):
    """Specialists, by name."""

    items: list[SpecialistOut]


class Problem(_Object):
    """A request that was not answered (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What was wrong.")
    hint: str = Field(description="What can be done.")
    code: str = Field(default="", description="A word for programs.")


class Health(BaseModel):
    """The service is up."""

    status: Literal["ok"]
    version: str
    model: Model
