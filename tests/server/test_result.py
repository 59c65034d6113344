"""The page of one assessment: what it shows to whom, in every state, and what its forms do."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader

from spinecare.server.app import create_app
from spinecare.server.pages import shown
from spinecare.store import readings
from spinecare.store.actor import DEMO, May, Role
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, Reading, ScanRow, State
from spinecare.store.patients import OTHER_ID
from spinecare.store.site import Site
from stored import hand_record, put_assessment, put_patient
from web import noted, post, with_token


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in demo mode whose queue stands still."""
    return make_site(consumers=False)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            "yes",
            ["The model reads osteoporosis on this scan: probability 71\u00a0%", "decision threshold of 31\u00a0%"],
        ),
        ("no", ["The model reads no osteoporosis on this scan: probability 12\u00a0%", "Not ruled out"]),
        ("abstain", ["The model abstains", "None of the three classes can be ruled out."]),
        ("refuse", ["Refused", "This is no AP lumbar spine.", "This is no finding"]),
        ("unreadable", ["Not readable", "The file is damaged: it breaks off.", "Copy or export the scan again"]),
    ],
)
def test_each_outcome_has_its_page(client: TestClient, site: Site, kind: str, says: list[str]) -> None:
    answer = client.get(f"/assessments/{put_assessment(site, kind)}")
    assert answer.status_code == 200
    for words in says:
        assert words in answer.text
    assert "style=" not in answer.text
    assert ("viewer.js" in answer.text) == (kind != "unreadable")


def test_an_answer_shows_its_reasons(client: TestClient, site: Site) -> None:
    text = client.get(f"/assessments/{put_assessment(site, 'yes')}").text
    assert "away from osteoporosis (−0.40)" in text
    assert "towards osteoporosis (+0.16)" in text
    assert text.index('class="main">CNN') < text.index('class="main">VGG16')  # the weightiest first
    assert "1 of 2 checks of the picture did not pass" in text
    assert text.count('class="overlay overlay-') == 4
    assert "The age is unknown" in text
    assert text.count("For research, not a diagnosis.") == 2  # with the answer and at the foot, not among the warnings
    assert "not measured" in text
    assert "It measured no T-score and no BMD" in text


@pytest.mark.parametrize(("state", "says"), [(State.QUEUED, "In the queue"), (State.RUNNING, "Being assessed")])
def test_a_waiting_page_asks_again_with_and_without_javascript(
    client: TestClient, site: Site, state: State, says: str
) -> None:
    key = put_assessment(site, state=state)
    text = client.get(f"/assessments/{key}").text
    assert says in text
    assert '<noscript><meta http-equiv="refresh"' in text
    assert f'hx-get="/assessments/{key}/state"' in text
    again = client.get(f"/assessments/{key}/state")
    assert says in again.text
    assert "<html" not in again.text
    with site.db.begin() as session:
        row = session.query(AssessmentRow).one()
        row.state, row.outcome, row.record = State.DONE, "assessed", hand_record("no")
    assert client.get(f"/assessments/{key}/state").headers["HX-Refresh"] == "true"


def test_a_place_in_the_queue_and_a_stuck_one(client: TestClient, site: Site) -> None:
    put_assessment(site, seed=1, state=State.QUEUED)
    key = put_assessment(site, seed=2, state=State.QUEUED, at=now() - timedelta(minutes=6))
    text = client.get(f"/assessments/{key}").text
    assert "1 scan is before this one." in text
    assert "longer than it should" in text


def test_what_failed_can_be_asked_again(client: TestClient, site: Site) -> None:
    key = put_assessment(site, state=State.FAILED)
    assert "A fault on our side" in client.get(f"/assessments/{key}").text
    assert post(client, f"/assessments/{key}/retry").status_code == 303
    with site.db.read() as session:
        assert session.query(AssessmentRow).one().state == State.QUEUED
    assert ("assess", "assessment", key) in noted(site)


