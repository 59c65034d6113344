"""What a result page shows, taken out of a record: rows, drawings and words for the templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from spinecare.clinical.rules import who_table
from spinecare.report import words
from spinecare.report.picture import Picture, Shape, label_place, stroke
from spinecare.report.trend import day_words
from spinecare.store.models import AssessmentRow, Identity, Outcome, Reading, State, Upload, Verdict
from spinecare.store.patients import OTHER_BIRTH, OTHER_ID, OTHER_PATIENT

SEX_WORDS = {"F": "Female", "M": "Male"}
VERDICT_WORDS: dict[str, str] = {Verdict.AGREE: "Agrees", Verdict.CORRECT: "Corrects", Verdict.NOT_USABLE: "Not usable"}
ABOUT_FILING = {OTHER_ID, OTHER_BIRTH, OTHER_PATIENT}
LEVEL_COLUMNS = ("L1", "L2", "L3", "L4", "L1–L4")
MEASURED = re.compile(r"(?P<what>.+?)_(?P<where>l\d(?:_l\d)?)(?:_(?P<unit>of_white|ratio|px|mm|g_cm2))?")
QUANTITIES = {
    "grey": "Mean grey of the bone",
    "grey_above_soft": "Grey above the soft tissue",
    "contrast": "Contrast to soft tissue (Michelson)",
    "contrast_to_noise": "Contrast to noise",
    "height": "Height",
    "bmd": "BMD",
}
UNITS = {"of_white": "of white", "ratio": "ratio", "px": "px", "mm": "mm", "g_cm2": "g/cm²", "deg": "°", None: ""}


@dataclass(frozen=True)
class Mark:
    """One level over a picture; its name stands at (`x`, `y`), SVG text-anchor `anchor`."""

    name: str
    points: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Drawing:
    """A picture by its name with shapes over it, in SVG units; `line` is a width that suits its size."""

    name: str
    width: float
    height: float
    line: float
    levels: tuple[Mark, ...] = ()
    dashed: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Member:
    """One model's answer and its part in the whole: `share` 0 to 1, `pull` in log-odds of osteoporosis."""

    name: str
    probabilities: dict[str, float]
    share: float | None
    pull: float | None


@dataclass(frozen=True)
class Measured:
    """One quantity by level, a formatted number or "" in each of `LEVEL_COLUMNS`."""

    name: str
    unit: str
    values: tuple[str, ...]


def drawing(record: dict[str, Any], name: str, levels: str = "", dashed: str = "") -> Drawing | None:
    """The picture `name` of a record with the shapes of its display under the keys `levels` and `dashed`."""
    display = record["display"]
    kept = display["pictures"].get(name)
    if kept is None:
        return None
    size = Picture(b"", kept["width"], kept["height"])
    return Drawing(
        name,
        size.width,
        size.height,
        stroke(size),
        _marks(display.get(levels) or [], size),
        _marks(display.get(dashed) or [], size),
    )


def _marks(shapes: Sequence[dict[str, Any]], size: Picture) -> tuple[Mark, ...]:
    marks = []
    for shape in (Shape(**given) for given in shapes):
        x, anchor = label_place(shape, size)
        marks.append(Mark(shape.name, shape.points, x, shape.y, anchor))
    return tuple(marks)


