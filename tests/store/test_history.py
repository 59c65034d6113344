"""A patient's scans over time."""

from __future__ import annotations

from datetime import UTC, date, datetime

from spinecare.store import history, readings
from spinecare.store.actor import DEMO
from spinecare.store.history import History
from spinecare.store.models import AssessmentRow, State
from spinecare.store.site import Site
from stored import put_assessment, put_patient


def of(site: Site, key: str) -> History:
    with site.db.read() as session:
        found = history.of_patient(session, key)
    assert found is not None
    return found


def test_scans_come_from_the_oldest_to_the_newest(site: Site) -> None:
    patient = put_patient(site)
    late = put_assessment(site, "yes", seed=1, patient=patient, acquired=date(2020, 1, 1))
    early = put_assessment(site, "no", seed=2, patient=patient, acquired=date(2010, 1, 1))
    undated = put_assessment(site, "refuse", seed=3, patient=patient)
    put_assessment(site, "no", seed=4)
    found = of(site, patient)
    assert [entry.assessment_key for entry in found.entries] == [early, late, undated]
    assert [entry.is_acquired for entry in found.entries] == [True, True, False]
    assert [entry.probability for entry in found.entries] == [0.12, 0.71, None]
    assert found.entries[1].threshold == 0.31
    assert found.entries[1].model == "hand-made 0.0.1"
    assert found.who is not None
    assert (found.who.clinic_id, found.who.birth_date) == ("P-1", date(1950, 2, 3))


def test_of_several_answers_to_a_scan_the_newest_that_is_done_counts(site: Site) -> None:
    patient = put_patient(site)
    key = put_assessment(site, "yes", patient=patient, at=datetime(2020, 1, 1, tzinfo=UTC))
    readings.add(site, key, "agree", None, None, DEMO)
    with site.db.begin() as session:
        row = session.query(AssessmentRow).one()
        session.add(AssessmentRow(scan_id=row.scan_id, given='{"age_years":70}', model_sha256=row.model_sha256))
    (entry,) = of(site, patient).entries
    assert (entry.assessment_key, entry.state, entry.others) == (key, State.DONE, 1)
    assert [reading.verdict for reading in entry.readings] == ["agree"]


def test_a_patient_without_scans_and_no_patient(site: Site) -> None:
    assert of(site, put_patient(site)).entries == ()
    with site.db.read() as session:
        assert history.of_patient(session, "0" * 16) is None
