"""What the service answers, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Json = Mapping[str, Any]
Label = Literal["normal", "low_bone_mass", "osteoporosis"]
Verdict = Literal["agree", "correct", "not_usable"]


@dataclass(frozen=True)
class Interval:
    """Where the probability of `of` lies at this `level`."""

    of: str
    level: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class _Answer:
    """What every answer has.

    file
        The name under which the file was sent; empty for those who may not know it.
    raw
        The whole object as the service gave it.
    """

    id: str
    file: str
    sha256: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    raw: Json = field(repr=False, compare=False)


@dataclass(frozen=True)
class Assessed(_Answer):
    """The scan got an answer.

    osteoporosis, category
        None when the model abstained.
    probabilities, members
        Of each class; in `members` for each model.
    """

    outcome: Literal["assessed"]
    osteoporosis: bool | None
    category: Label | None
    prediction_set: tuple[Label, ...]
    probabilities: Mapping[str, float]
    interval: Interval | None
    abstained: bool
    members: Mapping[str, Mapping[str, float]]
    measurements: Mapping[str, float | None]
    warnings: tuple[str, ...]
    model_name: str
    model_version: str
    acquired: date | None


@dataclass(frozen=True)
class Refused(_Answer):
    """A readable picture that gets no label; `reason` and `hint` are sentences for a person."""

    outcome: Literal["refused"]
    code: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Unreadable(_Answer):
    """A file that could not be read as a scan; `reason` and `hint` are sentences for a person."""

    outcome: Literal["unreadable"]
    code: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Pending(_Answer):
    """Not assessed yet: ask again with `Client.get(id)`."""

    outcome: None = None


Answer = Assessed | Refused | Unreadable | Pending


@dataclass(frozen=True)
class Summary:
    """An assessment in a list; `Client.get(id)` has all of it."""

    id: str
    state: str
    outcome: str | None
    code: str | None
    osteoporosis: bool | None
    category: Label | None
    probability: float | None
    file: str
    acquired: date | None
    created_at: datetime
    reading: Verdict | None


@dataclass(frozen=True)
class Reading:
    """A reader's verdict on an assessment."""

    verdict: Verdict
    label: Label | None
    reason: str | None
    by_name: str
    at: datetime


def answer(raw: Json) -> Answer:
    """An assessment, from the object of the interface."""
    head: dict[str, Any] = {
        "id": raw["id"],
        "file": raw["file"],
        "sha256": raw["sha256"],
        "state": raw["state"],
        "created_at": _time(raw["created_at"]),
        "finished_at": _time(raw["finished_at"]),
        "raw": raw,
    }
    outcome = raw.get("outcome")
    if outcome is None:
        return Pending(**head)
    if outcome in {"refused", "unreadable"}:
        kind = Refused if outcome == "refused" else Unreadable
        return kind(**head, outcome=outcome, code=raw["code"], reason=raw["reason"], hint=raw["hint"])
    known = ("of", "level", "low", "high", "method")
    return Assessed(
        **head,
        outcome="assessed",
        osteoporosis=_yes_no(raw["osteoporosis"]),
        category=raw["category"],
        prediction_set=tuple(raw["prediction_set"]),
        probabilities=raw["probabilities"],
        interval=Interval(**{name: raw["interval"][name] for name in known}) if raw["interval"] else None,
        abstained=raw["abstained"],
        members=raw["members"],
        measurements=raw["measurements"],
        warnings=tuple(raw["warnings"]),
        model_name=raw["model"]["name"],
        model_version=raw["model"]["version"],
        acquired=_day(raw["acquired"]),
    )


def summary(raw: Json) -> Summary:
    """One line of a list."""
    return Summary(
        id=raw["id"],
        state=raw["state"],
        outcome=raw["outcome"],
        code=raw["code"],
        osteoporosis=_yes_no(raw["osteoporosis"]),
        category=raw["category"],
        probability=raw["probability"],
        file=raw["file"],
        acquired=_day(raw["acquired"]),
        created_at=_moment(raw["created_at"]),
        reading=raw["reading"],
    )


def reading(raw: Json) -> Reading:
    """One reader's verdict."""
    return Reading(raw["verdict"], raw["label"], raw["reason"], raw["by_name"], _moment(raw["at"]))


def _yes_no(word: str | None) -> bool | None:
    return None if word is None else word == "yes"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _time(text: str | None) -> datetime | None:
    return _moment(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None
