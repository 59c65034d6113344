"""The directory: what is found, how far it is, and what a CSV file may bring."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from spinecare.errors import StoreError
from spinecare.store.site import Site
from spinecare.store.specialists import (
    EARTH_RADIUS_KM,
    Place,
    distance_km,
    find_place,
    import_csv,
    load_sample,
    save,
    search,
    specialties,
)

HEAD = "name,specialty,city,latitude_deg,longitude_deg,website\n"


@pytest.fixture
def session(site: Site) -> Iterator[Session]:
    with site.db.begin() as opened:
        yield opened


def test_the_sample_says_that_it_is_one_and_comes_once(session: Session) -> None:
    assert load_sample(session) == 8
    assert load_sample(session) == 0
    for one in search(session):
        assert one.specialist.is_sample
        assert one.specialist.name.startswith("Sample entry")
        assert "not real" in (one.specialist.organisation or "")


def test_the_nearest_comes_first(session: Session) -> None:
    load_sample(session)
    found = search(session, near=find_place(session, "hamburg"))
    assert [one.specialist.city for one in found][:3] == ["Hamburg", "Berlin", "Munich"]
    assert found[0].distance_km == 0
    # 255 km as the crow flies between the two city centres.
    assert found[1].distance_km == pytest.approx(255, abs=3)


def test_entries_without_coordinates_come_last(session: Session) -> None:
    import_csv(session, HEAD + "Nowhere,Endocrinology,Atlantis,,,\nBerliner,Endocrinology,Berlin,52.5,13.4,\n")
    found = search(session, near=Place("x", 0.0, 0.0))
    assert [one.specialist.name for one in found] == ["Berliner", "Nowhere"]
    assert found[1].distance_km is None


def test_words_specialty_and_wildcards(session: Session) -> None:
    load_sample(session)
    assert {one.specialist.city for one in search(session, "clinic germany")} == set()
    assert {one.specialist.city for one in search(session, "clinic berlin")} == {"Berlin"}
    assert len(search(session, specialty="Endocrinology")) == 3
    assert search(session, "%") == []
    assert "Geriatrics" in specialties(session)


@pytest.mark.parametrize(
    ("text", "point"), [("48.14, 11.58", (48.14, 11.58)), ("-33.9 151.2", (-33.9, 151.2)), ("99, 0", None), ("", None)]
)
def test_a_place_as_coordinates(session: Session, text: str, point: tuple[float, float] | None) -> None:
    place = find_place(session, text)
    assert (place and (place.latitude_deg, place.longitude_deg)) == point


@given(st.floats(-89, 89), st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180))
def test_distance_is_the_angle_between_the_points(a: float, b: float, c: float, d: float) -> None:
    def vector(latitude: float, longitude: float) -> np.ndarray:
        lat, lon = math.radians(latitude), math.radians(longitude)
        return np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])

    u, v = vector(a, b), vector(c, d)
    angle = math.atan2(float(np.linalg.norm(np.cross(u, v))), float(u @ v))
    km = distance_km(Place("", a, b), np.array([c]), np.array([d]))[0]
    assert km == pytest.approx(EARTH_RADIUS_KM * angle, abs=1e-3)


def test_a_csv_file_adds_then_changes(session: Session) -> None:
    first = import_csv(session, "\ufeff" + HEAD.replace(",", ";") + "A;Endocrinology;Bonn;50,7;7.1;\n")
    assert first.errors == ("Line 2: The latitude must be a number between −90 and 90 degrees.",)
    assert search(session) == []
    assert import_csv(session, HEAD + "A,Endocrinology,Bonn,50.7,7.1,\n").added == 1
    again = import_csv(session, HEAD + "A,Endocrinology,Bonn,50.8,7.1,https://a.example\nB,Geriatrics,Bonn,,,\n")
    assert (again.added, again.changed) == (1, 1)
    assert search(session, "A")[0].specialist.latitude_deg == 50.8


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",Endocrinology,Bonn,,,", "Name must be filled in."),
        ("A,Endocrinology,Bonn,1,,", "Latitude and longitude go together."),
        ("A,Endocrinology,Bonn,,,javascript:alert(1)", "The website must begin with"),
        ("A,Endocrinology,Bonn,nan,1,", "The latitude must be a number"),
        ("A" * 200 + ",Endocrinology,Bonn,,,", "The name has more than 128 characters."),
    ],
)
def test_one_wrong_row_stops_the_file(session: Session, row: str, said: str) -> None:
    result = import_csv(session, HEAD + "Good,Endocrinology,Bonn,,,\n" + row + "\n")
    assert said in result.errors[0]
    assert search(session) == []


@pytest.mark.parametrize("text", ["", "a\x00b", 'name,"spec\n', "foo,bar\n1,2\n"])
def test_what_is_no_table_is_said(session: Session, text: str) -> None:
    assert import_csv(session, text).errors


def test_an_entry_by_hand(session: Session) -> None:
    row = save(session, None, {"name": "  A  B ", "specialty": "Geriatrics", "city": "Ulm"})
    assert (row.name, row.phone, row.is_sample) == ("A B", None, False)
    with pytest.raises(StoreError, match="no e-mail"):
        save(session, row, {"name": "A", "specialty": "G", "city": "Ulm", "email": "a at b"})
