"""The worklist's page: filters in the address, names never, partial updates, export, and what is noted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from browser import SIZES, chromium, fits, serving, tab, violations
from spinecare.server.app import create_app
from spinecare.store.actor import May, Role
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, AuditEntry, State
from spinecare.store.site import Site
from stored import put_assessment, put_patient
from web import with_token

HTMX = {"HX-Request": "true"}


@pytest.fixture
def token(client: TestClient) -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)
    assert found
    return found.group(1)


def names(text: str) -> list[str]:
    return re.findall(r'class="to"[^>]*>([^<]+)</a>', text)


def seen(site: Site) -> list[AuditEntry]:
    with site.db.read() as session:
        return session.query(AuditEntry).filter_by(object_kind="worklist").all()


def test_an_empty_list_says_what_to_do(client: TestClient) -> None:
    text = client.get("/worklist").text
    assert "No assessments yet" in text
    assert "Assess the first scan" in text
    assert "Nothing fits" in client.get("/worklist?answer=refused").text


def test_a_row_shows_who_what_and_how_sure(client: TestClient, site: Site) -> None:
    patient = put_patient(site, "P-7", "Sommer^Ingrid")
    key = put_assessment(site, "yes", patient=patient, file_name="<b>scan</b>.dcm")
    put_assessment(site, "no", seed=1, file_name="other.png")
    text = client.get("/worklist").text
    assert names(text) == ["other.png", "Sommer, Ingrid"]
    for part in (f"/assessments/{key}", f"/patients/{patient}", "P-7", "&lt;b&gt;scan&lt;/b&gt;.dcm", "71\u00a0%"):
        assert part in text
    assert '<span class="badge tone-yes">Osteoporosis</span>' in text
    assert "Low bone mass" in text
    assert "2 assessments" in text


@pytest.mark.parametrize(
    ("answer", "found"),
    [("osteoporosis", "yes"), ("low_bone_mass", "no"), ("abstained", "abstain"), ("refused", "refuse"),
     ("unreadable", "unreadable"), ("failed", "failed"), ("open", "queued")],
)  # fmt: skip
def test_filters_stand_in_the_address(make_site: Callable[..., Site], answer: str, found: str) -> None:
    site = make_site(consumers=False)
    for i, kind in enumerate(["yes", "no", "abstain", "refuse", "unreadable"]):
        put_assessment(site, kind, seed=i, file_name=kind)
    put_assessment(site, "no", seed=8, file_name="failed", state=State.FAILED)
    put_assessment(site, "no", seed=9, file_name="queued", state=State.QUEUED)
    with TestClient(create_app(site), base_url="http://127.0.0.1") as client:
        text = client.get("/worklist", params={"answer": answer}).text
    assert names(text) == [found]
    assert f'<option value="{answer}" selected>' in text


def test_what_is_searched_for_stands_in_no_address_and_no_audit_entry(
    client: TestClient, site: Site, token: str
) -> None:
    put_assessment(site, "yes", patient=put_patient(site, "P-7", "Sommer^Ingrid"))
    put_assessment(site, "no", seed=1)
    form = {"csrf": token, "q": "sommer", "answer": "osteoporosis"}
    plain = client.post("/worklist", data=form)
    assert (plain.status_code, names(plain.text)) == (200, ["Sommer, Ingrid"])
    part = client.post("/worklist", data=form, headers=HTMX)
    assert part.headers["hx-replace-url"] == "/worklist?answer=osteoporosis"
    assert "<html" not in part.text
    assert names(part.text) == ["Sommer, Ingrid"]
    assert client.get("/worklist?q=sommer").text.count('class="to"') == 2, "not taken from an address"
    assert all("ommer" not in str(entry.details) for entry in seen(site))
    assert seen(site)[0].details == {"rows": 1, "filters": ["answer"], "searched": True}


def test_without_words_a_form_leads_to_an_address_to_keep(client: TestClient, token: str) -> None:
    answer = client.post("/worklist", data={"csrf": token, "q": " ", "verdict": "unread", "since": "2026-01-02"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/worklist?verdict=unread&since=2026-01-02")


@pytest.mark.parametrize(
    "query",
    ["answer=x", "since=never&until=0000-00-00", "verdict=%FF", "until=9999-12-31&since=0001-01-01", "batch=%ED%A0%80",
     "patient=x", "answer=a&answer=b", "batch=%F0%9F%A6%B4"],
)  # fmt: skip
def test_filters_that_make_no_sense_are_no_fault(client: TestClient, site: Site, query: str) -> None:
    put_assessment(site)
    assert client.get("/worklist?" + query).status_code == 200


def test_a_wrong_cursor_gets_a_page_that_says_so(client: TestClient) -> None:
    answer = client.get("/worklist?cursor=nonsense")
    assert answer.status_code == 422
    assert "Start again from the first page" in answer.text


def test_pages_lead_on_and_back(client: TestClient, site: Site, token: str) -> None:
    at = now()
    for i in range(60):
        put_assessment(site, seed=i, file_name=f"scan-{i:02}", at=at - timedelta(minutes=i))
    first = client.get("/worklist").text
    assert names(first)[0] == "scan-00"
    assert len(names(first)) == 50
    assert "Newest" not in first
    cursor = re.search(r'name="cursor" value="([^"]+)"', first)
    assert cursor
    moved = client.post("/worklist", data={"csrf": token, "q": "", "cursor": cursor.group(1)})
    second = client.get(moved.headers["location"]).text
    assert names(second) == [f"scan-{i}" for i in range(50, 60)]
    assert "Newest" in second
    searched = client.post("/worklist", data={"csrf": token, "q": "scan", "cursor": cursor.group(1)}).text
    assert names(searched) == names(second), "with words too"


def test_a_waiting_list_asks_again_and_is_told_only_what_is_new(make_site: Callable[..., Site]) -> None:
    site = make_site(consumers=False)
    key = put_assessment(site, "no", state=State.QUEUED)
    with TestClient(create_app(site), base_url="http://127.0.0.1") as client:
        text = client.get("/worklist").text
        token = re.search(r'name="csrf" content="([^"]+)"', text)
        mark = re.search(r'"seen": "([0-9a-f]+)"', text)
        assert token
        assert mark
        form = {"csrf": token.group(1), "seen": mark.group(1)}
        before = len(seen(site))
        assert client.post("/worklist", data=form, headers=HTMX).status_code == 204
        assert len(seen(site)) == before, "nothing new was seen"
        with site.db.begin() as session:
            row = session.query(AssessmentRow).filter_by(key=key).one()
            row.state, row.outcome, row.osteoporosis = State.DONE, "assessed", False
        answer = client.post("/worklist", data=form, headers=HTMX)
        assert "No osteoporosis" in answer.text
        assert "every 2s" not in answer.text
        assert len(seen(site)) == before + 1


def test_the_export_has_keys_and_answers_and_no_names(client: TestClient, site: Site, token: str) -> None:
    patient = put_patient(site, "P-7", "Sommer^Ingrid")
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    key = put_assessment(site, "yes", patient=patient, file_name="sommer.dcm", at=at)
    put_assessment(site, "refuse", seed=1)
    answer = client.post("/worklist.csv", data={"csrf": token, "q": "sommer"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows == [
        {
            "assessment": key, "patient": patient, "sent": "2026-03-04T05:06:07+00:00", "scanned": "", "state": "done",
            "outcome": "assessed", "code": "", "osteoporosis": "yes", "category": "osteoporosis",
            "probability_of_osteoporosis": "0.71", "verdict": "", "label": "",
        }
    ]  # fmt: skip
    assert "ommer" not in answer.text
    assert [entry.action for entry in seen(site)] == ["export"]


def test_nobody_sees_it_without_an_account(make_site: Callable[..., Site]) -> None:
    with TestClient(create_app(make_site(demo=False)), base_url="http://127.0.0.1", follow_redirects=False) as client:
        answer = client.get("/worklist", headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
        assert client.post("/worklist.csv").status_code in {303, 401, 403}


# --- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_searching_as_one_types(site: Site, browser: Any, size: str, scheme: str) -> None:
    patient = put_patient(site, "P-7", "Sommer^Ingrid")
    for i, kind in enumerate(["yes", "no", "abstain", "refuse", "unreadable"]):
        put_assessment(
            site, kind, seed=i, patient=patient if i < 2 else None, file_name=f"a-long-name-of-a-file-{i}.dcm"
        )
    with (
        serving(create_app(site)) as address,
        tab(browser, viewport=SIZES[size], color_scheme=scheme, base_url=address) as page,
    ):
        page.goto("/worklist")
        assert violations(page) == []
        assert fits(page)
        rows = page.locator(".worklist tbody tr")
        page.get_by_label("Search").press_sequentially("sommer")
        page.locator(".list-head", has_text="2 assessments").wait_for()
        assert page.get_by_role("status").inner_text() == "2 assessments"
        assert rows.count() == 2
        page.get_by_label("Answer").select_option("osteoporosis")
        page.locator(".list-head", has_text="1 assessment,").wait_for()
        assert page.url.endswith("/worklist?answer=osteoporosis")
        page.get_by_label("Search").fill("nobody")
        page.get_by_text("Nothing fits").wait_for()
        assert violations(page) == []
        page.goto("/worklist")
        rows.first.locator(".to").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/assessments/[0-9a-f]{16}"))


def test_the_next_page_comes_without_losing_the_place(site: Site, browser: Any) -> None:
    at = now()
    for i in range(55):
        put_assessment(site, seed=i, file_name=f"scan-{i:02}", at=at - timedelta(minutes=i))
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/worklist")
        page.get_by_role("button", name="Older").click()
        page.get_by_role("link", name="scan-54").wait_for()
        assert page.locator(".worklist tbody tr").count() == 5
        page.wait_for_function("document.activeElement.id === 'list'")
        page.reload()
        assert page.locator(".worklist tbody tr").count() == 5
        page.get_by_role("button", name="Newest").click()
        page.get_by_role("link", name="scan-00").wait_for()


def test_a_waiting_row_changes_by_itself(make_site: Callable[..., Site], browser: Any) -> None:
    site = make_site(consumers=False)
    key = put_assessment(site, "yes", state=State.QUEUED)
    with serving(create_app(site)) as address, tab(browser, base_url=address) as page:
        page.goto("/worklist")
        page.get_by_text("Waiting", exact=True).last.wait_for()
        with site.db.begin() as session:
            row = session.query(AssessmentRow).filter_by(key=key).one()
            row.state, row.outcome, row.osteoporosis = State.DONE, "assessed", True
        page.locator(".badge", has_text="Osteoporosis").wait_for(timeout=8000)


def test_a_viewer_neither_sees_names_nor_finds_anybody_by_them(make_site: Callable[..., Site]) -> None:
    site, viewer = with_token(make_site, Role.VIEWER, May.SEE)
    patient = put_patient(site, "P-7", "Sommer^Ingrid")
    key = put_assessment(site, "yes", patient=patient, file_name="ingrid.dcm")
    text = viewer.get("/worklist").text
    assert names(text) == [key]
    for part in ("Sommer", "P-7", "ingrid"):
        assert part not in text
        assert names(viewer.post("/worklist", data={"q": part}).text) == []
    assert names(viewer.post("/worklist", data={"q": key}).text) == [key]
