from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import func, select

from spinecare.store import audit, retention
from spinecare.store.actor import DEMO
from spinecare.store.database import now
from spinecare.store.models import (
    AssessmentRow,
    AuditEntry,
    Base,
    IdempotencyKey,
    Identity,
    PatientRow,
    Picture,
    Reading,
    ScanRow,
    State,
    Upload,
)
from spinecare.store.site import Site
from stored import hand_pictures, make_png, put_assessment, put_patient

DAY = timedelta(days=1)


def count(site: Site, table: type[Base]) -> int:
    with site.db.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def picture_hashes(kind: str) -> set[str]:
    return {hashlib.sha256(data).hexdigest() for data in hand_pictures(kind).values()}


def scan_hash(seed: int, kind: str) -> str:
    return hashlib.sha256(make_png(seed, kind)).hexdigest()


def put_reading(site: Site, key: str) -> None:
    with site.db.begin() as session:
        row = session.scalars(select(AssessmentRow).filter_by(key=key)).one()
        session.add(Reading(assessment_id=row.id, verdict="agree", by="demo", by_name="Demo"))


def test_an_assessment_goes_with_its_rows_scan_and_pictures(site: Site) -> None:
    key = put_assessment(site, "yes")
    put_reading(site, key)
    assert retention.delete_assessment(site, key, DEMO)
    assert [count(site, table) for table in (AssessmentRow, ScanRow, Upload, Reading, Picture)] == [0] * 5
    assert set(site.files.all()) == set()


def test_a_file_that_another_row_names_stays(site: Site) -> None:
    first = put_assessment(site, "yes", seed=1)
    put_assessment(site, "yes", seed=2)
    retention.delete_assessment(site, first, DEMO)
    assert set(site.files.all()) == {scan_hash(2, "yes")} | picture_hashes("yes")


def test_a_scan_with_a_second_assessment_stays(site: Site) -> None:
    key = put_assessment(site, "yes")
    with site.db.begin() as session:
        row = session.scalars(select(AssessmentRow).filter_by(key=key)).one()
        session.add(AssessmentRow(scan_id=row.scan_id, given='{"age_years":70}', model_sha256=row.model_sha256))
    retention.delete_assessment(site, key, DEMO)
    assert count(site, ScanRow) == 1
    assert set(site.files.all()) == {scan_hash(0, "yes")}


def test_a_patient_goes_with_everything_of_theirs_and_of_nobody_else(site: Site) -> None:
    mine, other = put_patient(site, "P-1"), put_patient(site, "P-2", "Testperson^Zwei")
    for seed in (1, 2):
        put_reading(site, put_assessment(site, "no", seed=seed, patient=mine))
    kept = put_assessment(site, "yes", seed=3, patient=other)
    assert retention.delete_patient(site, mine, DEMO)
    with site.db.read() as session:
        assert session.scalars(select(PatientRow.key)).all() == [other]
        assert session.scalars(select(Identity.clinic_id)).all() == ["P-2"]
        assert session.scalars(select(AssessmentRow.key)).all() == [kept]
    assert count(site, Reading) == 0
    assert set(site.files.all()) == {scan_hash(3, "yes")} | picture_hashes("yes")


def test_deletion_is_noted_with_keys_and_counts_alone(site: Site) -> None:
    patient = put_patient(site)
    put_assessment(site, "no", patient=patient)
    retention.delete_patient(site, patient, DEMO)
    with site.db.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.object_kind, entry.object_key) == ("delete", "patient", patient)
    assert entry.details == {"scans": 1, "assessments": 1}
    assert audit.check(site.db) is None


def test_what_is_not_there_is_not_deleted(site: Site) -> None:
    assert not retention.delete_assessment(site, "0" * 16, DEMO)
    assert not retention.delete_patient(site, "0" * 16, DEMO)
    assert audit.tail(site.db).id == 0


def test_what_is_older_than_the_clinic_keeps_expires(make_store: Callable[..., Site]) -> None:
    site = make_store(retention_days=30)
    patient = put_patient(site)
    with site.db.begin() as session:
        session.query(PatientRow).update({"created_at": now() - 40 * DAY})
    put_assessment(site, "yes", seed=1, at=now() - 31 * DAY, patient=patient)
    young = put_assessment(site, "yes", seed=2, at=now() - 29 * DAY)
    waiting = put_assessment(site, "yes", seed=3, at=now() - 99 * DAY, state=State.QUEUED)
    assert retention.expire(site) == 1
    with site.db.read() as session:
        assert set(session.scalars(select(AssessmentRow.key))) == {young, waiting}
    assert count(site, PatientRow) == count(site, Identity) == 0
    assert scan_hash(1, "yes") not in site.files
    assert retention.expire(site, now() + 2 * DAY) == 1, "the next one, two days later"


def test_what_was_sent_again_lately_is_kept(make_store: Callable[..., Site]) -> None:
    site = make_store(retention_days=30)
    key = put_assessment(site, "yes", at=now() - 90 * DAY)
    with site.db.begin() as session:
        row = session.scalars(select(AssessmentRow).filter_by(key=key)).one()
        session.add(Upload(assessment_id=row.id, file_name="again.png", by="demo"))
    assert retention.expire(site) == 0


def test_without_the_setting_nothing_expires(site: Site) -> None:
    put_assessment(site, "yes", at=now() - 9999 * DAY)
    assert retention.expire(site) == 0
    assert count(site, AssessmentRow) == 1


def test_more_than_one_slice_expires(make_store: Callable[..., Site], monkeypatch) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)
    site = make_store(retention_days=1)
    for seed in range(5):
        put_assessment(site, "refuse", seed=seed, at=now() - 3 * DAY)
    assert retention.expire(site) == 5
    assert set(site.files.all()) == set()


def test_a_sweep_removes_old_files_without_a_name_and_nothing_else(site: Site) -> None:
    put_assessment(site, "yes")
    named = set(site.files.all())
    old, young = site.files.put(b"left by a killed process"), site.files.put(b"its row is on the way")
    half = site.files.folder / "incoming" / "tmpleft"
    half.write_bytes(b"half")
    for path, age_s in ((site.files.path(old), 7200), (half, 100_000)):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_s))
    assert retention.sweep(site) == 2
    assert set(site.files.all()) == named | {young}
    assert not half.exists()


def test_tidying_forgets_old_idempotency_keys(site: Site) -> None:
    with site.db.begin() as session:
        for value, at in (("old", now() - 2 * DAY), ("new", now())):
            session.add(IdempotencyKey(actor="demo", value=value, body_sha256="0" * 64, assessment_keys=[], at=at))
    retention.tidy(site)
    with site.db.read() as session:
        assert session.scalars(select(IdempotencyKey.value)).all() == ["new"]


def test_a_picture_that_is_stored_again_while_it_is_deleted_stays(site: Site, monkeypatch) -> None:
    """Between the deletion of the rows and the removal of files somebody finishes one with the same pictures."""
    first = put_assessment(site, "yes", seed=1)
    forget = retention._forget

    def store_then_forget(store: Site, hashes: set[str]) -> int:
        put_assessment(site, "yes", seed=2)
        return forget(store, hashes)

    monkeypatch.setattr(retention, "_forget", store_then_forget)
    retention.delete_assessment(site, first, DEMO)
    assert set(site.files.all()) == {scan_hash(2, "yes")} | picture_hashes("yes")
