"""Texts that are too long, or hold what PostgreSQL does not take: cut or refused, on both databases alike."""

from __future__ import annotations

import io
from typing import Any

import pytest
from sqlalchemy import select

from spinecare.errors import StoreError
from spinecare.store import accounts, audit, export, journal, readings, retention, specialists, tokens, uploads, work
from spinecare.store import worklist as lists
from spinecare.store.actor import DEMO, SYSTEM, May, Role
from spinecare.store.child import DiedError, _checked
from spinecare.store.models import AssessmentRow, Identity, PatientRow, ScanRow, State, Upload
from spinecare.store.site import Answered, Site
from spinecare.store.worker import LENGTH, FrameError, read_frame
from stored import FakePool, hand_record, make_png, put_assessment

LONG = "ü" * 3000
BAD = ("a\0b", "a\ud800b", "\x1b[31m")


def accepted(site: Site, name: str = "scan.png") -> uploads.Accepted:
    with site.files.incoming() as file:
        file.write(make_png(1))
        return uploads.accept(site, file, name, uploads.Given(), DEMO)


class Says(FakePool):
    """A worker that says this of every file."""

    def __init__(self, identity: dict[str, str | None] | None = None, **record: Any) -> None:
        super().__init__()
        self.record, self.identity = record, identity or {}

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        answered = super().assess(data, name, given)
        return Answered({**answered.record, **self.record}, answered.pictures, self.identity)


def done(site: Site, pool: FakePool) -> AssessmentRow:
    one = accepted(site)
    work.do(site.db, site.files, pool, one.assessment_id)
    with site.db.read() as session:
        return session.get_one(AssessmentRow, one.assessment_id)


@pytest.mark.parametrize("name", [LONG, *BAD])
def test_a_file_name_is_cut_and_cleaned(site: Site, name: str) -> None:
    accepted(site, name)
    with site.db.read() as session:
        kept = session.scalars(select(Upload.file_name)).one()
    assert kept == "".join(c for c in name if c.isprintable())[:128]


def test_what_a_file_says_is_cut(site: Site) -> None:
    row = done(site, Says(device=LONG, uids={"sop": LONG, "study": LONG}, code=LONG, category=LONG))
    assert row.state == State.DONE
    with site.db.read() as session:
        scan = session.scalars(select(ScanRow)).one()
    assert (len(scan.device or ""), len(scan.sop_uid or ""), len(scan.study_uid or "")) == (128, 64, 64)
    assert (len(row.code or ""), len(row.category or "")) == (32, 16)


def test_a_name_in_a_file_is_cut_and_an_id_that_is_too_long_files_nothing(site: Site) -> None:
    assert done(site, Says({"clinic_id": LONG, "name": "A^B", "birth_date": None})).state == State.DONE
    with site.db.begin() as session:
        assert session.scalars(select(PatientRow)).all() == []
    retention.delete_assessment(site, _key(site), DEMO)
    assert done(site, Says({"clinic_id": "P-1", "name": LONG, "birth_date": None})).state == State.DONE
    with site.db.read() as session:
        assert session.scalars(select(Identity.name)).one() == LONG[:256]


def _key(site: Site) -> str:
    with site.db.read() as session:
        return session.scalars(select(AssessmentRow.key)).one()


def test_an_answer_that_the_database_does_not_take_fails_and_is_not_tried_for_ever(site: Site) -> None:
    """PostgreSQL refuses a number that JSON has not; SQLite takes it, where `read_frame` does not let it through."""
    row = done(site, Says(measurements={"mean_density": float("inf")}))
    assert row.state == (State.DONE if site.db.is_sqlite else State.FAILED)


@pytest.mark.parametrize("text", ["\0", "a\0", LONG])
def test_looking_for_it_finds_nothing(site: Site, text: str) -> None:
    put_assessment(site)
    assert not retention.delete_assessment(site, text, DEMO)
    assert not retention.delete_patient(site, text, DEMO)
    assert export.original(site, text, DEMO) is None
    with pytest.raises(LookupError):
        readings.add(site, text, "agree", None, None, DEMO)
    with site.db.read() as session:
        assert accounts.by_login(session, text) is accounts.by_key(session, text) is None
        assert specialists.get(session, text) is None
        assert specialists.search(session, text, text) == []
        assert journal.find(session, journal.Filters(text, text, text, text)).entries == []
        assert lists.find(session, lists.Filters(batch=text, patient=text)).rows == ()
        assert isinstance(lists.find(session, lists.Filters(text=text, outcome=text)).rows, tuple)


@pytest.mark.parametrize("text", [LONG, *BAD])
def test_what_people_type_is_refused_with_a_sentence(site: Site, text: str) -> None:
    with pytest.raises(ValueError, match=r"longer|cannot be shown"):
        uploads.Given.from_form({"clinic_id": text})
    with pytest.raises(ValueError, match=r"longer|cannot be shown"):
        uploads.Given.from_form({"clinic_id": "P-1", "name": text})
    with site.db.begin() as session:
        account = accounts.create(site.db, session, "somebody", "Some Body", Role.CLINICIAN, SYSTEM)
        for login, name in ((text, "Name"), ("login", text)):
            with pytest.raises(ValueError, match=r"login has|Give a name"):
                accounts.create(site.db, session, login, name, Role.VIEWER, SYSTEM)
        with pytest.raises(ValueError, match="Give the token a name"):
            tokens.make(session, account, text, frozenset({May.SEE}), 30)
        for column in ("name", "city", "phone", "hours"):
            values = {"name": "N", "specialty": "S", "city": "C", column: text}
            with pytest.raises(StoreError, match=r"characters"):
                specialists.save(session, None, values)


def test_a_reason_is_cleaned_and_one_that_is_too_long_is_refused(site: Site) -> None:
    key = put_assessment(site)
    assert readings.add(site, key, "not_usable", None, "\0moved\ud800\n", DEMO).reason == "moved"
    with pytest.raises(ValueError, match="longer than"):
        readings.add(site, key, "not_usable", None, LONG, DEMO)


def test_the_audit_log_takes_any_key_and_detail(site: Site) -> None:
    with site.db.begin() as session:
        audit.note(site.db, session, DEMO, audit.Action.SEE, "assessment", LONG, of="a\0b")
    assert audit.check(site.db) is None


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
def test_a_worker_cannot_say_a_number_that_json_has_not(number: str) -> None:
    text = b'{"sizes": [], "p": %s}' % number.encode()
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(LENGTH.pack(len(text)) + text), 10)


@pytest.mark.parametrize("name", ["A", "../x", "a" * 65, ""])
def test_a_worker_cannot_name_a_picture_as_no_column_takes_it(name: str) -> None:
    record = hand_record("yes")
    record["display"]["pictures"][name] = record["display"]["pictures"].pop("scan")
    with pytest.raises(DiedError):
        _checked({"record": record, "identity": {}, "pictures": []}, [], record["sha256"])
