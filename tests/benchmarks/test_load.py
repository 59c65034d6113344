"""The figures of the load benchmark (nothing is timed here)."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


def test_quantiles_are_in_milliseconds(benchmarks: None) -> None:
    load = importlib.import_module("load")
    found = load.quantiles([i / 1000 for i in range(1, 102)])
    assert found == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 101.0}
    assert load.quantiles([]) == {}


def test_the_table_has_a_row_for_each_step(benchmarks: None) -> None:
    load = importlib.import_module("load")
    numbers = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0}
    step: dict[str, Any] = {"per_s": 5.0, "ratio_to_library": 0.9, "api_ms": numbers, "page_ms": numbers}
    memory = {"service": 170, "workers": 700}
    table = load.markdown(
        {
            "files": 20,
            "database": "sqlite",
            "machine": {"cpu": "x", "cores": 2, "load_before": 0.1},
            "steps": [{"clients": n, **step} for n in (1, 16)],
            "library_per_s": [7.0, 7.1],
            "memory_mb": {"before": memory, "after": memory},
        }
    )
    assert "| 16 | 5.0 | 0.9 | 1.0 | 2.0 | 3.0 | 1.0 | 2.0 | 3.0 |" in table
    assert "7.0 and 7.1 a second" in table


@pytest.mark.parametrize("n", [1, 30])
def test_files_of_two_steps_are_all_different(benchmarks: None, n: int) -> None:
    service = importlib.import_module("service")
    files = [data for seed in (0, 1) for _, data in service.distinct_files(n, seed)]
    assert len(set(files)) == 2 * n
