"""The ratio of the latency benchmark (nothing is timed here)."""

from __future__ import annotations

import importlib

import numpy as np
import pytest


def test_the_ratio_is_of_medians_and_its_interval_holds_it(benchmarks: None) -> None:
    latency = importlib.import_module("latency")
    rng = np.random.default_rng(0)
    ours, theirs = rng.lognormal(3, 0.1, 40), rng.lognormal(3 + np.log(8), 0.1, 40)
    result = latency.ratio_of_medians(theirs, ours)
    assert result["low"] < result["ratio"] < result["high"]
    assert result["ratio"] == pytest.approx(8, rel=0.1)
    assert latency.ratio_of_medians(4 * ours, ours) == pytest.approx({"ratio": 4, "low": 4, "high": 4})
