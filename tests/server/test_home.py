"""Sending scans: the plain form, the JSON that the page's script asks for, and the script in a browser."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from browser import SIZES, chromium, file, fits, serving, tab, violations
from spinecare.server.app import create_app
from spinecare.store.models import AssessmentRow, AuditEntry, Identity, Upload
from spinecare.store.site import Site
from stored import FakePool, make_png


@pytest.fixture
def token(client: TestClient) -> str:
    """What the forms of this browser carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found
    return found.group(1)


def send(client: TestClient, token: str, *files: tuple[str, bytes], as_json: bool = False, **fields: str) -> Any:
    headers = {"Accept": "application/json" if as_json else "text/html"}
    data = {"csrf": token, **fields}
    return client.post("/assessments", data=data, files=[("file", one) for one in files], headers=headers)


def test_the_first_page_is_an_ordinary_form(client: TestClient) -> None:
    text = client.get("/").text
    assert 'method="post" action="/assessments" enctype="multipart/form-data"' in text
    assert "hand-made" in text
    assert "no accounts, this machine only" in text
    for label in ("clinic_id", "name", "birth_date", "acquired", "sex", "age_years", "height_cm", "weight_kg"):
        assert f'<label for="{label}">' in text


def test_one_file_leads_to_its_answer_which_is_there(client: TestClient, token: str, site: Site) -> None:
    answer = send(client, token, ("scan.png", make_png(1, "yes")), sex="F", age_years="61")
    assert answer.status_code == 303
    assert re.fullmatch(r"/assessments/[0-9a-f]{16}", answer.headers["location"])
    with site.db.read() as session:
        row = session.query(AssessmentRow).one()
    assert (row.state, row.osteoporosis, row.given) == ("done", True, '{"age_years":61.0,"sex":"F"}')


def test_several_files_lead_to_their_list(client: TestClient, token: str) -> None:
    answer = send(client, token, ("a.png", make_png(1)), ("b.png", make_png(2)))
    assert answer.status_code == 303
    assert re.fullmatch(r"/worklist\?batch=[0-9a-f]{16}", answer.headers["location"])
    page = client.get(answer.headers["location"]).text
    assert "2 scans sent together" in page
    assert page.count('class="to"') == 2