def test_a_reading_is_kept_and_shown(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes")
    answer = post(
        client, f"/assessments/{key}/reading", verdict="correct", label="normal", reason="<b>Old</b> fracture"
    )
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/assessments/{key}#readings"
    text = client.get(f"/assessments/{key}").text
    assert "Corrects: normal" in text
    assert "&lt;b&gt;Old&lt;/b&gt; fracture" in text
    assert ("reading", "assessment", key) in noted(site)


def test_a_reading_that_is_not_complete_comes_back_with_what_was_typed(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes")
    answer = post(client, f"/assessments/{key}/reading", verdict="correct", label="", reason="Scanner says T −0.8")
    assert answer.status_code == 422
    assert "Choose the right class." in answer.text
    assert "Scanner says T −0.8</textarea>" in answer.text
    assert 'value="correct" required checked' in answer.text


def test_a_form_without_its_token_changes_nothing(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes")
    for path in ("reading", "file", "retry", "delete"):
        sent = {"verdict": "agree", "clinic_id": "X", "confirm": "delete"}
        assert client.post(f"/assessments/{key}/{path}", data=sent).status_code == 403
    with site.db.read() as session:
        assert session.query(Reading).count() == 0
        assert session.query(AssessmentRow).count() == 1


def test_pictures_come_from_the_record_alone(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes")
    answer = client.get(f"/assessments/{key}/pictures/map_cnn.png")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    for name in ("other", "..", "%2e%2e%2fx"):
        assert client.get(f"/assessments/{key}/pictures/{name}.png").status_code == 404
    assert client.get(f"/assessments/{'0' * 16}/pictures/scan.png").status_code == 404
    queued = put_assessment(site, seed=5, state=State.QUEUED)
    assert client.get(f"/assessments/{queued}/pictures/scan.png").status_code == 404


def test_json_is_the_object_of_the_contract(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes", file_name="Meier.png")
    answer = client.get(f"/assessments/{key}.json")
    record = answer.json()
    assert record["category"] == "osteoporosis"
    assert record["file"] == "Meier.png"
    assert "display" not in record
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "Meier" not in answer.headers["Content-Disposition"]
    waiting = put_assessment(site, seed=1, state=State.QUEUED)
    assert client.get(f"/assessments/{waiting}.json").status_code == 409


def test_the_report_as_pdf(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes", patient=put_patient(site), file_name="Meier.png", acquired=date(2020, 3, 4))
    readings.add(site, key, "correct", "normal", "Scoliosis.", DEMO)
    answer = client.get(f"/assessments/{key}.pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    text = " ".join("".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages).split())
    for words in ("Testperson, Eins", "4 Mar 2020", "probability 71", "Scoliosis.", "Demo"):
        assert words in text
    assert ("export", "assessment", key) in noted(site)
    assert client.get(f"/assessments/{put_assessment(site, 'refuse', seed=1)}.pdf").status_code == 200
    assert client.get(f"/assessments/{put_assessment(site, 'unreadable', seed=2)}.pdf").status_code == 409


def test_the_sheet_to_print_has_no_forms(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes", patient=put_patient(site), acquired=date(2020, 3, 4))
    main = client.get(f"/assessments/{key}?print").text.split("<main")[1].split("</main>")[0]
    assert "<form" not in main
    assert "<details" not in main
    for words in (
        "Testperson, Eins, No. P-1, born 3 Feb 1950",
        "4 Mar 2020",
        "Explanation map",
        "Date, name, signature",
    ):
        assert words in main
    assert "Refused" in client.get(f"/assessments/{put_assessment(site, 'refuse', seed=3)}?print").text


def test_who_may_only_see_learns_no_name_and_changes_nothing(make_site: Callable[..., Site]) -> None:
    site, viewer = with_token(make_site, Role.VIEWER, May.SEE)
    patient = put_patient(site)
    key = put_assessment(site, "yes", patient=patient, file_name="Meier.png")
    page = viewer.get(f"/assessments/{key}").text
    for secret in ("Testperson", "P-1", "Meier", "1950"):
        assert secret not in page
    assert f"/patients/{patient}" in page
    assert "<form class" not in page
    assert viewer.get(f"/assessments/{key}.json").json()["file"] == ""
    assert "Testperson" not in viewer.get(f"/assessments/{key}?print").text
    assert viewer.get(f"/assessments/{key}.pdf").status_code == 403
    for path in ("reading", "file", "retry", "delete"):
        assert viewer.post(f"/assessments/{key}/{path}", data={"confirm": "delete"}).status_code == 403


def test_nobody_sees_anything_without_signing_in(make_site: Callable[..., Site]) -> None:
    site, _ = with_token(make_site, Role.VIEWER, May.SEE)
    key = put_assessment(site, "yes", patient=put_patient(site))
    stranger = TestClient(create_app(site), base_url="http://127.0.0.1", follow_redirects=False)
    for path in ("", ".json", ".pdf", "/pictures/scan.png", "/state"):
        answer = stranger.get(f"/assessments/{key}{path}")
        assert answer.status_code in {303, 401}
        assert "Osteoporosis" not in answer.text


def test_every_look_at_an_answer_is_noted(client: TestClient, site: Site) -> None:
    key, waiting = put_assessment(site), put_assessment(site, seed=1, state=State.QUEUED)
    client.get(f"/assessments/{key}")
    client.get(f"/assessments/{key}.json")
    client.get(f"/assessments/{waiting}/state")
    assert noted(site) == [("see", "assessment", key)] * 2


def test_a_scan_is_filed_under_a_patient_and_taken_away(client: TestClient, site: Site) -> None:
    key = put_assessment(site)
    path = f"/assessments/{key}/file"
    assert post(client, path, clinic_id="P-9", name="Neu^Anna", birth_date="1944-05-06").status_code == 303
    assert "Neu, Anna" in client.get(f"/assessments/{key}").text
    wrong = post(client, path, clinic_id="P-9", birth_date="1950-01-01")
    assert wrong.status_code == 422
    assert "another date of birth" in wrong.text
    assert post(client, path, clinic_id="", name="A").status_code == 422
    assert post(client, path, clinic_id="").status_code == 303
    with site.db.read() as session:
        assert session.query(ScanRow).one().patient_id is None


def test_a_scan_is_deleted_only_when_the_word_is_typed(client: TestClient, site: Site) -> None:
    key = put_assessment(site)
    wrong = post(client, f"/assessments/{key}/delete", confirm="yes")
    assert wrong.status_code == 422
    assert "Type the word “delete”" in wrong.text
    assert post(client, f"/assessments/{key}/delete", confirm="Delete").headers["Location"] == "/deleted?what=scan"
    assert client.get(f"/assessments/{key}").status_code == 404
    assert "The scan, its answer" in client.get("/deleted?what=scan").text


def test_what_does_not_exist_is_not_found(client: TestClient) -> None:
    for path in ("", ".json", ".pdf", "/state"):
        assert client.get(f"/assessments/{'f' * 16}{path}").status_code == 404


@pytest.mark.parametrize("key", ["x", "%0a", "A" * 16, "..%2f..%2fetc", "0" * 17])
def test_what_is_no_key_is_not_found(client: TestClient, key: str) -> None:
    for path in ("", ".json", ".pdf", "/state", "/pictures/scan.png"):
        assert client.get(f"/assessments/{key}{path}").status_code == 404
    assert client.get(f"/patients/{key}").status_code == 404


def test_whose_scan_it_is_not_is_said_until_it_is_filed(client: TestClient, site: Site) -> None:
    key = put_assessment(site)
    with site.db.begin() as session:
        row = session.query(AssessmentRow).one()
        record = dict(row.record or {})
        row.record = {**record, "display": {**record["display"], "notes": [OTHER_ID, "A line was removed."]}}
    text = client.get(f"/assessments/{key}").text
    assert text.count("filed under nobody.") == 1
    assert text.count("A line was removed.") == 1
    post(client, f"/assessments/{key}/file", clinic_id="P-9")
    assert "filed under nobody." not in client.get(f"/assessments/{key}").text


def test_measurements_stand_by_level_with_their_units() -> None:
    values = {
        "grey_l1_of_white": 0.4936,
        "grey_l1_l4_of_white": 0.52,
        "height_l1_px": 142.9,
        "height_l1_mm": 36.1,
        "height_l2_px": 150.0,
        "height_ratio_l1_l2": 0.932,
        "tilt_deg": -2.12,
        "odd": None,
    }
    table, others = shown.measurements(values)
    assert [(row.name, row.unit, row.values) for row in table] == [
        ("Mean grey of the bone", "of white", ("0.494", "", "", "", "0.52")),
        ("Height", "mm", ("36.1", "", "", "", "")),
        ("Height", "px", ("", "150", "", "", "")),
    ]
    assert others == [("Height of L1 to that of L2", "0.932"), ("Tilt of the spine", "−2.12°"), ("Odd", "not measured")]


def test_names_are_written_for_people() -> None:
    assert shown.person_name("Meier^Anna^B^^Dr=マイヤー") == "Meier, Anna"
    assert shown.person_name("Meier") == "Meier"
    assert shown.person_name(None) == ""
