from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from accounts import with_token
from spinecare.errors import UnreadableCode
from spinecare.server.api import schema
from spinecare.server.api.objects import STATUS
from spinecare.store.actor import May, Role
from spinecare.store.models import AssessmentRow, AuditEntry, Upload
from spinecare.store.site import Site
from stored import make_png, put_assessment, put_patient

ADDRESS = "/api/v1/assessments"


def post(client: TestClient, name: str, content: bytes, **more):
    return client.post(ADDRESS, files={"file": (name, content)}, **more)


def test_an_assessed_scan_gives_200_and_the_whole_object(client: TestClient) -> None:
    png = make_png(1, "yes")
    answer = post(client, "scan.png", png)
    assert answer.status_code == 200
    body = answer.json()
    schema.Assessed.model_validate(body)
    assert body["schema"] == "spinecare.assessment/1"
    assert body["file"] == "scan.png"
    assert body["sha256"] == hashlib.sha256(png).hexdigest()
    assert (body["outcome"], body["osteoporosis"], body["category"]) == ("assessed", "yes", "osteoporosis")
    assert [level["name"] for level in body["levels"]] == ["L1", "L2", "L3", "L4"]
    assert body["measurements"]["area_ratio"] is None, "NaN is no JSON"
    assert "display" not in body
    assert body["state"] == "done"
    assert body["links"]["self"] == f"{ADDRESS}/{body['id']}"


def test_abstained_gives_neither_category_nor_answer(client: TestClient) -> None:
    body = post(client, "a.png", make_png(1, "abstain")).json()
    schema.Assessed.model_validate(body)
    assert (body["abstained"], body["category"], body["osteoporosis"]) == (True, None, None)


def test_a_refused_scan_gives_200_with_its_reason(client: TestClient) -> None:
    answer = post(client, "a.png", make_png(1, "refuse"))
    assert answer.status_code == 200
    schema.Refused.model_validate(answer.json())
    assert answer.json()["code"] == "not_a_spine"


def test_an_unreadable_file_gives_4xx_with_code_reason_and_hint(client: TestClient) -> None:
    answer = post(client, "cut.png", make_png(1, "unreadable"))
    assert answer.status_code == 422
    body = answer.json()
    schema.Unreadable.model_validate(body)
    assert (body["outcome"], body["code"], body["file"]) == ("unreadable", "damaged", "cut.png")
    assert body["reason"]
    assert body["hint"]


def test_several_files_give_one_object_each_in_order(client: TestClient) -> None:
    kinds = {"b.png": "yes", "a.png": "refuse", "c.png": ""}
    answer = client.post(ADDRESS, files=[("file", (name, make_png(1, kind))) for name, kind in kinds.items()])
    assert answer.status_code == 200
    schema.SeveralAnswers.model_validate(answer.json())
    assert [one["file"] for one in answer.json()["assessments"]] == list(kinds)
    assert [one["outcome"] for one in answer.json()["assessments"]] == ["assessed", "refused", "assessed"]
    answer = client.post(
        ADDRESS, files=[("file", ("a.png", make_png(2))), ("file", ("b.png", make_png(2, "unreadable")))]
    )
    assert answer.status_code == 422
    assert [one["outcome"] for one in answer.json()["assessments"]] == ["assessed", "unreadable"]


def test_a_fault_inside_gives_500_and_tells_nothing_of_the_inside(client: TestClient) -> None:
    answer = post(client, "a.png", make_png(1, "boom"))
    assert answer.status_code == 500
    body = answer.json()
    schema.Unreadable.model_validate(body)
    assert (body["state"], body["outcome"], body["code"]) == ("failed", "unreadable", "internal_error")
    assert "not assessed" in body["reason"]
    assert "hidden" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_concurrent_uploads_each_get_their_own_answer(client: TestClient) -> None:
    names = [f"{'yes' if i % 2 else 'plain'}-{i}.png" for i in range(12)]

    def send(i: int):
        return post(client, names[i], make_png(i, "yes" if i % 2 else "")).json()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(12)))
    assert [one["file"] for one in answers] == names
    assert [one["osteoporosis"] == "yes" for one in answers] == ["yes" in name for name in names]


def test_every_code_of_unreadable_has_a_status() -> None:
    assert set(STATUS) == set(UnreadableCode)
    assert all(400 <= status < 500 or code == "internal_error" for code, status in STATUS.items())
    assert STATUS[UnreadableCode.TOO_COSTLY] == 422


def test_the_same_file_is_the_same_assessment(client: TestClient, site: Site) -> None:
    first, second = (post(client, name, make_png(1)).json() for name in ("a.png", "b.png"))
    assert first["id"] == second["id"]
    assert (first["file"], second["file"]) == ("a.png", "b.png")
    third = post(client, "a.png", make_png(1), data={"age_years": "61"}).json()
    assert third["id"] != first["id"], "another age is another question"


