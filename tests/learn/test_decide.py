"""Decisions: what each rule promises, on any probabilities."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from spinecare.errors import TrainingError
from spinecare.learn.calibrate import Calibration, fit_calibration
from spinecare.learn.decide import Targets, fit_decisions, told_thresholds
from spinecare.learn.members.proportional import ProportionalOdds


def drawn(n: int, seed: int, slope: float = 1.5, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 3) of a score, and labels drawn from exactly these probabilities; `noise` then spoils them."""
    rng = np.random.default_rng(seed)
    model = ProportionalOdds(np.array([slope]), np.array([-0.6, 0.9]), np.arange(3))
    score = rng.normal(size=(n, 1))
    p = model(score)
    labels = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    return model(score + noise * rng.normal(size=(n, 1))), labels


some = st.builds(
    drawn,
    n=st.integers(40, 200),
    seed=st.integers(0, 10_000),
    slope=st.floats(0.0, 8.0),
    noise=st.floats(0.0, 3.0),
).filter(lambda drawn: len(np.unique(drawn[1])) == 3)
methods = st.sampled_from(["temperature", "platt"])


@settings(deadline=None, max_examples=40)
@given(some, methods)
def test_the_answers_agree_with_each_other(data: tuple[np.ndarray, np.ndarray], method: str) -> None:
    p, labels = data
    decisions = fit_decisions(p, labels, method=method)
    said = decisions.apply(p)
    ill = said.p[:, 2]
    np.testing.assert_allclose(said.p.sum(axis=1), 1)
    np.testing.assert_array_equal(said.yes, ill >= decisions.threshold)
    np.testing.assert_array_equal(said.category == 2, said.yes)
    assert said.inside[np.arange(len(p)), said.category].all()
    assert said.inside[np.arange(len(p)), said.p.argmax(axis=1)].all()
    assert set(said.told) <= {-1, 0, 1}
    if decisions.threshold_yes is not None and decisions.threshold_no is not None:
        assert decisions.threshold_no <= decisions.threshold_yes


@settings(deadline=None, max_examples=40)
@given(some, st.floats(0.6, 0.98), st.floats(0.6, 0.98), st.floats(0.5, 0.99))
def test_the_targets_are_reached_on_the_data_of_the_fit(
    data: tuple[np.ndarray, np.ndarray], ppv: float, npv: float, sensitivity: float
) -> None:
    p, labels = data
    decisions = fit_decisions(p, labels, Targets(sensitivity, ppv, npv))
    said = decisions.apply(p)
    ill = labels == 2
    assert said.yes[ill].mean() >= sensitivity - 1e-9
    if decisions.threshold_yes is not None:
        assert ill[said.told == 1].mean() >= ppv
    if decisions.threshold_no is not None:
        assert (~ill)[said.told == 0].mean() >= npv


@functools.cache
def good(right: int, wrong: int) -> bool:
    return right + wrong > 0 and beta(right + 0.5, wrong + 0.5).median() >= 0.8 and right >= 0.8 * (right + wrong)


@settings(deadline=None, max_examples=20)
@given(some)
def test_no_pair_of_thresholds_that_keeps_the_promise_tells_more(data: tuple[np.ndarray, np.ndarray]) -> None:
    p, labels = data
    score, ill = p[:24, 2], labels[:24] == 2
    yes, no = told_thresholds(score, ill, np.ones(len(score)), 0.8, 0.8)

    def many(yes: float, no: float) -> int:
        up, down = score >= yes, score < no
        count = 0
        for region, right in ((up, ill), (down, ~ill)):
            if region.any():
                if not good(int(right[region].sum()), int((~right)[region].sum())):
                    return -1
                count += int(region.sum())
        return count

    cuts = [0.0, *np.unique(score), 1.1]
    found = many(2.0 if yes is None else yes, 0.0 if no is None else no)
    assert found == max(many(a, b) for a in cuts for b in cuts if b <= a)


def test_few_right_answers_in_a_row_are_not_enough() -> None:
    score = np.linspace(0, 1, 40)
    for right, told in ((4, None), (5, "yes")):
        ill = score > score[-right - 1]
        yes, _ = told_thresholds(score, ill | (np.arange(40) % 2 == 0) & (np.arange(40) < 30), np.ones(40), 0.95, 0.95)
        assert (yes is None) == (told is None)


