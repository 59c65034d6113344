from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from spinecare.server.security import HEADERS

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'.png"


def page(client: TestClient, *files: tuple[str, bytes]):
    return client.post("/assess", files=[("file", one) for one in files])


def test_the_first_page_is_an_ordinary_form(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert '<form class="card upload" method="post" action="/assess" enctype="multipart/form-data"' in answer.text
    assert "Nothing is stored" in answer.text
    assert "For research, not a diagnosis." in answer.text
    assert "hand-made" in answer.text


def test_a_no_with_everything_around_it(client: TestClient, png: bytes) -> None:
    text = page(client, ("scan.png", png)).text
    for expected in [
        "The model reads no osteoporosis on this scan: probability 12\u00a0%",
        "below its decision threshold of 31\u00a0%",
        "Ruled out at the model’s coverage: osteoporosis.",
        "For research, not a diagnosis.",
        "nobody: answers written by hand for tests",
        "the operator’s own lines in the picture",
        "Dashed: the levels as found from the picture alone",
        "✓ Passed",
        "✗ Failed",
        "The age is unknown",
        "vgg16",
        "could not be measured",
    ]:
        assert expected in text, expected
    assert text.count("data:image/png;base64,") == 2
    assert text.count('<polygon class="over"') == 8, "L1 to L4 on the scan and on the prepared picture"
    assert text.count('<polygon class="dash"') == 4
    assert re.findall(r">(L\d)</text>", text) == ["L1", "L2", "L3", "L4"] * 2


def test_levels_are_drawn_where_they_are(client: TestClient, png: bytes) -> None:
    # The fake's L1 box on 64 x 48 pixels: rows 6.4 to 19.2, cols 14.4 to 33.6; half a pixel to SVG corners.
    text = page(client, ("scan.png", png)).text
    assert 'viewBox="0 0 48.0 64.0"' in text
    assert 'points="14.9,6.9 34.1,6.9 34.1,19.7 14.9,19.7"' in text


def test_a_yes_and_an_abstention(client: TestClient, png: bytes) -> None:
    yes = page(client, ("yes.png", png)).text
    assert "The model reads osteoporosis on this scan: probability 71\u00a0%" in yes
    assert "Category: <strong>Osteoporosis</strong>" in yes
    abstained = page(client, ("abstain.png", png)).text
    assert "No answer" in abstained
    assert "The model abstains" in abstained
    assert "Category:" not in abstained


def test_a_refusal_shows_reason_hint_and_picture_and_no_label(client: TestClient, png: bytes) -> None:
    answer = page(client, ("refuse.png", png))
    assert answer.status_code == 200
    assert "This is no AP lumbar spine." in answer.text
    assert "Send an AP scan of L1 to L4." in answer.text
    assert "data:image/png;base64," in answer.text
    assert "robabilit" not in answer.text


def test_an_unreadable_file_gets_its_sentence(client: TestClient) -> None:
    answer = page(client, ("note.txt", b"Dear colleague"))
    assert answer.status_code == 415
    assert "could not be read" in answer.text
    assert "data:image" not in answer.text


def test_several_files_give_an_overview(client: TestClient, png: bytes) -> None:
    answer = page(client, ("yes.png", png), ("refuse.png", png), ("note.txt", b"Dear colleague"))
    assert answer.status_code == 422
    assert "3 results" in answer.text
    for headline in ("Yes", "Refused", "Not readable"):
        assert f"<td>{headline}</td>" in answer.text


@pytest.mark.parametrize("kind", ["", "yes", "refuse", "boom"])
def test_a_hostile_file_name_is_only_text(client: TestClient, png: bytes, kind: str) -> None:
    data = png if kind else b"plain words"
    text = page(client, (kind + HOSTILE, data)).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "49" not in re.sub(r"data:image/png;base64,[\w+/=]*|[0-9a-f]{64}|#?[\d.,]{3,}", "", text)


def test_no_page_has_inline_script_or_style(client: TestClient, png: bytes) -> None:
    for text in (
        client.get("/").text,
        client.get("/docs").text,
        page(client, ("a.png", png), ("refuse.png", png)).text,
        client.get("/nowhere").text,
    ):
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", text)
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), "nothing is loaded from elsewhere"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/docs"), ("GET", "/static/app.css"), ("GET", "/nowhere"), ("PUT", "/"),
     ("GET", "/healthz"), ("GET", "/api/v1/assessments")],
)  # fmt: skip
def test_security_headers_are_everywhere(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_coming_back_to_a_result_leads_to_the_first_page(client: TestClient) -> None:
    answer = client.get("/assess")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_wrong_addresses_give_a_page(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e/app.py").status_code == 404


def test_docs_list_every_operation_and_object(client: TestClient) -> None:
    text = client.get("/docs").text
    assert "/api/v1/assessments" in text
    assert "/healthz" in text
    for name in ("Assessed", "Refused", "Unreadable", "Problem"):
        assert f'id="{name}"' in text
    for anchor in re.findall(r'href="#(\w+)"', text):
        assert f'id="{anchor}"' in text
