"""The bootstrap draws patients, whole, and its intervals cover what they say."""

from __future__ import annotations

import time

import numpy as np
import pytest

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import draw, group_numbers, percentile_bounds, replicates


def weights_of(groups: np.ndarray, n_boot: int, seed: int, strata: np.ndarray | None = None) -> np.ndarray:
    return np.concatenate(list(replicates(groups, n_boot, seed, strata)))


def test_patients_are_drawn_whole() -> None:
    groups = group_numbers(["a", "b", "a", "c", "c", "c"], 6)
    weights = weights_of(groups, 500, 1)
    assert weights.shape == (500, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()  # three patients in every replicate, however many rows
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.12)


def test_draws_have_the_variance_of_drawing_with_replacement() -> None:
    k = 50
    weights = weights_of(np.arange(k), 4000, 2)
    assert weights.var() == pytest.approx(1 - 1 / k, rel=0.02)  # multinomial


def test_strata_keep_their_number_of_patients() -> None:
    groups = np.repeat(np.arange(10), 2)
    strata = np.array([0] * 7 + [2] * 3)
    weights = weights_of(groups, 200, 3, strata)[:, ::2]
    assert (weights[:, :7].sum(axis=1) == 7).all()
    assert (weights[:, 7:].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_draws() -> None:
    groups = np.arange(300)
    np.testing.assert_array_equal(weights_of(groups, 700, 4), weights_of(groups, 700, 4))
    assert (weights_of(groups, 700, 4) != weights_of(groups, 700, 5)).any()


def test_repeating_every_scan_of_a_patient_changes_no_interval_over_patients() -> None:
    rng = np.random.default_rng(0)
    hit = rng.random(80) < 0.7

    def rate(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
        drawn = draw(lambda w: {"rate": m.ratio(w @ values, w.sum(axis=-1))}, groups, 2000, 0)
        bounds = percentile_bounds(drawn["rate"])
        return bounds.low, bounds.high

    once = rate(hit.astype(float), np.arange(80))
    tripled = rate(np.repeat(hit, 3).astype(float), np.repeat(np.arange(80), 3))
    by_row = rate(np.repeat(hit, 3).astype(float), np.arange(240))
    assert tripled == pytest.approx(once, abs=0.02)
    assert by_row[1] - by_row[0] < 0.7 * (once[1] - once[0])  # what resampling rows would have pretended


def test_intervals_of_a_mean_cover_about_95_percent() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for trial in range(200):
        values = rng.normal(size=60)
        drawn = draw(lambda w, v=values: {"mean": w @ v / w.sum(axis=-1)}, np.arange(60), 400, trial)
        bounds = percentile_bounds(drawn["mean"])
        covered += bounds.low <= 0 <= bounds.high
    assert 0.89 <= covered / 200 <= 0.99


def test_binormal_auc_lies_in_the_interval() -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(9)
    positive = np.arange(400) % 2 == 1
    score = rng.normal(size=400) + 1.0 * positive
    drawn = draw(lambda w: {"auc": m.auc(positive, score, w)}, np.arange(400), 1000, 0)
    bounds = percentile_bounds(drawn["auc"])
    assert bounds.low < norm.cdf(1 / np.sqrt(2)) < bounds.high
    assert drawn["auc"].std() == pytest.approx(0.0241, rel=0.15)  # Hanley and McNeil 1982 at AUC 0.76, 200 + 200


def test_two_thousand_replicates_of_the_auc_of_two_thousand_scans_take_seconds() -> None:
    rng = np.random.default_rng(0)
    positive, score = rng.random(2000) < 0.3, rng.normal(size=2000)
    start = time.process_time()
    draw(lambda w: {"auc": m.auc(positive, score, w)}, np.arange(2000), 2000, 0)
    assert time.process_time() - start < 5  # about 0.3 s on one core of 2024


def test_an_interval_of_too_few_defined_replicates_is_not_given() -> None:
    values = np.r_[np.full(15, np.nan), np.linspace(0, 1, 85)]
    bounds = percentile_bounds(values)
    assert np.isnan(bounds.low)
    assert bounds.undefined == pytest.approx(0.15)
    assert np.isfinite(percentile_bounds(values[10:]).low)


@pytest.mark.parametrize("groups", [["a"], ["a", None], ["a", ""], [1.0, float("nan")]])
def test_a_row_without_patient_is_refused(groups: list[object]) -> None:
    with pytest.raises(EvaluationError):
        group_numbers(groups, 2)
