"""DeLong, McNemar and Holm agree with brute force, with other programs and with what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, rankdata

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import draw
from spinecare.evaluate.compare import compare_by_repeat, delong, delong_test, holm, mcnemar, midranks, paired_test

# Albumin, total protein, K-G score and outcome (0: the event) of 43 women with ovarian cancer: DeLong, DeLong and
# Clarke-Pearson 1988, as printed in the SAS/STAT User's Guide, "Comparing Receiver Operating Characteristic Curves".
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def by_pairs(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs and covariance straight from the definition: every pair of scans, then structural components."""
    one, many = scores[:, positive], scores[:, ~positive]
    kernel = (one[:, :, None] > many[:, None, :]) + 0.5 * (one[:, :, None] == many[:, None, :])
    by_one, by_many = kernel.mean(axis=2), kernel.mean(axis=1)
    covariance = np.cov(by_one).reshape(len(scores), -1) / one.shape[1]
    return kernel.mean(axis=(1, 2)), covariance + np.cov(by_many).reshape(len(scores), -1) / many.shape[1]


def cohort(n: int, seed: int, models: int = 2, levels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positives and scores (models, n) that share noise; `levels` rounds, so that there are ties."""
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(n) < n // 3)
    scores = rng.normal(size=n) + rng.normal(size=(models, n)) + np.linspace(0.5, 1.5, models)[:, None] * positive
    return positive, np.round(scores * levels) if levels else scores


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40))
@settings(deadline=None)
def test_midranks_are_those_of_scipy(values: list[int]) -> None:
    np.testing.assert_allclose(midranks(np.array(values, dtype=float)), rankdata(values))


@given(st.integers(6, 60), st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_delong_is_its_structural_components(n: int, seed: int, models: int, levels: int) -> None:
    positive, scores = cohort(n, seed, models, levels)
    aucs, covariance = delong(positive, scores)
    expected, spread = by_pairs(positive, scores)
    np.testing.assert_allclose(aucs, expected, atol=1e-12)
    np.testing.assert_allclose(covariance, spread, atol=1e-12)
    np.testing.assert_allclose(aucs, [m.auc(positive, s) for s in scores], atol=1e-12)


def test_delong_gives_the_published_example() -> None:
    table = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
    scores = np.stack([-table[:, 0], table[:, 2], -table[:, 1]])  # albumin, K-G, total protein: higher is worse
    aucs, covariance = delong(table[:, 3] == 0, scores)
    np.testing.assert_allclose(aucs, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.0927, 0.1028, 0.1000], atol=5e-5)
    albumin, protein = paired_test(aucs, covariance, 0, 1), paired_test(aucs, covariance, 2, 1)
    assert (albumin.difference, albumin.low, albumin.high) == pytest.approx((0.0108, -0.1761, 0.1976), abs=5e-5)
    assert (protein.difference, protein.low, protein.high) == pytest.approx((-0.0780, -0.2830, 0.1271), abs=5e-5)
    assert (albumin.p, protein.p) == pytest.approx((0.9102, 0.4561), abs=5e-5)
    contrast = np.array([[1, -1, 0], [0, -1, 1]])
    difference = contrast @ aucs
    statistic = difference @ np.linalg.solve(contrast @ covariance @ contrast.T, difference)
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


def test_delong_has_the_spread_of_the_bootstrap() -> None:
    positive, (a, b) = cohort(240, 3)
    test = delong_test(positive, a, b)
    drawn = draw(lambda w: {"d": m.auc(positive, a, w) - m.auc(positive, b, w)}, np.arange(240), 3000, 0)["d"]
    assert (test.high - test.low) / (2 * 1.96) == pytest.approx(drawn.std(), rel=0.08)


def test_delong_of_patients_has_the_spread_of_the_bootstrap_over_patients() -> None:
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(150), 3)
    shared = rng.normal(size=(2, 150))[:, groups]  # scans of a patient score alike, and mostly share the diagnosis
    positive = (np.arange(150) % 3 == 0)[groups] ^ (rng.random(450) < 0.1)
    a, b = 1.0 * positive + shared + 0.3 * rng.normal(size=(2, 450))
    of_patients, of_scans = delong_test(positive, a, b, groups), delong_test(positive, a, b)
    drawn = draw(lambda w: {"d": m.auc(positive, a, w) - m.auc(positive, b, w)}, groups, 3000, 0)["d"]
    assert (of_patients.high - of_patients.low) / (2 * 1.96) == pytest.approx(drawn.std(), rel=0.1)
    assert of_scans.high - of_scans.low < 0.75 * (of_patients.high - of_patients.low)  # what scans would pretend


def test_repeating_every_scan_of_a_patient_is_no_more_evidence() -> None:
    positive, scores = cohort(60, 1, levels=2)
    once = delong(positive, scores)
    twice = delong(np.tile(positive, 2), np.tile(scores, 2), np.tile(np.arange(60), 2))
    np.testing.assert_allclose(twice[0], once[0])
    np.testing.assert_allclose(twice[1], once[1])


def test_delong_rejects_a_true_null_about_one_time_in_twenty() -> None:
    rng = np.random.default_rng(2)
    positive = np.arange(120) < 50
    rejected = 0
    for _ in range(400):
        a, b = rng.normal(size=120) + rng.normal(size=(2, 120)) + positive
        rejected += delong_test(positive, a, b).p < 0.05
    assert 0.025 < rejected / 400 < 0.085


@given(st.integers(10, 50), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_against_b_is_b_against_a_and_only_order_counts(n: int, seed: int) -> None:
    positive, (a, b) = cohort(n, seed)
    forth, back = delong_test(positive, a, b), delong_test(positive, b, np.exp(a))
    assert back.difference == pytest.approx(-forth.difference)
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low), nan_ok=True)
    assert back.p == pytest.approx(forth.p, nan_ok=True)


def test_what_delong_cannot_tell_is_said() -> None:
    positive = np.arange(20) < 8
    score = np.arange(20.0)
    assert delong_test(positive, score, score).p == 1
    assert delong_test(positive, -score, score).difference == 1
    assert np.isnan(delong_test(positive, -score, score).p)  # both perfect, in opposite directions: no spread
    assert np.isnan(delong(np.zeros(20, dtype=bool), [score])[0]).all()
    assert np.isnan(delong(np.arange(20) < 1, [score])[1]).all()
    with pytest.raises(EvaluationError):
        delong(positive, score)
    with pytest.raises(EvaluationError):
        delong(positive, [score[:-1]])
    with pytest.raises(EvaluationError):
        delong_test(positive, score, np.full(20, np.nan))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 10))
@settings(deadline=None)
def test_mcnemar_is_the_binomial_test_of_those_that_one_got_right(only_a: int, only_b: int, both: int) -> None:
    a = np.r_[np.ones(only_a), np.zeros(only_b), np.ones(both)]
    b = np.r_[np.zeros(only_a), np.ones(only_b), np.ones(both)]
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_thousands_of_scans() -> None:
    a = np.r_[np.ones(2600), np.zeros(2400)]
    assert mcnemar(a, 1 - a) == pytest.approx(binomtest(2600, 5000).pvalue, rel=1e-9)
    with pytest.raises(EvaluationError):
        mcnemar(a, a[1:])


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, and never falling.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.6, 0.9]), [0.03, np.nan, 1, 1])
    assert holm([]).shape == (0,)
    with pytest.raises(EvaluationError):
        holm([0.5, 1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(deadline=None)
def test_holm_keeps_the_order_and_lies_between_nothing_and_bonferroni(p: list[float]) -> None:
    given_p, adjusted = np.array(p), holm(p)
    assert (adjusted >= given_p).all()
    assert (adjusted <= np.minimum(1, len(p) * given_p) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(given_p, kind="stable")]) >= 0).all()


def test_p_values_are_the_median_over_repeats_then_adjusted_over_models() -> None:
    rng = np.random.default_rng(5)
    n, repeats = 90, 3
    y, patients = rng.integers(0, 3, n), np.arange(n)
    p = np.exp(rng.normal(size=(3, repeats, n, 3)) + np.array([1.5, 1.0, 0.2])[:, None, None, None] * np.eye(3)[y])
    p /= p.sum(axis=-1, keepdims=True)
    category = p.argmax(axis=-1)
    second, third = compare_by_repeat(y, patients, p, category, category == 2)
    each = [delong_test(y == 2, p[0, r, :, 2], p[2, r, :, 2]).p for r in range(repeats)]
    assert third["auc"].p == pytest.approx(np.median(each))
    assert (third["auc"].least, third["auc"].most) == pytest.approx((min(each), max(each)))
    known = y != 1
    two = p[..., 2] / (p[..., 0] + p[..., 2])
    each = [delong_test(y[known] == 2, two[0, r, known], two[1, r, known]).p for r in range(repeats)]
    assert second["auc_normal_vs_osteoporosis"].p == pytest.approx(np.median(each))
    each = [mcnemar(category[0, r] == y, category[2, r] == y) for r in range(repeats)]
    assert third["accuracy_three_classes"].p == pytest.approx(np.median(each))
    each = [mcnemar((category[0, r] == 2) == (y == 2), (category[1, r] == 2) == (y == 2)) for r in range(repeats)]
    assert second["accuracy"].p == pytest.approx(np.median(each))
    for key in second:
        assert (second[key].adjusted, third[key].adjusted) == pytest.approx(tuple(holm([second[key].p, third[key].p])))
