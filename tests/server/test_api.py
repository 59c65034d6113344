from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from spinecare import __version__
from spinecare.errors import UnreadableCode
from spinecare.server import schema
from spinecare.server.answers import STATUS

ADDRESS = "/api/v1/assessments"


def post(client: TestClient, name: str, data: bytes):
    return client.post(ADDRESS, files={"file": (name, data)})


def test_an_assessed_scan_gives_200_and_the_whole_object(client: TestClient, png: bytes) -> None:
    answer = post(client, "scan.png", png)
    assert answer.status_code == 200
    body = answer.json()
    schema.Assessed.model_validate(body)
    assert body["schema"] == "spinecare.assessment/1"
    assert body["file"] == "scan.png"
    assert body["sha256"] == hashlib.sha256(png).hexdigest()
    assert body["category"] == "low_bone_mass"
    assert [level["name"] for level in body["levels"]] == ["L1", "L2", "L3", "L4"]
    assert body["measurements"]["area_ratio"] is None, "NaN is no JSON"


def test_abstained_gives_neither_category_nor_answer(client: TestClient, png: bytes) -> None:
    body = post(client, "abstain.png", png).json()
    schema.Assessed.model_validate(body)
    assert (body["abstained"], body["category"], body["osteoporosis"]) == (True, None, None)


def test_a_refused_scan_gives_200_with_its_reason(client: TestClient, png: bytes) -> None:
    answer = post(client, "refuse.png", png)
    assert answer.status_code == 200
    schema.Refused.model_validate(answer.json())
    assert answer.json()["code"] == "not_a_spine"


def test_unreadable_files_give_4xx_with_code_reason_and_hint(client: TestClient, png: bytes) -> None:
    for name, data, status in [
        ("note.txt", b"Dear colleague, please find enclosed ...", 415),
        ("empty.dcm", b"", 400),
        ("cut.png", png[: len(png) // 2], 422),
    ]:
        answer = post(client, name, data)
        assert answer.status_code == status, (name, answer.text)
        body = answer.json()
        schema.Unreadable.model_validate(body)
        assert body["outcome"] == "unreadable"
        assert name in body["reason"] or body["reason"]


def test_several_files_give_one_object_each_in_order(client: TestClient, png: bytes) -> None:
    names = ["yes.png", "refuse.png", "c.png"]
    answer = client.post(ADDRESS, files=[("file", (name, png)) for name in names])
    assert answer.status_code == 200
    schema.SeveralAnswers.model_validate(answer.json())
    assert [one["file"] for one in answer.json()["assessments"]] == names
    answer = client.post(ADDRESS, files=[("file", ("a.png", png)), ("file", ("b.txt", b"plain words"))])
    assert answer.status_code == 422
    assert [one["outcome"] for one in answer.json()["assessments"]] == ["assessed", "unreadable"]


@pytest.mark.parametrize("name", ["boom.png", "fail.png"])
def test_a_fault_inside_gives_500_and_tells_nothing_of_the_inside(client: TestClient, png: bytes, name: str) -> None:
    for address in (ADDRESS, "/assess"):
        answer = client.post(address, files={"file": (name, png)})
        assert answer.status_code == 500
        assert "not assessed" in answer.text
        assert "hidden" not in answer.text
        assert "Traceback" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "content-security-policy" in answer.headers


def test_concurrent_uploads_each_get_their_own_answer(client: TestClient, png: bytes) -> None:
    names = [f"{'yes' if i % 2 else 'plain'}-{i}.png" for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: post(client, name, png).json(), names))
    assert [one["file"] for one in answers] == names
    assert [one["category"] == "osteoporosis" for one in answers] == ["yes" in name for name in names]


def test_every_code_of_unreadable_has_a_status() -> None:
    assert set(STATUS) == set(UnreadableCode)
    assert all(400 <= status < 500 or code == "internal_error" for code, status in STATUS.items())


def test_healthz_names_the_model(client: TestClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["version"] == __version__
    assert answer.json()["model"]["name"] == "hand-made"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", ADDRESS, 405), ("DELETE", ADDRESS, 405), ("GET", "/api/v2/x", 404), ("POST", "/healthz", 405)],
)
def test_wrong_addresses_and_methods_give_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    schema.Problem.model_validate(answer.json())
    assert status != 405 or answer.headers["allow"]


def test_openapi_describes_the_upload_and_its_answers(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"][ADDRESS]["post"]
    assert "multipart/form-data" in operation["requestBody"]["content"]
    assert {"200", "400", "413", "415", "422", "500"} <= set(operation["responses"])
    assert {"Assessed", "Refused", "Unreadable", "Problem"} <= set(document["components"]["schemas"])
