"""A patient's page: scans over time, for whom it is, and the deletion of everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from fastapi.testclient import TestClient

from spinecare.server.pages.patients import ASPECT, ROOM, aligned
from spinecare.store import history, readings
from spinecare.store.actor import DEMO, May, Role
from spinecare.store.models import AssessmentRow, Identity, PatientRow, State
from spinecare.store.site import Site
from stored import put_assessment, put_patient
from web import noted, post, with_token


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in demo mode whose queue stands still."""
    return make_site(consumers=False)


def full(site: Site) -> tuple[str, list[str]]:
    patient = put_patient(site)
    kinds = ("no", "abstain", "yes", "refuse")
    keys = [
        put_assessment(site, kind, seed=i, patient=patient, acquired=date(2015 + i, 2, 2))
        for i, kind in enumerate(kinds)
    ]
    return patient, keys


def test_scans_stand_side_by_side_with_their_answers(client: TestClient, site: Site) -> None:
    patient, keys = full(site)
    readings.add(site, keys[2], "agree", None, None, DEMO)
    text = client.get(f"/patients/{patient}").text
    assert "Testperson, Eins" in text
    assert [text.index(f"/assessments/{key}/pictures/scan.png") for key in keys] == sorted(
        text.index(f"/assessments/{key}/pictures/scan.png") for key in keys
    )
    assert text.count('class="trend-mark') == 3 + 4  # three answers, four in the legend
    assert "A change of this probability is not a measured change of bone density." in text
    assert "Agrees: osteoporosis" in text
    assert "style=" not in text
    assert ("see", "patient", patient) in noted(site)


def test_what_a_reader_called_not_usable_is_not_in_the_chart(client: TestClient, site: Site) -> None:
    patient, keys = full(site)
    readings.add(site, keys[0], "not_usable", None, "Moved.", DEMO)
    text = client.get(f"/patients/{patient}").text
    assert text.count('class="trend-mark') == 2 + 4
    assert "1 scan that a reader called not usable is left out of the chart." in text


def test_levels_stand_at_the_same_height_in_every_picture(site: Site) -> None:
    patient, keys = full(site)
    with site.db.begin() as session:
        row = session.query(AssessmentRow).filter_by(key=keys[0]).one()
        record = dict(row.record or {})
        display = dict(record["display"])
        # The same spine twice as large and elsewhere.
        display["levels"] = [
            {
                **level,
                "points": " ".join(
                    f"{2 * float(x) + 7},{2 * float(y) + 30}"
                    for x, y in (pair.split(",") for pair in level["points"].split())
                ),
            }
            for level in display["levels"]
        ]
        row.record = {**record, "display": display}
    with site.db.read() as session:
        found = history.of_patient(session, patient)
    assert found is not None
    for entry, tall, top in zip(found.entries, (104, 52), (42, 6), strict=False):
        view = aligned(entry)
        assert view is not None
        _, y, width, height = map(float, view.box.split())
        assert (top - y) / height == pytest.approx(ROOM / (1 + 2 * ROOM), abs=2e-3)
        assert tall / height == pytest.approx(1 / (1 + 2 * ROOM), abs=2e-3)
        assert width / height == pytest.approx(ASPECT, abs=2e-3)
    refused = aligned(found.entries[3])
    assert refused is not None
    assert refused.box == "0 0 48 64"


def test_scans_without_a_picture_have_their_place(client: TestClient, site: Site) -> None:
    patient = put_patient(site)
    put_assessment(site, "unreadable", seed=1, patient=patient)
    put_assessment(site, seed=2, patient=patient, state=State.QUEUED)
    text = client.get(f"/patients/{patient}").text
    assert "Not readable" in text
    assert "In the queue" in text
    assert '<h2 id="trend-title"' not in text
    assert "No scan is filed" in client.get(f"/patients/{put_patient(site, 'P-2')}").text


def test_who_may_only_see_learns_no_name(make_site: Callable[..., Site]) -> None:
    site, viewer = with_token(make_site, Role.VIEWER, May.SEE)
    patient, _ = full(site)
    text = viewer.get(f"/patients/{patient}").text
    assert f"Patient {patient[:8]}" in text
    for secret in ("Testperson", "P-1", "3 Feb 1950", "export.zip", "Delete this patient"):
        assert secret not in text
    assert viewer.post(f"/patients/{patient}/delete", data={"confirm": "P-1"}).status_code == 403


def test_a_patient_is_deleted_only_when_the_number_is_typed(client: TestClient, site: Site) -> None:
    patient, keys = full(site)
    wrong = post(client, f"/patients/{patient}/delete", confirm="P-2")
    assert wrong.status_code == 422
    assert "nothing was deleted" in wrong.text
    assert post(client, f"/patients/{patient}/delete", confirm=" P-1 ").headers["Location"] == "/deleted?what=patient"
    with site.db.read() as session:
        assert session.query(PatientRow).count() == session.query(Identity).count() == 0
        assert session.query(AssessmentRow).count() == 0
    assert client.get(f"/patients/{patient}").status_code == 404
    assert client.get(f"/assessments/{keys[0]}/pictures/scan.png").status_code == 404
    assert "The patient and everything of theirs was deleted." in client.get("/deleted?what=patient").text


def test_no_such_patient(client: TestClient) -> None:
    assert client.get(f"/patients/{'f' * 16}").status_code == 404