def packed(*scans: bytes) -> bytes:
    """A ZIP of these scans."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for i, scan in enumerate(scans):
            archive.writestr(f"study/{i}.png", scan)
    return whole.getvalue()


def test_a_zip_is_opened_and_leads_to_its_list(client: TestClient, token: str) -> None:
    answer = send(client, token, ("study.zip", packed(make_png(1), make_png(2, "yes"))))
    assert answer.headers["location"].startswith("/worklist?batch=")
    assert "2 scans sent together" in client.get(answer.headers["location"]).text
    one = send(client, token, ("study.zip", packed(make_png(3))))
    assert one.headers["location"].startswith("/assessments/")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_zip_with_nothing_in_it_or_that_is_broken_is_told(client: TestClient, token: str, as_json: bool) -> None:
    for data in (packed(), packed(make_png(1))[:-30]):
        answer = send(client, token, ("study.zip", data), as_json=as_json)
        assert 400 <= answer.status_code < 500
        assert "hint" in answer.text if as_json else "<h1>" in answer.text


def test_the_script_gets_a_list_and_asks_how_they_stand(client: TestClient, token: str, site: Site) -> None:
    batch = client.post("/batches", headers={"X-CSRF-Token": token}).json()["key"]
    sent = [
        send(client, token, (f"{i}.png", make_png(i, kind)), as_json=True, batch=batch).json()
        for i, kind in enumerate(["no", "yes", "refuse"])
    ]
    keys = [one["key"] for answer in sent for one in answer]
    assert [one["url"] for answer in sent for one in answer] == [f"/assessments/{key}" for key in keys]
    for _ in range(50):
        found = client.get("/assessments/states", params={"keys": ",".join(keys)}).json()
        if all(one["state"] == "done" for one in found):
            break
    assert [(one["words"], one["tone"]) for one in found] == [
        ("No osteoporosis", "no"), ("Osteoporosis", "yes"), ("Refused", "problem"),
    ]  # fmt: skip
    assert client.get("/assessments/states", params={"keys": "é,x' OR 1=1,," + "0" * 16}).json() == []
    assert client.get("/assessments/states", params={"keys": "a," * 300}).status_code == 422
    with site.db.read() as session:
        assert session.query(Upload).filter(Upload.batch_id.is_not(None)).count() == 3
        assert session.query(AuditEntry).filter_by(action="see", object_kind="worklist").count() >= 1


def test_the_same_file_sent_twice_is_one_assessment(client: TestClient, token: str, site: Site) -> None:
    first, second = (send(client, token, ("a.png", make_png(1)), as_json=True).json() for _ in range(2))
    assert first[0]["key"] == second[0]["key"]
    with site.db.read() as session:
        assert session.query(AssessmentRow).count() == 1


def test_what_cannot_be_taken_is_said_to_people_and_to_the_script(client: TestClient, token: str, site: Site) -> None:
    image = ("a.png", make_png(1))
    for fields, files, status, words in [
        ({"age_years": "old"}, [image], 422, "The age must be a number"),
        ({"name": "Somebody"}, [image], 422, "Type the patient’s ID too"),
        ({}, [], 400, "No file was chosen"),
        ({"batch": "0" * 16}, [image], 404, "no such batch"),
        ({"batch": "\0x"}, [image], 404, "no such batch"),
    ]:
        page = send(client, token, *(files or [("", b"")]), **fields)
        assert page.status_code == status, (fields, page.text)
        assert words.replace("’", "'") in page.text.replace("&#39;", "'").replace("’", "'")
        told = send(client, token, *(files or [("", b"")]), as_json=True, **fields)
        assert told.status_code == status
        assert told.headers["content-type"].startswith("application/problem+json")
        assert words.replace("’", "'") in told.json()["detail"]
    with site.db.read() as session:
        assert session.query(AssessmentRow).count() == 0


def test_a_batch_of_somebody_else_is_not_there(client: TestClient, token: str, site: Site) -> None:
    from spinecare.store import uploads
    from spinecare.store.actor import SYSTEM

    other = uploads.new_batch(site, SYSTEM)
    assert send(client, token, ("a.png", make_png(1)), batch=other).status_code == 404


@pytest.mark.parametrize("path", ["/assessments", "/batches", "/worklist", "/worklist.csv"])
def test_a_form_without_its_token_changes_nothing(client: TestClient, site: Site, path: str) -> None:
    client.get("/")
    answer = client.post(path, data={"csrf": "wrong"}, files=[("file", ("a.png", make_png(1)))])
    assert answer.status_code == 403
    with site.db.read() as session:
        assert session.query(AssessmentRow).count() == 0
    assert list(site.files.all()) == []


def test_who_is_typed_stands_apart_and_in_no_address_and_no_audit_entry(
    client: TestClient, token: str, site: Site
) -> None:
    fields = {"clinic_id": "P-77", "name": "Sommer, Ingrid", "birth_date": "1950-02-03"}
    answer = send(client, token, ("sommer.png", make_png(1)), **fields)
    with site.db.read() as session:
        assert session.query(Identity).one().name == "Sommer, Ingrid"
        told = " ".join(str(e.details) + e.object_key for e in session.query(AuditEntry)) + answer.headers["location"]
        assert not re.search("ommer|P-77|1950", told + session.query(AssessmentRow).one().given)


def test_without_an_account_nothing_is_sent(make_site: Callable[..., Site]) -> None:
    with TestClient(create_app(make_site(demo=False)), base_url="http://127.0.0.1", follow_redirects=False) as client:
        text = client.get("/").text
        assert "Sign in to send scans" in text
        assert "no accounts" not in text
        answer = client.post("/assessments", files=[("file", ("a.png", make_png(1)))])
        assert answer.status_code in {303, 401, 403}


# --- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("size", list(SIZES))
def test_many_files_with_a_summary(site: Site, browser: Any, size: str) -> None:
    with serving(create_app(site)) as address, tab(browser, viewport=SIZES[size], base_url=address) as page:
        page.goto("/")
        assert violations(page) == []
        page.set_input_files("#file", [file(f"{kind}.png", make_png(i, kind)) for i, kind in enumerate(["no", "yes"])])
        page.set_input_files("#file", [file("refuse.png", make_png(3, "refuse")), file("again.png", make_png(4))])
        page.get_by_role("button", name="Remove again.png").click()
        page.get_by_text("About the patient").click()
        assert violations(page) == []
        assert fits(page)
        page.get_by_role("button", name="Assess 3 files").click()
        page.get_by_text("3 of 3 scans assessed").wait_for(timeout=20_000)
        words = page.locator("#status").inner_text()
        for part in ("Osteoporosis: 1", "No osteoporosis: 1", "Refused: 1"):
            assert part in words
        assert violations(page) == []
        assert fits(page)
        page.get_by_role("link", name="See them in the worklist").click()
        page.get_by_text("3 scans sent together").wait_for()


def test_a_zip_tells_how_many_of_its_scans_are_done(site: Site, browser: Any) -> None:
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/")
        page.set_input_files("#file", [file("study.zip", packed(make_png(1), make_png(2, "yes")))])
        page.locator("#submit").click()
        page.get_by_text("2 of 2 scans done").wait_for(timeout=20_000)
        assert "2 of 2 scans assessed" in page.locator("#status").inner_text()
        page.get_by_role("link", name="See them in the worklist").click()
        page.get_by_text("2 scans sent together").wait_for()


def test_one_file_goes_on_to_its_page_by_keyboard_alone(site: Site, browser: Any) -> None:
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/")
        page.set_input_files("#file", [file("yes.png", make_png(1, "yes"))])
        page.locator("#submit").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/assessments/[0-9a-f]{16}"))


def test_a_folder_that_is_dropped_is_walked_and_what_is_no_scan_left_out(site: Site, browser: Any) -> None:
    drop = """() => {
      const entry = (name) => ({isFile: true, isDirectory: false, name, file: (done) => done(new File(["x"], name))});
      const folder = (name, inside) => ({isFile: false, isDirectory: true, name, createReader: () => {
        const parts = [inside.slice(0, 1), inside.slice(1), []];
        return {readEntries: (done) => done(parts.shift())}; }});
      const tree = folder("study", [entry("a.dcm"), entry("DICOMDIR"), folder("deep", [entry("a.dcm"), entry(".x")])]);
      const event = new Event("drop", {bubbles: true, cancelable: true});
      event.dataTransfer = {types: ["Files"], files: [], items: [{webkitGetAsEntry: () => tree}]};
      document.body.dispatchEvent(event); }"""
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/")
        page.evaluate(drop)
        page.get_by_text("2 files that are no scans were left out").wait_for()
        assert page.locator("#files .name").all_inner_texts() == ["a.dcm", "a.dcm"]


def test_a_connection_that_breaks_is_tried_again_and_a_refusal_is_not(site: Site, browser: Any) -> None:
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/")
        broken = [3]

        def stand_in(route: Any) -> None:
            if broken[0]:
                broken[0] -= 1
                route.abort()
            else:
                route.continue_()

        page.route("**/assessments", stand_in)
        page.set_input_files("#file", [file("a.png", make_png(1)), file("b.png", make_png(2))])
        page.get_by_role("button", name="Assess 2 files").click()
        page.get_by_text("2 of 2 scans assessed").wait_for(timeout=30_000)
        page.goto("/")
        page.get_by_text("About the patient").click()
        page.get_by_label("Age in years").fill("old")
        page.set_input_files("#file", [file("c.png", make_png(3))])
        page.locator("#submit").click()
        page.get_by_text("The age must be a number").wait_for()
        page.get_by_label("Age in years").fill("60")
        page.locator("#submit").click()
        page.wait_for_url(re.compile(r"/assessments/[0-9a-f]{16}"))


def test_a_file_that_is_too_large_is_told_before_it_is_sent(make_site: Callable[..., Site], browser: Any) -> None:
    from spinecare.settings import ServeSettings

    site = make_site(limits=ServeSettings(max_file_bytes=1024 * 1024))
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/")
        page.set_input_files("#file", [file("big.dcm", bytes(2 * 1024 * 1024))])
        assert "at most 1 MB" in page.get_by_role("alert").inner_text()
        page.locator("#submit").click()
        assert page.url.rstrip("/") == address


def test_everything_works_without_a_script(site: Site, browser: Any) -> None:
    with serving(create_app(site)) as address, tab(browser, base_url=address, java_script_enabled=False) as page:
        page.goto("/")
        page.set_input_files("#file", [file("a.png", make_png(1)), file("b.png", make_png(2, "yes"))])
        page.get_by_role("button", name="Assess").click()
        page.get_by_text("2 scans sent together").wait_for()
        page.get_by_label("Search").fill("b.png")
        page.get_by_role("button", name="Search").click()
        assert page.locator(".worklist tbody tr").count() == 1
        assert "b.png" not in page.url


def test_the_pool_here_answers_by_its_marker() -> None:
    assert FakePool().assess(make_png(1, "yes"), "x", {}).record["osteoporosis"] == "yes"