def maps(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Picture and name of each explanation map there is: of all models together first."""
    kept = record["display"]["pictures"]
    members = [(f"map_{name}", words.member_name(name)) for name in record.get("members", {})]
    return [(picture, name) for picture, name in [("map", "All together"), *members] if picture in kept]


def assessed(record: dict[str, Any]) -> dict[str, Any]:
    """What the page of an answer shows, beside the record itself."""
    display = record["display"]
    trained = words.trained_sentence(record["model"])
    # What stands in the answer's own box or under the picture is not said a second time.
    said = {words.DISCLAIMER, trained, *display["notes"]}
    members = members_of(record)
    table, others = measurements(record["measurements"])
    return {
        "verdict": words.verdict(record),
        "tone": {"Yes": "yes", "No": "no"}.get(words.verdict(record), "none"),
        "sentence": words.sentence(record),
        "trained_sentence": trained,
        "set_sentence": words.set_sentence(record),
        "level_sentence": words.level_sentence(record),
        "who": words.who_scale(record),
        "borders": who_borders(),
        "who_sentence": words.who_sentence(record),
        "who_source": words.who_source(),
        "notes": picture_notes(record),
        "warnings": [warning for warning in record["warnings"] if warning not in said],
        "members": members,
        "weighed": any(member.share is not None for member in members),
        "largest_pull": max((abs(m.pull) for m in members if m.pull is not None), default=0.0) or 1.0,
        "measured": table,
        "measured_others": others,
        "scan": drawing(record, "scan", "levels", "levels_from_image"),
        "prepared": drawing(record, "prepared", "levels_on_prepared"),
        "maps": maps(record),
        "failed_checks": sum(not check["passed"] for check in record["quality"]),
    }


def picture_notes(record: dict[str, Any]) -> list[str]:
    """What preparing the picture had to say; whose scan it is, is said elsewhere."""
    return [note for note in record["display"]["notes"] if note not in ABOUT_FILING]


def who_borders() -> tuple[str, str]:
    """The T-scores between the categories, the lower one first."""
    categories = who_table()["categories"]
    low, high = categories["osteoporosis"]["t_score_at_most"], categories["normal"]["t_score_at_least"]
    return f"\u2212{abs(low):.1f}", f"\u2212{abs(high):.1f}"


def members_of(record: dict[str, Any]) -> list[Member]:
    """Each model's answer with its weight, the weightiest first."""
    weights = record["display"].get("weights") or {}
    members = [
        Member(words.member_name(name), said, weights.get(name, {}).get("share"), weights.get(name, {}).get("pull"))
        for name, said in record["members"].items()
    ]
    return sorted(members, key=lambda member: -(member.share or 0.0))


def measurements(values: dict[str, float | None]) -> tuple[list[Measured], list[tuple[str, str]]]:
    """Measurements as a table by level, and those that belong to no single level as (name, value with unit).

    Lengths in pixels are left out where the same are known in mm.
    """
    rows: dict[tuple[str, str | None], dict[str, str]] = {}
    others: list[tuple[str, str]] = []
    for name, value in values.items():
        if name.endswith("_px") and f"{name[:-3]}_mm" in values:
            continue
        found = MEASURED.fullmatch(name)
        column = found["where"].upper().replace("_", "–") if found else ""
        if found and column in LEVEL_COLUMNS:
            rows.setdefault((found["what"], found["unit"]), {})[column] = number(value)
        elif found and found["what"] == "height_ratio":
            others.append((f"Height of {column.replace('–', ' to that of ')}", number(value)))
        elif name == "tilt_deg":
            others.append(("Tilt of the spine", f"{number(value)}°"))
        else:
            others.append((name.replace("_", " ").capitalize(), number(value)))
    table = [
        Measured(
            QUANTITIES.get(what, what.replace("_", " ").capitalize()),
            UNITS[unit],
            tuple(row.get(column, "") for column in LEVEL_COLUMNS),
        )
        for (what, unit), row in rows.items()
    ]
    return table, others


def number(value: float | None) -> str:
    """A measured number in three digits, with a true minus."""
    if value is None:
        return "not measured"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "\u2212")


def person_name(name: str | None) -> str:
    """A name as DICOM writes it (family^given^middle), for reading."""
    parts = [part.strip() for part in (name or "").split("=")[0].split("^")]
    family, given = [*parts, ""][:2]
    return ", ".join(part for part in (family, given) if part)


def day(value: date | str | None) -> str:
    """A day, from a date or its ISO text."""
    if isinstance(value, str):
        value = date.fromisoformat(value[:10])
    return day_words(value) if value else ""


def moment(value: datetime | None) -> str:
    """A day and a time; stored times are in UTC, and it says so."""
    return f"{day_words(value.date())}, {value:%H:%M} UTC" if value else ""


def identity(who: Identity | None) -> list[str]:
    """A patient's identifiers in words: name, number, date of birth."""
    return identity_words(who.name, who.clinic_id, who.birth_date) if who else []


def identity_words(name: str | None, clinic_id: str | None, birth_date: date | None) -> list[str]:
    """The same from their parts."""
    words_ = (
        person_name(name),
        f"No. {clinic_id}" if clinic_id else "",
        f"born {day(birth_date)}" if birth_date else "",
    )
    return [text for text in words_ if text]


def patient_words(patient: dict[str, Any]) -> list[str]:
    """Sex, age, height and weight as the model had them."""
    known = (
        SEX_WORDS.get(patient.get("sex") or "", ""),
        f"{patient['age_years']:.0f} years" if patient.get("age_years") is not None else "",
        f"{patient['height_cm']:.0f} cm" if patient.get("height_cm") is not None else "",
        f"{patient['weight_kg']:.0f} kg" if patient.get("weight_kg") is not None else "",
    )
    return [text for text in known if text]


def reading_words(reading: Reading) -> str:
    """What a reader said, in a few words."""
    said = VERDICT_WORDS[reading.verdict]
    return f"{said}: {words.LABEL_WORDS[reading.label].lower()}" if reading.label else said


def file_name(row: AssessmentRow) -> str:
    """What the file was called by who sent it last."""
    last: Upload | None = max(row.uploads, key=lambda upload: upload.id, default=None)
    return last.file_name if last else ""


def kind_of(row: AssessmentRow) -> str:
    """Which page an assessment gets: waiting, failed, assessed, refused, unreadable."""
    if row.state in {State.QUEUED, State.RUNNING}:
        return "waiting"
    return "failed" if row.state == State.FAILED else Outcome(row.outcome or "").value
