from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from spinecare.server.api import examples, schema
from spinecare.server.api.reference import chapters, schemas
from spinecare.store.models import Specialist, State
from spinecare.store.site import Site
from stored import make_png, put_assessment, put_patient

ADDRESS = "/api/v1/assessments"


def test_a_reading_is_kept_with_who_and_when(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes")
    said = {"verdict": "correct", "label": "low_bone_mass", "reason": "L4 holds an implant."}
    answer = client.post(f"{ADDRESS}/{key}/readings", json=said)
    assert answer.status_code == 201
    schema.ReadingOut.model_validate(answer.json())
    assert answer.json()["by_name"] == "Demo"
    listed = client.get(f"{ADDRESS}/{key}/readings").json()
    schema.Readings.model_validate(listed)
    assert listed["items"] == [answer.json()]
    assert client.get(ADDRESS).json()["items"][0]["reading"] == "correct"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"verdict": "maybe"},
        {"verdict": "correct", "label": "normal"},
        {"verdict": "correct", "reason": "x"},
        {"verdict": "correct", "label": "fine", "reason": "x"},
        {"verdict": "not_usable", "reason": " \n "},
        {"verdict": "agree", "label": "normal"},
        {"verdict": "agree", "reason": "a\x00b"},
        {"verdict": "agree", "reason": "x" * 1001},
    ],
)
def test_an_incomplete_reading_is_refused_by_its_shape(client: TestClient, site: Site, said: dict) -> None:
    key = put_assessment(site, "yes")
    answer = client.post(f"{ADDRESS}/{key}/readings", json=said)
    assert answer.status_code == 422
    assert client.get(f"{ADDRESS}/{key}/readings").json()["items"] == []


def test_a_reading_that_the_assessment_does_not_bear_is_a_conflict(client: TestClient, site: Site) -> None:
    agree = {"verdict": "agree"}
    abstained, unreadable = put_assessment(site, "abstain", seed=1), put_assessment(site, "unreadable", seed=2)
    queued = put_assessment(site, seed=3, state=State.QUEUED)
    for key in (abstained, unreadable, queued):
        answer = client.post(f"{ADDRESS}/{key}/readings", json=agree)
        assert answer.status_code == 409
        assert answer.json()["code"] == "reading_not_possible"
    body = client.post(f"{ADDRESS}/{abstained}/readings", content=b"{", headers={"Content-Type": "application/json"})
    assert body.status_code in {400, 422}


def test_every_picture_of_the_links_is_there(client: TestClient, site: Site) -> None:
    links = client.get(f"{ADDRESS}/{put_assessment(site, 'yes')}").json()["links"]
    assert {"scan", "prepared", "map", "map_cnn"} <= set(links["pictures"])
    for address in links["pictures"].values():
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
    assert client.get(links["pictures"]["scan"].replace("scan.png", "nothing.png")).status_code == 404


@pytest.mark.parametrize(("kind", "status"), [("yes", 200), ("abstain", 200), ("refuse", 200), ("unreadable", 409)])
def test_there_is_a_report_of_what_was_answered(client: TestClient, site: Site, kind: str, status: int) -> None:
    key = put_assessment(site, kind)
    assert (client.get(f"{ADDRESS}/{key}").json()["links"]["report"] is not None) == (status == 200)
    answer = client.get(f"{ADDRESS}/{key}/report.pdf")
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF-")


def test_patients_are_listed_found_and_deleted(client: TestClient, site: Site) -> None:
    keys = [put_patient(site, f"P-{i}") for i in range(3)]
    scan = put_assessment(site, "yes", patient=keys[1])
    first = client.get("/api/v1/patients?limit=2").json()
    schema.PatientPage.model_validate(first)
    rest = client.get(first["next"]).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == keys[::-1]
    assert [one["scans"] for one in first["items"] + rest["items"]] == [0, 1, 0]
    assert rest["next"] is None

    def search(clinic_id: str) -> list[str]:
        found = client.post("/api/v1/patient-search", json={"clinic_id": clinic_id})
        assert found.status_code == 200
        return [one["id"] for one in found.json()["items"]]

    assert search("P-1") == [keys[1]]
    assert search("nobody") == []
    assert client.get(client.get(f"/api/v1/patients/{keys[1]}").json()["links"]["assessments"]).json()["items"]
    assert client.delete(f"/api/v1/patients/{keys[1]}").status_code == 204
    assert search("P-1") == []
    assert client.get(f"{ADDRESS}/{scan}").status_code == 404


