"""The pages that say the same to everybody."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spinecare.server.pages.content import card_html


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/faq", "Is the answer a diagnosis?"),
        ("/treatment", "It must not be stopped or delayed without another medicine after it"),
        ("/about", "On the test part: 1948 scans"),
    ],
)
def test_the_page_says_it(client: TestClient, path: str, sentence: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert sentence in answer.text
    assert "For research, not a diagnosis." in answer.text


def test_treatment_names_its_sources_and_date(client: TestClient) -> None:
    text = client.get("/treatment").text
    assert "doi.org/10.1007/s00198-021-05900-y" in text
    assert "Last reviewed on" in text
    assert 'href="#source-1"' in text
    assert 'id="source-1"' in text


def test_a_card_cannot_bring_html_along(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# A\n\n<script>alert(1)</script>\n\n| | b |\n|---|---|\n| c | 1 |\n")
    html = card_html(tmp_path)
    assert "<script>" not in html
    assert "<h2>A</h2>" in html
    assert html.count("<table>") == html.count("</table></div>") == 1
