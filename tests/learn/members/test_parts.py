"""The pieces that members are made of, against other libraries and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from learn.members.conftest import draw
from spinecare.errors import TrainingError
from spinecare.learn.folds import group_folds
from spinecare.learn.members import svm
from spinecare.learn.members.bags import Bags
from spinecare.learn.members.forest import draw_groups
from spinecare.learn.members.frozen import Table, fit_reduction
from spinecare.learn.members.logistic import fit_logistic
from spinecare.learn.members.platt import calibrated
from spinecare.learn.members.proportional import fit_proportional
from spinecare.learn.members.svm import fit_machine


def table(**changes: int) -> Table:
    x, labels = draw(**changes)
    return Table(x, labels, np.array([f"g{i // 2}" for i in range(len(labels))]))


@pytest.mark.parametrize("columns", [12, 200])
def test_reduction_is_scaling_and_pca_as_scikit_learn_has_them(columns: int) -> None:
    some = table(columns=columns, copies=0)
    flat = some.x[:, 0].astype(np.float64)
    wanted = PCA(5).fit_transform(np.clip(StandardScaler().fit_transform(flat), -5, 5))
    found = fit_reduction(some, None, 5)(some.x[:, 0])
    assert (found**2).sum(axis=1).mean() == pytest.approx(1)
    for k in range(5):
        assert abs(np.corrcoef(wanted[:, k], found[:, k])[0, 1]) == pytest.approx(1, abs=1e-6)
    spread = wanted.std(axis=0) / found.std(axis=0)
    np.testing.assert_allclose(spread, spread[0], rtol=1e-5)


def test_no_more_components_than_the_scans_span() -> None:
    some = table(n=9, columns=40)
    assert fit_reduction(some, None, 99)(some.x).shape == (9, 3, 8)


def test_selection_takes_the_columns_that_tell_the_classes_apart() -> None:
    some = table()
    reduce = fit_reduction(some, 4, None)
    other = some.x.copy()
    other[:, :, np.arange(12) % 3 > 0] = 77
    np.testing.assert_array_equal(reduce(some.x), reduce(other))


def test_columns_that_do_not_vary_in_training_count_for_nothing_elsewhere() -> None:
    some = table()
    some.x[:, :, 1] = 4.2
    other = some.x.copy()
    other[:, :, 1] = 1e9
    reduce = fit_reduction(some, None, None)
    np.testing.assert_array_equal(reduce(some.x), reduce(other))
    assert reduce(some.x).shape[2] == 11
    with pytest.raises(TrainingError, match="varies"):
        fit_reduction(Table(np.ones((4, 1, 3)), np.array([0, 1, 2, 2]), np.arange(4)), None, None)


def test_logistic_without_strength_knows_the_class_shares_alone() -> None:
    some = table(n=91)
    x = fit_reduction(some, None, None)(some.x).reshape(91 * 3, -1)
    p = fit_logistic(x, some.each_label, some.each_weight, 1e-9).predict_proba(x)
    np.testing.assert_allclose(p, np.tile(np.bincount(some.labels) / 91, (len(x), 1)), atol=1e-4)


@pytest.mark.parametrize("largest", [4000, 10])
def test_the_machine_is_the_one_of_scikit_learn(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "LARGEST", largest)
    some = table(copies=0)
    x = fit_reduction(some, None, None)(some.x[:, 0])
    wanted = SVC(C=2.0, gamma=0.5, decision_function_shape="ovo").fit(x[:60], some.labels[:60])
    found = fit_machine(x[:60], some.labels[:60], np.ones(60), 2.0, "rbf", 0.5)
    np.testing.assert_allclose(found(x[60:]), wanted.decision_function(x[60:]), atol=2e-3)


def test_scores_behind_the_sigmoid_come_from_machines_that_saw_nothing_of_the_group() -> None:
    some = table()
    asked = []

    def fit(learnt: Table, seed: int) -> object:
        def scores(x: np.ndarray) -> np.ndarray:
            if len(x) < len(some.x):
                rows = [int(np.flatnonzero((some.x[:, 0] == row).all(axis=1))[0]) for row in x]
                assert not set(some.groups[rows]) & set(learnt.groups)
                asked.extend(rows)
            return x[:, :3].astype(np.float64)

        return scores

    calibrated(fit, some, 0)
    assert sorted(asked) == list(range(len(some.x)))


def proportional_loss(w: np.ndarray, edges: np.ndarray, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Negative log likelihood as McCullagh writes it, one scan after the other."""
    below = np.concatenate([np.zeros((len(y), 1)), expit(edges - (x @ w)[:, None]), np.ones((len(y), 1))], axis=1)
    return -sum(weights[i] * np.log(below[i, y[i] + 1] - below[i, y[i]]) for i in range(len(y)))