def test_respond_async_gives_202_and_where_the_answer_will_be(client: TestClient) -> None:
    answer = post(client, "a.png", make_png(1, "slow"), headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    schema.Pending.model_validate(answer.json())
    assert answer.headers["preference-applied"] == "respond-async"
    place = answer.headers["location"]
    assert client.get(place).json()["id"] == answer.json()["id"]
    # The same file again, this time with the patience to wait for it.
    done = post(client, "a.png", make_png(1, "slow"), headers={"Prefer": "wait=20"})
    assert done.status_code == 200
    assert done.json()["id"] == answer.json()["id"]
    assert client.get(place).json()["state"] == "done"


def test_several_files_sent_async_are_listed_by_their_batch(client: TestClient) -> None:
    files = [("file", (f"{i}.png", make_png(i))) for i in range(3)]
    headers = {"Prefer": "respond-async", "Idempotency-Key": "k-1"}
    answer = client.post(ADDRESS, files=files, headers=headers)
    assert answer.status_code == 202
    replayed = client.post(ADDRESS, files=files, headers=headers)
    assert replayed.headers["location"] == answer.headers["location"]
    listed = client.get(answer.headers["location"]).json()["items"]
    assert {one["id"] for one in listed} == {one["id"] for one in answer.json()["assessments"]}


def test_patience_ends_with_202(client: TestClient) -> None:
    answer = post(client, "a.png", make_png(1, "slow"), headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


def test_an_idempotency_key_gives_the_same_answer_and_does_nothing_again(client: TestClient, site: Site) -> None:
    key = {"Idempotency-Key": "k-1"}
    first, second = (post(client, "a.png", make_png(1), headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    with site.db.read() as session:
        assert session.query(Upload).count() == 1


@pytest.mark.parametrize("change", ["bytes", "name", "field"])
def test_an_idempotency_key_with_something_else_is_refused(client: TestClient, site: Site, change: str) -> None:
    key = {"Idempotency-Key": "k-1"}
    post(client, "a.png", make_png(1), headers=key)
    answer = post(
        client,
        "b.png" if change == "name" else "a.png",
        make_png(2 if change == "bytes" else 1),
        data={"sex": "F"} if change == "field" else {},
        headers=key,
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    with site.db.read() as session:
        assert session.query(AssessmentRow).count() == 1


def test_idempotency_keys_belong_to_who_sent_them(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    key = {"Idempotency-Key": "k-1", "Prefer": "respond-async"}
    with with_token(site, Role.CLINICIAN) as one, with_token(site, Role.ADMINISTRATOR) as other:
        assert post(one, "a.png", make_png(1), headers=key).status_code == 202
        assert post(other, "b.png", make_png(2), headers=key).status_code == 202


def test_two_at_once_with_one_key_make_one_upload_or_the_same_assessment(client: TestClient, site: Site) -> None:
    key = {"Idempotency-Key": "k-1"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(client, "a.png", make_png(1), headers=key), range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_key_whose_assessment_was_deleted_takes_the_file_again(client: TestClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = post(client, "a.png", make_png(1), headers=key).json()
    assert client.delete(f"{ADDRESS}/{first['id']}").status_code == 204
    again = post(client, "a.png", make_png(1), headers=key)
    assert again.status_code == 200
    assert again.json()["id"] != first["id"]


@pytest.mark.parametrize(
    ("fields", "word"), [({"sex": "X"}, "sex"), ({"age_years": "old"}, "age"), ({"birth_date": "3.2.1950"}, "date")]
)
def test_fields_that_make_no_sense_are_named(client: TestClient, site: Site, fields: dict, word: str) -> None:
    answer = post(client, "a.png", make_png(1), data=fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"].lower()
    with site.db.read() as session:
        assert session.query(AssessmentRow).count() == 0


def test_a_scan_with_a_number_is_filed_under_its_patient(client: TestClient) -> None:
    body = post(client, "a.png", make_png(1), data={"clinic_id": "P-7", "name": "Test^Eins"}).json()
    patient = client.get(body["links"]["patient"]).json()
    schema.PatientOut.model_validate(patient)
    assert patient["identity"]["clinic_id"] == "P-7"
    assert patient["scans"] == 1


def test_an_answer_is_had_again_and_unchanged_costs_no_body(client: TestClient, site: Site) -> None:
    key = put_assessment(site, "yes", file_name="Testperson.png")
    first = client.get(f"{ADDRESS}/{key}")
    assert first.status_code == 200
    schema.Assessed.model_validate(first.json())
    assert first.json()["file"] == "Testperson.png"
    again = client.get(f"{ADDRESS}/{key}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    weak = client.get(f"{ADDRESS}/{key}", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert weak.status_code == 304
    assert client.get(f"{ADDRESS}/{key}", headers={"If-None-Match": '"other"'}).status_code == 200
    client.post(f"{ADDRESS}/{key}/readings", json={"verdict": "agree"})
    assert client.get(f"{ADDRESS}/{key}").headers["etag"] == first.headers["etag"], "readings stand elsewhere"


def test_the_list_goes_by_pages_and_shows_each_once(client: TestClient, site: Site) -> None:
    keys = [put_assessment(site, "yes" if i % 2 else "refuse", seed=i) for i in range(7)]
    seen, address, pages = [], f"{ADDRESS}?limit=3", 0
    while address:
        body = client.get(address).json()
        schema.SummaryPage.model_validate(body)
        seen += [one["id"] for one in body["items"]]
        address, pages = body["next"], pages + 1
    assert seen == keys[::-1]
    assert pages == 3


def test_the_list_is_filtered_and_pages_keep_the_filter(client: TestClient, site: Site) -> None:
    patient = put_patient(site)
    mine = [put_assessment(site, "yes", seed=i, patient=patient) for i in range(3)]
    put_assessment(site, "no", seed=9)

    def ids(query: str) -> list[str]:
        return [one["id"] for one in client.get(f"{ADDRESS}?{query}").json()["items"]]

    assert ids("category=osteoporosis") == mine[::-1]
    assert ids(f"patient={patient}") == mine[::-1]
    assert ids("outcome=refused") == []
    assert ids("state=queued") == []
    assert len(ids("since=2000-01-01&until=9999-12-31")) == 4
    client.post(f"{ADDRESS}/{mine[0]}/readings", json={"verdict": "agree"})
    assert ids("reading=agree") == mine[:1]
    assert len(ids("reading=unread")) == 3
    assert ids("until=2000-01-01") == []
    following = client.get(f"{ADDRESS}?patient={patient}&limit=2").json()["next"]
    assert [one["id"] for one in client.get(following).json()["items"]] == mine[:1]


def test_a_viewer_learns_no_names(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    patient = put_patient(site, name="Geheim^Name")
    key = put_assessment(site, patient=patient, file_name="Geheim.png")
    viewer, clinician = with_token(site, Role.VIEWER), with_token(site, Role.CLINICIAN)
    for path in (ADDRESS, f"{ADDRESS}/{key}", "/api/v1/patients", f"/api/v1/patients/{patient}"):
        answer = viewer.get(path)
        assert answer.status_code == 200
        assert "Geheim" not in answer.text
        assert "Geheim" in clinician.get(path).text


def test_each_permission_is_asked_for(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False)
    key = put_assessment(site)
    viewer = with_token(site, Role.VIEWER)
    uploader = with_token(site, Role.CLINICIAN, {May.UPLOAD})
    stranger = with_token(site, Role.VIEWER)
    stranger.headers["Authorization"] = "Bearer sc_wrong"
    reading = {"json": {"verdict": "agree"}}
    for client, method, path, more, status in [
        (viewer, "POST", ADDRESS, {"files": {"file": ("a.png", make_png(1))}}, 403),
        (viewer, "POST", f"{ADDRESS}/{key}/readings", reading, 403),
        (viewer, "GET", f"{ADDRESS}/{key}/report.pdf", {}, 403),
        (viewer, "DELETE", f"{ADDRESS}/{key}", {}, 403),
        (viewer, "POST", "/api/v1/patient-search", {"json": {"clinic_id": "P-1"}}, 403),
        (viewer, "GET", f"{ADDRESS}/{key}", {}, 200),
        (uploader, "GET", f"{ADDRESS}/{key}", {}, 403),
        (stranger, "GET", ADDRESS, {}, 401),
        (stranger, "POST", ADDRESS, {"files": {"file": ("a.png", make_png(1))}}, 401),
    ]:
        answer = client.request(method, path, **more)
        assert answer.status_code == status, (method, path, answer.text)
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json"
            schema.Problem.model_validate(answer.json())
        assert status != 401 or answer.headers["www-authenticate"].startswith("Bearer")


def test_what_is_seen_sent_and_deleted_is_in_the_audit_log(client: TestClient, site: Site) -> None:
    key = put_assessment(site)
    client.get(f"{ADDRESS}/{key}")
    client.get(f"{ADDRESS}/{key}/pictures/scan.png")
    client.get(f"{ADDRESS}/{key}/report.pdf")
    client.get(ADDRESS)
    client.delete(f"{ADDRESS}/{key}")
    with site.db.read() as session:
        noted = [(one.action, one.object_kind, one.object_key) for one in session.query(AuditEntry).order_by("id")]
    seen = ("see", "assessment", key)
    assert noted == [seen, seen, ("export", "assessment", key), ("see", "worklist", ""), ("delete", "assessment", key)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", ADDRESS, 405),
        ("GET", "/api/v2/x", 404),
        ("GET", f"{ADDRESS}/{'0' * 16}", 404),
        ("GET", f"{ADDRESS}/{'0' * 16}/report.pdf", 404),
        ("DELETE", f"{ADDRESS}/{'0' * 16}", 404),
        ("GET", f"{ADDRESS}/zz", 422),
        ("GET", f"{ADDRESS}?cursor={'0' * 16}", 404),
        ("GET", f"{ADDRESS}?limit=0", 422),
        ("GET", f"/api/v1/patients/{'0' * 16}", 404),
        ("GET", f"/api/v1/specialists/{'0' * 16}", 404),
    ],
)
def test_wrong_addresses_and_methods_give_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    schema.Problem.model_validate(answer.json())
    assert status != 405 or answer.headers["allow"]
