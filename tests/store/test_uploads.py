"""What is accepted, and what a sender may say. On both databases."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st
from sqlalchemy import func, select

from spinecare.errors import ConflictError, StoreError
from spinecare.scan import ModelInfo
from spinecare.store import audit, uploads
from spinecare.store.actor import DEMO
from spinecare.store.models import AssessmentRow, AuditEntry, Batch, Identity, ScanRow, State, Upload
from spinecare.store.site import Site
from spinecare.store.uploads import Accepted, Given
from stored import make_png


def send(
    site: Site, seed: int = 0, given: Given | None = None, name: str = "scan.png", batch: str | None = None
) -> Accepted:
    with site.files.incoming() as file:
        file.write(make_png(seed))
        return uploads.accept(site, file, name, given or Given(), DEMO, batch)


def count(site: Site, table: type) -> int:
    with site.db.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_what_is_accepted_is_kept_written_down_and_woken(site: Site) -> None:
    one = send(site, name="Doe^Jane.png")
    with site.db.read() as session:
        row = session.get_one(AssessmentRow, one.assessment_id)
        assert (row.key, row.state, row.attempt, row.given) == (one.key, State.QUEUED, 0, "{}")
        assert row.model_sha256 == site.pool.model.sha256
        assert site.files.get(row.scan.sha256) == make_png(0)
        assert row.scan.size_bytes == len(make_png(0))
        assert [(u.file_name, u.by) for u in row.uploads] == [("Doe^Jane.png", "demo")]
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.object_key) == ("upload", one.key)
    assert "Jane" not in json.dumps(entry.details)
    assert audit.check(site.db) is None
    assert site.queue.woken == [one.assessment_id]  # type: ignore[attr-defined]


def test_the_same_file_with_the_same_words_is_the_same_assessment(site: Site) -> None:
    first, again = send(site), send(site, name="copy.png")
    assert again == replace(first, already=True)
    assert (count(site, ScanRow), count(site, AssessmentRow), count(site, Upload)) == (1, 1, 2)


def test_other_words_or_another_model_are_another_assessment_of_one_scan(site: Site) -> None:
    first, aged = send(site), send(site, given=Given(age_years=66.0))
    site.pool.model = ModelInfo("next", "2", "cd" * 32, "nobody")  # type: ignore[misc]
    newer = send(site)
    assert len({first.key, aged.key, newer.key}) == 3
    assert (count(site, ScanRow), count(site, AssessmentRow)) == (1, 3)


def test_of_the_same_file_sent_eight_times_at_once_there_is_one(site: Site) -> None:
    taken: list[Accepted] = []
    given = Given(clinic_id="P-7", name="Eins")
    threads = [threading.Thread(target=lambda: taken.append(send(site, given=given))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.key for one in taken}) == 1
    assert sorted(one.already for one in taken) == [False, *[True] * 7]
    assert (count(site, ScanRow), count(site, AssessmentRow), count(site, Upload)) == (1, 1, 8)
    assert count(site, Identity) == 1
    assert audit.check(site.db) is None


def test_who_it_is_stands_apart_from_what_is_asked(site: Site) -> None:
    one = send(site, given=Given(clinic_id="P-7", name="Doe^Jane", birth_date=date(1950, 2, 3), sex="F", age_years=70))
    with site.db.read() as session:
        row = session.get_one(AssessmentRow, one.assessment_id)
        assert row.given == '{"age_years":70,"sex":"F"}'
        assert row.scan.patient is not None
        assert row.scan.patient.birth_year == 1950
        assert row.scan.patient.identity is not None
        assert (row.scan.patient.identity.clinic_id, row.scan.patient.identity.name) == ("P-7", "Doe^Jane")


def test_a_batch_holds_its_files_together(site: Site) -> None:
    batch = uploads.new_batch(site, DEMO)
    for seed in range(3):
        send(site, seed, batch=batch)
    with site.db.read() as session:
        assert session.scalar(select(func.count()).select_from(Upload).join(Batch).where(Batch.key == batch)) == 3


@pytest.mark.parametrize("key", ["0" * 16, "", "'; --", "x" * 500])
def test_a_batch_that_is_none_is_said_and_nothing_is_written(site: Site, key: str) -> None:
    with pytest.raises(StoreError, match="no such batch"):
        send(site, batch=key)
    assert count(site, AssessmentRow) == 0


def test_nothing_stays_of_a_file_that_was_not_kept(site: Site) -> None:
    with site.files.incoming() as file:
        file.write(b"half")
    assert list(site.files.all()) == []
    assert list((site.files.folder / "incoming").iterdir()) == []


def test_a_form_says_what_it_says() -> None:
    given = Given.from_form(
        {
            "clinic_id": "  P 7 ",
            "name": "Doe, Jane",
            "birth_date": "1950-02-03",
            "sex": "f",
            "age_years": "",
            "height_cm": "162,5",
            "weight_kg": "61.25",
            "acquired": "2020-02-03",
            "csrf": "x",
        }
    )
    assert given == Given("P 7", "Doe, Jane", date(1950, 2, 3), "F", 70.0, 162.5, 61.25, date(2020, 2, 3))
    assert Given.from_form({}) == Given.from_form({"sex": "U", "age_years": "  "}) == Given()
    assert Given().text() == "{}"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"age_years": "old"}, "The age must be a number from 0 to 130 years."),
        ({"age_years": "131"}, "from 0 to 130"),
        ({"age_years": "nan"}, "must be a number"),
        ({"age_years": "1e2"}, "must be a number"),
        ({"age_years": "٦٦"}, "must be a number"),
        ({"height_cm": "1.62"}, "from 30 to 250 cm"),
        ({"weight_kg": "-60"}, "The weight must be a number"),
        ({"sex": "X"}, "F, M or left out"),
        ({"clinic_id": "1", "birth_date": "3.2.1950"}, "as 1950-02-28"),
        ({"clinic_id": "1", "birth_date": "2999-01-01"}, "future"),
        ({"acquired": "1066-10-14"}, "too long ago"),
        ({"clinic_id": "1", "birth_date": "2000-01-01", "acquired": "1999-01-01"}, "before the date of birth"),
        ({"name": "Jane"}, "Type the patient's ID too"),
        ({"birth_date": "1950-01-01"}, "Type the patient's ID too"),
        ({"clinic_id": "x" * 129}, "longer than 128"),
        ({"clinic_id": "a\u202eb"}, "characters that cannot be shown"),
        ({"clinic_id": "a\x00b"}, "characters that cannot be shown"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Given.from_form(fields)


NAMES = ("clinic_id", "name", "birth_date", "sex", "age_years", "height_cm", "weight_kg", "acquired")


@hypothesis_given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=200)))
def test_any_form_is_taken_or_refused_with_a_sentence(fields: dict[str, str]) -> None:
    try:
        given = Given.from_form(fields)
    except ValueError as error:
        said = str(error)
    else:
        said = "."
        assert len(given.text()) <= 512
        assert isinstance(json.loads(given.text()), dict)
    assert said.endswith(".")


def test_a_scan_that_is_filed_is_not_taken_for_another_patient(site: Site) -> None:
    def send_as(clinic_id: str | None) -> Accepted:
        with site.files.incoming() as file:
            file.write(make_png(77))
            return uploads.accept(site, file, "scan.png", Given(clinic_id=clinic_id), DEMO)

    first = send_as("P-1")
    with pytest.raises(ConflictError, match="filed under another patient"):
        send_as("P-2")
    with site.db.read() as session:
        assert session.query(Identity).filter_by(clinic_id="P-2").count() == 0
    assert send_as(" P-1 ").key == send_as(None).key == first.key
