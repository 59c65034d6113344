"""The directory's pages."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient


def _csrf(client: TestClient, path: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def test_add_find_edit_remove(client: TestClient) -> None:
    csrf = _csrf(client, "/specialists/new")
    values = {"csrf": csrf, "name": "Dr <b>Test</b>", "specialty": "Geriatrics", "city": "Ulm"}
    assert client.post("/specialists/new", data=values).status_code == 303
    text = client.get("/specialists?q=ulm").text
    assert "Dr &lt;b&gt;Test&lt;/b&gt;" in text
    address = re.search(r"/specialists/([0-9a-f]{16})/edit", text)
    assert address
    wrong = client.post(address[0], data={**values, "city": ""})
    assert wrong.status_code == 422
    assert "City must be filled in." in wrong.text
    assert client.post(address[0], data={**values, "hours": "Mon"}).status_code == 303
    assert "Mon" in client.get("/specialists?q=ulm").text
    assert client.post(f"/specialists/{address[1]}/remove", data={"csrf": csrf}).status_code == 303
    assert "Dr &lt;b&gt;" not in client.get("/specialists?q=ulm").text
    assert client.get(address[0]).status_code == 404


def test_a_form_of_somebody_else_changes_nothing(client: TestClient) -> None:
    values = {"csrf": "guessed", "name": "A", "specialty": "B", "city": "zzz"}
    assert client.post("/specialists/new", data=values).status_code == 403
    assert "No entries" in client.get("/specialists?q=zzz").text


def test_import_and_pages(client: TestClient) -> None:
    csrf = _csrf(client, "/specialists/import")
    rows = "".join(f"Person {i:02},Geriatrics,Ulm,48.4,9.9\n" for i in range(30))
    sent = {"file": ("d.csv", f"name,specialty,city,latitude_deg,longitude_deg\n{rows}".encode(), "text/csv")}
    assert "30 added, 0 changed" in client.post("/specialists/import", data={"csrf": csrf}, files=sent).text
    first = client.get("/specialists?q=Person&near=48,10").text
    assert "Page 1 of 2" in first
    assert "Person 23" in first
    assert "Person 24" not in first
    assert "Person 29" in client.get("/specialists?q=Person&near=48,10&shown=99").text
    wrong = {"file": ("d.csv", b"name,city\nA,B\n", "text/csv")}
    answer = client.post("/specialists/import", data={"csrf": csrf}, files=wrong)
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.text


def test_an_unknown_place_is_said(client: TestClient) -> None:
    assert "is not known here" in client.get("/specialists?near=Xyzzy%20Nowhere").text