def test_proportional_odds_stands_at_the_lowest_point_of_the_penalised_likelihood() -> None:
    rng = np.random.default_rng(1)
    x, weights = rng.normal(size=(80, 3)), rng.uniform(0.5, 2, 80)
    y = np.digitize(x @ [1.0, -0.5, 0.0] + rng.logistic(size=80), [-0.7, 0.8])
    penalty = np.diag([0.5, 1.0, 2.0])
    model = fit_proportional(x, y, weights, penalty)

    def loss(free: np.ndarray) -> float:
        return proportional_loss(free[:3], free[3:], x, y, weights) + 0.5 * free[:3] @ penalty @ free[:3]

    at = np.concatenate([model.weights, model.edges])
    np.testing.assert_allclose(approx_fprime(at, loss, 1e-6), 0, atol=2e-3)
    p = model(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    told = proportional_loss(model.weights, model.edges, x, y, weights)
    assert -(weights * np.log(p[np.arange(80), y])).sum() == pytest.approx(told)


def test_proportional_odds_finds_the_odds_that_made_the_data() -> None:
    rng = np.random.default_rng(2)
    score = rng.normal(size=8000)
    y = np.digitize(2 * score + rng.logistic(size=8000), [-1.0, 1.5])
    model = fit_proportional(score[:, None], y, np.ones(8000), np.zeros((1, 1)))
    np.testing.assert_allclose(model.weights, 2, atol=0.12)
    np.testing.assert_allclose(model.edges, [-1, 1.5], atol=0.12)


def test_proportional_odds_stays_finite_far_outside_and_where_classes_part_without_error() -> None:
    x = np.linspace(-1, 1, 60)[:, None]
    model = fit_proportional(x, np.repeat([0, 1, 2], 20), np.ones(60), np.eye(1) * 1e-3)
    p = model(np.array([[-1e6], [0.0], [1e6]]))
    np.testing.assert_allclose(p, np.eye(3), atol=1e-2)


def test_a_draw_takes_whole_groups_and_leaves_some_out() -> None:
    some = table()
    rows = draw_groups(some.groups, some.labels, np.random.default_rng(0))
    counts = np.bincount(rows, minlength=90)
    np.testing.assert_array_equal(counts[::2], counts[1::2])
    assert 0.5 < (counts > 0).mean() < 0.75
    assert set(some.labels[rows]) == {0, 1, 2}


def test_bags_share_no_group_with_what_they_call_unseen() -> None:
    some = table()
    for bag in Bags(5, 0.5, 2).draw(some, 12, 0):
        assert not set(some.groups[bag.rows]) & set(some.groups[bag.unseen])
        assert bag.of(some.x).shape == (2 * len(bag.rows), 6)
        np.testing.assert_array_equal(bag.of(some.x)[3], some.x[bag.rows[1], bag.copies[1, 1], bag.columns])
        np.testing.assert_array_equal(bag.each(some.labels)[2:4], some.labels[bag.rows[[1, 1]]])
        assert bag.weights.sum() == pytest.approx(len(bag.rows))


def test_folds_are_by_group_and_as_many_as_the_rarest_class_allows() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2] * 3)
    groups = np.array([f"g{i}" for i in range(23)])
    folds = group_folds(labels, groups, 5, 0)
    assert len(folds) == 3
    assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(23))
    groups[20:] = "one person"
    with pytest.raises(TrainingError, match="osteoporosis"):
        group_folds(labels, groups, 5, 0)
