"""Fixtures for every test: the real files, where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; the test is skipped, visibly, where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the checkout: the real files are not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def idxa(shared_data: Path) -> Path:
    """The folder of the three real GE Lunar iDXA DICOM files."""
    return shared_data / "idxa_dicom"


@pytest.fixture(scope="session")
def spine_dxa(shared_data: Path) -> Path:
    """The folder of the 139 real Hologic screen crops with their manifest."""
    return shared_data / "spine_dxa"


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small, valid bundle that was not trained. Copy it before changing a byte."""
    from make_bundle import make_bundle

    return make_bundle(tmp_path_factory.mktemp("bundle"))
