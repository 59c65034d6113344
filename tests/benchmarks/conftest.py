"""The benchmarks are scripts, not a package: tests import them from their folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import levels` and its neighbours find the scripts."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
