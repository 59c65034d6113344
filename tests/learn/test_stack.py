from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from spinecare.errors import TrainingError
from spinecare.learn import stack as s
from spinecare.runtime.stack import stack


def toy(n: int = 300, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    said = {}
    for name, sharpness in (("a", 2.0), ("b", 0.5)):
        scores = rng.normal(0, 1, (n, 3)) + sharpness * np.eye(3)[labels]
        said[name] = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return said, labels


def test_the_fitted_stack_at_serving_is_scikit_learns_regression() -> None:
    said, labels = toy()
    x = np.log(np.clip(np.hstack([said["a"], said["b"]]), 1e-6, 1))
    reference = LogisticRegression(C=0.05, max_iter=5000, tol=1e-8).fit(x, labels).predict_proba(x)
    np.testing.assert_allclose(stack(said, s.fit_stack(said, labels, 0.05)), reference, atol=1e-9)


def test_nobodys_own_label_speaks_in_the_stacks_answer_to_them() -> None:
    said, labels = toy(90)
    patients = np.arange(90) // 2
    first = s.unseen_by_stack(said, labels, patients, 0.05, 0)
    # Each row is answered by a regression that did not have it, so it can't be the regression of all rows.
    everyone = stack(said, s.fit_stack(said, labels, 0.05))
    assert np.all(np.abs(first - everyone).max(axis=1) > 0)
    np.testing.assert_allclose(first.sum(axis=1), 1)


def test_a_class_of_one_patient_cannot_be_spared() -> None:
    said, labels = toy(30)
    labels = np.where(np.arange(30) == 0, 2, labels % 2)
    with pytest.raises(TrainingError, match="fewer than two patients"):
        s.unseen_by_stack(said, labels, np.arange(30), 0.05, 0)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 2, (20_000, 3))
    honest = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = (rng.random(20_000)[:, None] > honest.cumsum(axis=1)).sum(axis=1)
    told = np.exp(scores * true_temperature)
    told /= told.sum(axis=1, keepdims=True)
    assert s.fit_temperature(told, labels) == pytest.approx(true_temperature, rel=0.05)


def test_the_operating_threshold_is_the_highest_that_keeps_the_sensitivity() -> None:
    p = np.zeros((10, 3))
    p[:, 2] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
    labels = np.array([2, 2, 0, 2, 1, 2, 0, 0, 0, 0])
    # 3 of 4 keep 75 %: 0.6 must be in, 0.5 need not.
    assert s.operating_threshold(p, labels, 0.75) == pytest.approx(0.55)
    assert s.operating_threshold(p, labels, 1.0) == pytest.approx(0.35)


def test_conformal_sets_cover_new_people_in_a_shifted_class_mix() -> None:
    rng = np.random.default_rng(0)
    assumed, training = np.array([0.65, 0.28, 0.07]), np.ones(3) / 3

    def people(n: int, mix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.choice(3, n, p=mix)
        scores = rng.normal(0, 1, (n, 3)) + 1.2 * np.eye(3)[labels] + np.log(assumed)
        p = np.exp(scores)
        return p / p.sum(axis=1, keepdims=True), labels

    covered = []
    for _ in range(40):
        p, labels = people(700, training)
        threshold = s.conformal_threshold(p, labels, (assumed / training)[labels], 0.9)
        p, labels = people(2000, assumed)
        covered.append((1 - p[np.arange(len(p)), labels] <= threshold).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.012)


def test_too_little_data_for_the_coverage_puts_every_class_in() -> None:
    p = np.full((5, 3), 1 / 3)
    assert s.conformal_threshold(p, np.zeros(5, int), np.ones(5), 0.9) == 1.0
