"""The server with the bundle of the package and the real files; skipped, visibly, where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spinecare.errors import BundleError
from spinecare.server import schema
from spinecare.server.app import create_app

ADDRESS = "/api/v1/assessments"


@pytest.fixture(scope="module")
def real_client() -> Iterator[TestClient]:
    try:
        app = create_app()
    except BundleError as error:
        pytest.skip(f"no default bundle: {error}")
    with TestClient(app) as client:
        yield client


def test_the_real_spine_is_assessed_and_drawn(real_client: TestClient, idxa: Path) -> None:
    data = (idxa / "ap_spine.dcm").read_bytes()
    answer = real_client.post(ADDRESS, files={"file": ("ap_spine.dcm", data)})
    assert answer.status_code == 200
    body = answer.json()
    assert body["outcome"] == "assessed", body
    schema.Assessed.model_validate(body)
    assert "virtual patients" in body["model"]["trained_on"]
    page = real_client.post("/assess", files={"file": ("ap_spine.dcm", data)})
    assert page.status_code == 200
    assert page.text.count('<polygon class="over"') == 8
    assert "virtual patients" in page.text


@pytest.mark.parametrize("name", ["left_femur.dcm", "lateral_spine.dcm"])
def test_another_view_is_refused(real_client: TestClient, idxa: Path, name: str) -> None:
    answer = real_client.post(ADDRESS, files={"file": (name, (idxa / name).read_bytes())})
    assert answer.status_code == 200
    schema.Refused.model_validate(answer.json())
    assert answer.json()["outcome"] == "refused"


def test_a_picture_with_the_operators_lines_shows_both_findings(real_client: TestClient, spine_dxa: Path) -> None:
    picture = min(p for p in spine_dxa.rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"})
    page = real_client.post("/assess", files={"file": (picture.name, picture.read_bytes())})
    assert page.status_code == 200
    if "The model" in page.text and "operator’s own lines" in page.text:
        assert '<polygon class="dash"' in page.text
    else:
        assert "Refused" in page.text