def test_specialists_are_filtered_and_go_by_pages(client: TestClient, site: Site) -> None:
    with site.db.begin() as session:
        session.query(Specialist).delete()
        for i in range(5):
            session.add(Specialist(name=f"N{4 - i}", specialty=["Endo", "Rheuma"][i % 2], city="Test City"))
    names, address = [], "/api/v1/specialists?limit=2&city=test%20city"
    while address:
        body = client.get(address).json()
        schema.SpecialistPage.model_validate(body)
        names += [one["name"] for one in body["items"]]
        address = body["next"]
    assert names == [f"N{i}" for i in range(5)]
    some = client.get("/api/v1/specialists?specialty=rheuma").json()["items"]
    assert [one["name"] for one in some] == ["N1", "N3"]
    assert client.get(f"/api/v1/specialists/{some[0]['id']}").json() == some[0]
    assert client.get("/api/v1/specialists?city=elsewhere").json() == {"items": [], "next": None}


def test_the_examples_of_the_document_are_what_their_objects_say() -> None:
    for model, example in [
        (schema.Assessed, examples.ASSESSED),
        (schema.Refused, examples.REFUSED),
        (schema.Unreadable, examples.UNREADABLE),
        (schema.Pending, examples.PENDING),
        (schema.SeveralAnswers, examples.SEVERAL),
        (schema.SummaryPage, examples.SUMMARIES),
        (schema.Readings, examples.READINGS),
        (schema.PatientPage, examples.PATIENTS),
        (schema.SpecialistPage, examples.SPECIALISTS),
        *((schema.Problem, problem) for problem in examples.PROBLEMS.values()),
    ]:
        model.model_validate(example)


def test_the_document_says_everything_of_every_operation(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert {"token", "session"} == set(document["components"]["securitySchemes"])
    ids = []
    for path, methods in document["paths"].items():
        if not path.startswith("/api/v1/"):
            continue
        for method, operation in methods.items():
            where = f"{method} {path}"
            ids.append(operation["operationId"])
            assert operation["summary"], where
            assert operation["description"], where
            assert operation["tags"], where
            assert operation["security"] == [{"token": []}, {"session": []}], where
            assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"]), where
            for status, reply in operation["responses"].items():
                assert reply["description"], (where, status)
                problem = reply.get("content", {}).get("application/problem+json")
                if int(status) >= 400:
                    assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, (where, status)
                    assert problem["example"]["status"] == int(status), (where, status)
                for kind, media in reply.get("content", {}).items():
                    assert "json" not in kind or "example" in media or "examples" in media, (where, status)
    assert len(ids) == len(set(ids))
    text = client.get("/openapi.json").text
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text, f"{name} is nowhere used"
    assert "HTTPValidationError" not in text


def test_the_upload_of_before_is_described_as_before(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"][ADDRESS]["post"]
    assert "file" in operation["requestBody"]["content"]["multipart/form-data"]["schema"]["required"]
    assert {"200", "202", "400", "413", "415", "422", "500"} <= set(operation["responses"])


def test_the_page_for_programmers_shows_every_operation_and_object(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    text = client.get("/docs").text
    for chapter in chapters(document):
        for operation in chapter.operations:
            assert f'id="{operation.id}"' in text
            assert operation.path in text
    for one in schemas(document):
        assert f'id="{one.name}"' in text
    assert "<script>" not in text
    assert "`" not in text, "code is marked as code"


def test_the_document_and_its_page_are_open(make_site) -> None:  # type: ignore[no-untyped-def]
    from accounts import make_client

    stranger = make_client(make_site(demo=False))
    assert stranger.get("/openapi.json").status_code == 200
    assert stranger.get("/docs").status_code == 200
    assert stranger.post(ADDRESS, files={"file": ("a.png", make_png(1))}).status_code == 401
