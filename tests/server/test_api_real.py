"""The interface with the workers and the bundle of the package, on real files; these are skipped, visibly, where
they are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from spinecare.errors import BundleError
from spinecare.server.api import schema
from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.site import open_site
from stored import make_png

ADDRESS = "/api/v1/assessments"


@pytest.fixture(scope="module")
def real_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    try:
        site = open_site(SiteSettings(data=tmp_path_factory.mktemp("real"), demo=True, workers=1))
    except BundleError as error:
        pytest.skip(f"no default bundle: {error}")
    with TestClient(create_app(site), base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("note.txt", b"Dear colleague, please find enclosed ...", 415),
        ("empty.dcm", b"", 400),
        ("cut.png", make_png()[:-900], 422),
    ],
)
def test_unreadable_files_give_4xx_with_code_reason_and_hint(
    real_client: TestClient, name: str, data: bytes, status: int
) -> None:
    answer = real_client.post(ADDRESS, files={"file": (name, data)})
    assert answer.status_code == status, answer.text
    schema.Unreadable.model_validate(answer.json())
    assert answer.json()["outcome"] == "unreadable"


def test_the_real_spine_is_assessed_once_with_its_pictures_and_report(real_client: TestClient, idxa: Path) -> None:
    data = (idxa / "ap_spine.dcm").read_bytes()
    answer = real_client.post(ADDRESS, files={"file": ("ap_spine.dcm", data)})
    assert answer.status_code == 200
    body = answer.json()
    assert body["outcome"] == "assessed", body
    schema.Assessed.model_validate(body)
    assert "virtual patients" in body["model"]["trained_on"]
    assert body["osteoporosis"] == {None: None, "osteoporosis": "yes"}.get(body["category"], "no")
    again = real_client.post(ADDRESS, files={"file": ("again.dcm", data)}).json()
    assert again == {**body, "file": "again.dcm"}
    for address in body["links"]["pictures"].values():
        assert real_client.get(address).content.startswith(b"\x89PNG")
    assert real_client.get(body["links"]["report"]).content.startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["left_femur.dcm", "lateral_spine.dcm"])
def test_another_view_is_refused(real_client: TestClient, idxa: Path, name: str) -> None:
    answer = real_client.post(ADDRESS, files={"file": (name, (idxa / name).read_bytes())})
    assert answer.status_code == 200
    schema.Refused.model_validate(answer.json())
    assert answer.json()["outcome"] == "refused"
