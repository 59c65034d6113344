"""Metrics against scikit-learn on random data, and against closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.predictions import probability_figures


def predictions(n: int, seed: int, decimals: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Classes and informative probabilities; few decimals make many ties."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3)
    z = np.round(rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[y], decimals)
    p = np.exp(z)
    return y, p / p.sum(axis=1, keepdims=True)


random_case = given(
    n=st.integers(6, 150),
    seed=st.integers(0, 10_000),
    decimals=st.sampled_from([0, 1, 12]),
    t=st.floats(0.05, 0.95),
)


@random_case
@settings(max_examples=40, deadline=None)
def test_every_figure_equals_scikit_learn(n: int, seed: int, decimals: int, t: float) -> None:
    y, p = predictions(n, seed, decimals)
    ours = {k: float(v) for k, v in probability_figures(y, p, t, np.ones(n)).items()}
    yes, said = y == 2, p[:, 2] >= t
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nan = {"zero_division": np.nan}
        theirs = {
            "accuracy": sk.accuracy_score(yes, said),
            "precision": sk.precision_score(yes, said, **nan),
            "recall": sk.recall_score(yes, said, **nan),
            "specificity": sk.recall_score(~yes, ~said, **nan),
            "npv": sk.precision_score(~yes, ~said, **nan),
            "f1": sk.f1_score(yes, said, **nan),
            "auc": sk.roc_auc_score(yes, p[:, 2]),
            "auc_normal_vs_osteoporosis": sk.roc_auc_score(yes[y != 1], (p[:, 2] / (p[:, 0] + p[:, 2]))[y != 1]),
            "auc_normal_vs_affected": sk.roc_auc_score(y > 0, 1 - p[:, 0]),
            "auc_macro": sk.roc_auc_score(y, p, multi_class="ovr"),
            "brier_osteoporosis": sk.brier_score_loss(yes, p[:, 2]),
            "accuracy_three_classes": sk.accuracy_score(y, m.categories(p, t)),
        }
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name
    assert ours["brier"] == pytest.approx(np.mean(((p - np.eye(3)[y]) ** 2).sum(axis=1)))
    expected = sk.confusion_matrix(y, m.categories(p, t), labels=[0, 1, 2])
    np.testing.assert_array_equal(m.confusion(y, m.categories(p, t), 3), expected)


@given(n=st.integers(6, 80), seed=st.integers(0, 10_000), decimals=st.sampled_from([0, 1, 12]))
@settings(max_examples=30, deadline=None)
def test_weights_count_as_repeated_rows(n: int, seed: int, decimals: int) -> None:
    y, p = predictions(n, seed, decimals)
    weights = np.random.default_rng(seed).integers(0, 4, n)
    repeated = np.repeat(np.arange(n), weights)
    if not len(repeated):
        return
    ours = probability_figures(y, p, 0.4, weights[None])
    once = probability_figures(y[repeated], p[repeated], 0.4, np.ones(len(repeated)))
    for name, value in ours.items():
        assert value[0] == pytest.approx(float(once[name]), abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize(
    ("score", "expected"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([5, 5, 5, 5], 0.5), ([1, 2, 2, 3], 0.875)],
    ids=["separated", "reversed", "identical", "one tie"],
)
def test_auc_of_four_scans_by_hand(score: list[float], expected: float) -> None:
    assert m.auc([False, False, True, True], score) == pytest.approx(expected)


def test_auc_of_two_normals_is_the_binormal_closed_form() -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(3)
    positive = np.arange(40_000) % 2 == 1
    score = rng.normal(size=40_000) * np.where(positive, 1.5, 1.0) + 1.2 * positive
    expected = norm.cdf(1.2 / np.sqrt(1 + 1.5**2))
    assert m.auc(positive, score) == pytest.approx(expected, abs=3 * 0.003)


@given(n=st.integers(4, 100), seed=st.integers(0, 1000), decimals=st.sampled_from([0, 12]))
@settings(max_examples=25, deadline=None)
def test_roc_points_equal_scikit_learn(n: int, seed: int, decimals: int) -> None:
    y, p = predictions(n, seed, decimals)
    fpr, tpr, thresholds = m.roc_points(y == 2, p[:, 2])
    theirs = sk.roc_curve(y == 2, p[:, 2], drop_intermediate=False)
    for ours, their in zip((fpr, tpr, thresholds), theirs, strict=True):
        np.testing.assert_allclose(ours, their)


def test_calibration_equals_unpenalised_logistic_regression() -> None:
    y, p = predictions(600, 5)
    x = np.log(p[:, 2] / (1 - p[:, 2]))
    fit = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(x[:, None], y == 2)
    slope, _ = m.calibration(y == 2, p[:, 2])
    assert slope == pytest.approx(fit.coef_[0, 0], rel=1e-4)


def test_calibration_of_probabilities_that_are_right_and_that_are_wrong_in_a_known_way() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(size=100_000)
    happens = rng.random(100_000) < 1 / (1 + np.exp(-logit))
    slope, intercept = m.calibration(happens, 1 / (1 + np.exp(-logit)))
    assert slope == pytest.approx(1, abs=0.03)
    assert intercept == pytest.approx(0, abs=0.03)
    twice_as_extreme, _ = m.calibration(happens, 1 / (1 + np.exp(-2 * logit)))
    assert twice_as_extreme == pytest.approx(0.5, abs=0.02)
    _, too_low = m.calibration(happens, 1 / (1 + np.exp(-(logit - 1))))
    assert too_low == pytest.approx(1, abs=0.03)


def test_calibration_solves_its_score_equation() -> None:
    y, p = predictions(90, 8)
    _, intercept = m.calibration(y == 2, p[:, 2])
    logit = np.log(p[:, 2] / (1 - p[:, 2]))
    assert np.mean(1 / (1 + np.exp(-(logit + intercept)))) == pytest.approx(np.mean(y == 2), abs=1e-8)


def test_calibration_has_no_slope_when_classes_are_separated_or_probabilities_constant() -> None:
    positive = np.arange(40) % 2 == 1
    assert np.isnan(m.calibration(positive, np.where(positive, 0.8, 0.3))[0])
    assert np.isnan(m.calibration(positive, np.full(40, 0.3))[0])
    assert m.calibration(positive, np.full(40, 0.5))[1] == pytest.approx(0)


def test_an_absent_class_gives_nan_and_never_a_number() -> None:
    _, p = predictions(30, 1)
    y = np.zeros(30, dtype=np.int64)
    figures = probability_figures(y, p, 0.99999, np.ones(30))
    for name in (
        "precision",
        "recall",
        "f1",
        "auc",
        "auc_normal_vs_affected",
        "auc_macro",
        "calibration_slope",
    ):
        assert np.isnan(figures[name]), name
    assert figures["specificity"] == 1
    assert np.isfinite(figures["brier"])


def test_the_category_is_osteoporosis_from_the_threshold_on() -> None:
    p = np.array([[0.5, 0.19, 0.31], [0.5, 0.2, 0.3], [0.3, 0.4, 0.3], [0.35, 0.35, 0.3]])
    np.testing.assert_array_equal(m.categories(p, 0.31), [2, 0, 1, 0])


def test_reliability_bins_hold_every_scan_once() -> None:
    bins = m.reliability([True, False, True, True], [0.0, 0.05, 0.95, 1.0])
    assert bins["count"].tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert bins["observed"][[0, 9]].tolist() == [0.5, 1.0]
    assert bins["predicted"][[0, 9]] == pytest.approx([0.025, 0.975])
    assert np.isnan(bins["observed"][4])


@pytest.mark.parametrize("labels", [[], [0, 1, 3], [-1, 0], [0.5, 1], ["normal"], [[0, 1]]])
def test_labels_out_of_order_are_refused(labels: list[object]) -> None:
    with pytest.raises(EvaluationError):
        m.check_labels(labels)


@pytest.mark.parametrize(
    "rows", [[[0.5, 0.5]], [[0.5, 0.6, 0.2]], [[1.2, -0.2, 0]], [[np.nan, 0.5, 0.5]], [[0.2, 0.3, 0.5]] * 2]
)
def test_probabilities_that_are_none_are_refused(rows: list[list[float]]) -> None:
    with pytest.raises(EvaluationError, match="cnn"):
        m.check_probabilities(rows, 1, "cnn")


def test_weights_below_zero_are_refused() -> None:
    with pytest.raises(EvaluationError):
        m.auc([True, False], [1, 2], [-1, 1])
