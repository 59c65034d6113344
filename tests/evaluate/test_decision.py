"""Net benefit, coverage and prediction sets are what their definitions say, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.errors import EvaluationError
from spinecare.evaluate.decision import (
    CONFORMAL,
    COVERAGE,
    conformal_table,
    coverage_table,
    decision_curve,
    net_benefit,
    risk_at,
    risk_coverage,
)


def by_definition(positive: np.ndarray, p: np.ndarray, t: float, weights: np.ndarray) -> float:
    """TP / n - FP / n x t / (1 - t), scan by scan."""
    true = sum(w for yes, score, w in zip(positive, p, weights, strict=True) if score >= t and yes)
    false = sum(w for yes, score, w in zip(positive, p, weights, strict=True) if score >= t and not yes)
    return true / weights.sum() - false / weights.sum() * t / (1 - t)


@given(st.integers(2, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_net_benefit_is_its_definition(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, p = rng.random(n) < 0.4, rng.random(n).round(1)
    thresholds = np.array([0.1, 0.3, 0.5, 0.9])
    weights = rng.integers(0, 3, (2, n)) + 0.5
    found = net_benefit(positive, p, thresholds, weights)
    expected = [[by_definition(positive, p, t, w) for t in thresholds] for w in weights]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_bounds_of_net_benefit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.r_[True, False, rng.random(30) < 0.3]
    share, thresholds = positive.mean(), np.arange(1, 20) / 20
    everybody = net_benefit(positive, np.ones(32), thresholds)
    np.testing.assert_allclose(everybody, share - (1 - share) * thresholds / (1 - thresholds), atol=1e-12)
    assert net_benefit(positive, np.ones(32), share) == pytest.approx(0)  # acting at the prevalence is even money
    np.testing.assert_allclose(net_benefit(positive, positive.astype(float), thresholds), share, atol=1e-12)
    np.testing.assert_allclose(net_benefit(positive, np.zeros(32), thresholds), 0)
    assert (net_benefit(positive, rng.random(32), thresholds) <= share + 1e-12).all()


@pytest.mark.parametrize("t", [0.0, 1.0, -0.1, float("nan")])
def test_thresholds_without_odds_are_refused(t: float) -> None:
    with pytest.raises(EvaluationError):
        net_benefit([True, False], [0.2, 0.4], t)


def test_a_decision_curve_is_the_mean_over_repeats_with_its_interval() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 100)
    p = np.exp(rng.normal(size=(4, 100, 3)) + 1.5 * np.eye(3)[y])
    p /= p.sum(axis=-1, keepdims=True)
    curve = decision_curve(y, np.arange(100) // 2, {"a": p}, n_boot=300)
    each = [net_benefit(y == 2, one[:, 2], curve.thresholds) for one in p]
    np.testing.assert_allclose(curve.models["a"].value, np.mean(each, axis=0))
    inside = (curve.models["a"].low <= curve.models["a"].value) & (curve.models["a"].value <= curve.models["a"].high)
    assert inside.all()
    assert (curve.n, curve.patients) == (100, 50)
    assert curve.thresholds[49] == 0.5
    assert curve.models["a"].value[29] > max(0, curve.treat_all.value[29])
    with pytest.raises(EvaluationError):
        decision_curve(y, np.arange(100), {"a": p[0]})


def test_coverage_by_hand() -> None:
    labels = [2, 2, 2, 0, 0, 1, 1, 0]
    told = [[1, 1, -1, 1, 0, 0, -1, 0], [1, 0, -1, -1, 0, -1, -1, 0]]
    table = coverage_table(told, labels, np.arange(8), n_boot=200)
    assert set(table) == set(COVERAGE)
    value = {key: figure.value for key, figure in table.items()}
    assert value == pytest.approx(
        {
            "classified": (6 + 4) / 16,
            "precision": 3 / 4,  # told yes: three right, one wrong, over both repeats
            "npv": 5 / 6,
            "told_yes": 4 / 16,
            "told_no": 6 / 16,
            "found": 3 / 6,
            "missed": 1 / 6,
            "false_alarm": 1 / 10,
        }
    )
    assert table["classified"].low < value["classified"] < table["classified"].high


def test_nobody_told_yes_leaves_precision_undefined_and_says_so() -> None:
    table = coverage_table(-np.ones((3, 6), dtype=int), [0, 1, 2, 0, 1, 2], np.arange(6), n_boot=50)
    assert table["classified"].value == 0
    assert np.isnan(table["precision"].value)
    assert "nobody was told yes" in table["precision"].note
    one_repeat_without = coverage_table([[1, 0, 0], [-1, -1, -1]], [2, 0, 0], np.arange(3), n_boot=50)
    assert one_repeat_without["precision"].value == 1


def test_prediction_sets_by_hand() -> None:
    labels = [0, 0, 1, 2]
    sets = np.array(
        [
            [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]],
            [[1, 1, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]],
        ],
        dtype=bool,
    )
    table = conformal_table(sets, labels, np.arange(4), n_boot=50)
    assert set(table) == set(CONFORMAL)
    assert {key: figure.value for key, figure in table.items()} == pytest.approx(
        {
            "coverage": 6 / 8,
            "size": 11 / 8,
            "coverage_normal": 3 / 4,
            "coverage_low_bone_mass": 1,
            "coverage_osteoporosis": 1 / 2,
            "size_normal": 7 / 4,
            "size_low_bone_mass": 3 / 2,
            "size_osteoporosis": 1 / 2,
            "single": 4 / 8,
            "empty": 1 / 8,
        }
    )


def test_a_class_without_scans_has_no_coverage() -> None:
    table = conformal_table(np.ones((2, 4, 3), dtype=bool), [0, 0, 1, 1], np.arange(4), n_boot=20)
    assert np.isnan(table["coverage_osteoporosis"].value)
    assert table["size"].value == 3


@given(st.integers(1, 25), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_risk_is_the_error_rate_of_the_surest(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wrong, sure = rng.random(n) < 0.4, rng.permutation(n).astype(float)
    order = np.argsort(-sure)
    coverages = np.arange(1, n + 1) / n
    expected = np.cumsum(wrong[order]) / np.arange(1, n + 1)
    np.testing.assert_allclose(risk_at(wrong, sure, coverages, np.ones(n))[0], expected, atol=1e-9)
    weights = rng.integers(0, 4, n)
    weights[0] += 1
    doubled = np.repeat(np.arange(n), weights)
    several = risk_at(wrong, sure, coverages, weights.astype(float))
    np.testing.assert_allclose(
        several, risk_at(wrong[doubled], sure[doubled], coverages, np.ones(len(doubled))), atol=1e-9
    )


def test_scans_of_the_same_confidence_count_as_taken_in_any_order() -> None:
    found = risk_at([True, False, False, False], [0.7] * 4, [0.25, 0.5, 1.0], np.ones(4))
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.25]])


def test_risk_over_repeats_falls_as_fewer_are_answered() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 200)
    p = np.exp(2 * rng.normal(size=(3, 200, 3)) + 2 * np.eye(3)[y])
    p /= p.sum(axis=-1, keepdims=True)
    wrong = p.argmax(axis=2) != y
    curve = risk_coverage(wrong, p.max(axis=2), y, np.arange(200), n_boot=100)
    assert curve.risk.value[-1] == pytest.approx(wrong.mean())
    assert curve.risk.value[3] < curve.risk.value[-1] - 0.1
    assert ((curve.risk.low <= curve.risk.value) & (curve.risk.value <= curve.risk.high)).all()
    assert curve.area.low < curve.area.value == pytest.approx(curve.risk.value.mean())


@pytest.mark.parametrize(
    "call",
    [
        lambda: coverage_table([[1, 2]], [0, 1], [0, 1]),
        lambda: coverage_table([1, 0], [0, 1], [0, 1]),
        lambda: conformal_table(np.ones((2, 3, 3)), [0, 1], [0, 1]),
        lambda: coverage_table([[1, 0]], [0, 1], [0, 1], n_boot=0),
        lambda: risk_at([True], [0.5], [0.0], [1.0]),
        lambda: risk_coverage([[1, 0]], [[0.5]], [0, 1], [0, 1]),
    ],
)
def test_what_does_not_fit_is_refused(call: Any) -> None:
    with pytest.raises(EvaluationError):
        call()