def test_nobody_is_told_anything_where_the_model_knows_nothing() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([5, 5, 5], 120)
    decisions = fit_decisions(p, np.arange(120) % 3)
    assert decisions.threshold_yes is None
    assert decisions.threshold_no is None
    assert (decisions.apply(p).told == -1).all()
    assert "nobody" in " ".join(decisions.methods)


def test_everyone_is_told_where_the_model_knows_all() -> None:
    labels = np.arange(120) % 3
    p = np.eye(3)[labels] * 0.9 + 0.1 / 3
    told = fit_decisions(p, labels).apply(p).told
    np.testing.assert_array_equal(told, labels == 2)


def test_sets_cover_exchangeable_data_as_often_as_promised() -> None:
    held = []
    for seed in range(60):
        p, labels = drawn(300, seed, noise=0.5)
        decisions = fit_decisions(p[:100], labels[:100], Targets(coverage=0.8))
        inside = decisions.apply(p[100:]).inside
        held.append(inside[np.arange(200), labels[100:]].mean())
    assert np.mean(held) >= 0.8 - 0.01


def test_promised_values_hold_about_as_often_as_not_on_new_scans() -> None:
    right, told = 0, 0
    for seed in range(80):
        p, labels = drawn(400, seed, slope=3.0)
        answers = fit_decisions(p[:120], labels[:120]).apply(p[120:])
        told += (answers.told >= 0).sum()
        right += (answers.told == (labels[120:] == 2)).sum()
    assert right / told > 0.92


def test_an_assumed_population_shifts_answers_and_predictive_values() -> None:
    p, labels = drawn(4000, 0)
    assumed = (0.6, 0.3, 0.1)
    decisions = fit_decisions(p, labels, Targets(ppv=0.8), assumed=assumed)
    said = decisions.apply(p)
    weights = (np.array(assumed) / np.bincount(labels) * len(labels))[labels]
    np.testing.assert_allclose(weights @ said.p / weights.sum(), assumed, atol=0.02)
    region = said.told == 1
    assert weights[region & (labels == 2)].sum() / weights[region].sum() >= 0.8
    plain = fit_decisions(p, labels, Targets(ppv=0.8))
    assert (plain.apply(p).told == 1).sum() > region.sum()


def test_decisions_can_be_written_down() -> None:
    p, labels = drawn(100, 1)
    told = fit_decisions(p, labels).to_json()
    assert json.loads(json.dumps(told))["calibration"]["method"] == "temperature"
    assert len(told["methods"]) == 5


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_calibration_mends_a_model_that_is_too_sure(method: str) -> None:
    p, labels = drawn(6000, 3)
    sure = p**3 / (p**3).sum(axis=1, keepdims=True)
    mended = fit_calibration(sure, labels, method)(sure)
    np.testing.assert_allclose(mended.sum(axis=1), 1)
    assert np.abs(mended - p).mean() < 0.35 * np.abs(sure - p).mean()


def test_calibration_of_a_calibrated_model_changes_little() -> None:
    p, labels = drawn(6000, 4)
    for method in ("temperature", "platt"):
        assert np.abs(fit_calibration(p, labels, method)(p) - p).mean() < 0.02


def test_platt_undoes_a_slope_and_a_shift_of_the_classes() -> None:
    p, labels = drawn(6000, 5)
    bent = p**0.5 * np.array([1.0, 0.5, 2.0])
    bent /= bent.sum(axis=1, keepdims=True)
    found = fit_calibration(bent, labels, "platt")
    assert 1 / found.temperature == pytest.approx(2, abs=0.2)
    np.testing.assert_allclose(found.bias, [0, 2 * np.log(2), -2 * np.log(2)], atol=0.25)
    assert Calibration("platt")(p) == pytest.approx(p)


@pytest.mark.parametrize(
    ("method", "assumed", "why"),
    [
        ("isotonic", None, "1000"),
        ("tarot", None, "tarot"),
        ("temperature", (0.5, 0.5, 0.0), "shares"),
        ("temperature", (0.5, 0.5), "shares"),
    ],
)
def test_what_cannot_be_fitted_says_why(method: str, assumed: tuple[float, ...] | None, why: str) -> None:
    p, labels = drawn(100, 1)
    with pytest.raises(TrainingError, match=why):
        fit_decisions(p, labels, method=method, assumed=assumed)


def test_a_missing_class_and_an_impossible_target_are_errors() -> None:
    p, labels = drawn(100, 1)
    with pytest.raises(TrainingError, match="osteoporosis"):
        fit_decisions(p, np.minimum(labels, 1))
    with pytest.raises(TrainingError, match="ppv"):
        Targets(ppv=1.0)
