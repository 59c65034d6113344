"""An evaluation says what each number rests on, and why a number is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinecare.errors import EvaluationError
from spinecare.evaluate.predictions import FIGURES, evaluate_predictions


def predictions(n: int, seed: int = 0, signal: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    p = np.exp(rng.normal(size=(n, 3)) + signal * np.eye(3)[y])
    return y, p / p.sum(axis=1, keepdims=True)


def test_every_figure_has_a_value_inside_its_interval_with_n_and_patients() -> None:
    y, p = predictions(150)
    evaluation = evaluate_predictions(y, np.arange(150) // 2, {"stack": p}, 0.4, n_boot=300)
    figures = evaluation.models["stack"].figures
    assert list(figures) == list(FIGURES)
    for name, figure in figures.items():
        assert figure.low < figure.value < figure.high, name
        assert figure.patients == 75 or name == "auc_normal_vs_osteoporosis"
    assert figures["auc"].n == 150
    assert figures["auc_normal_vs_osteoporosis"].n == int((y != 1).sum())
    assert evaluation.class_counts["osteoporosis"] == int((y == 2).sum())


def test_the_same_seed_gives_the_same_numbers() -> None:
    y, p = predictions(60)
    once = evaluate_predictions(y, range(60), {"a": p}, 0.4, n_boot=100, seed=3).models["a"].figures
    assert once == evaluate_predictions(y, range(60), {"a": p}, 0.4, n_boot=100, seed=3).models["a"].figures
    assert once != evaluate_predictions(y, range(60), {"a": p}, 0.4, n_boot=100, seed=4).models["a"].figures


def test_differences_are_paired() -> None:
    y, p = predictions(200)
    evaluation = evaluate_predictions(y, range(200), {"twin": p.copy(), "stack": p}, 0.4, n_boot=200)
    twin = evaluation.differences["twin"]["auc"]
    assert (twin.value, twin.low, twin.high) == (0, 0, 0)
    wide = evaluation.models["stack"].figures["auc"]
    slightly = p**1.2 / (p**1.2).sum(axis=1, keepdims=True)
    near = evaluate_predictions(y, range(200), {"near": slightly, "stack": p}, 0.4, n_boot=200)
    difference = near.differences["near"]["auc"]
    assert difference.high - difference.low < 0.2 * (wide.high - wide.low)


def test_the_prevalence_baseline_answers_with_the_class_shares() -> None:
    y, p = predictions(90)
    evaluation = evaluate_predictions(y, range(90), {"a": p}, 0.2, n_boot=50, prevalence=[0.5, 0.3, 0.2])
    figures = evaluation.baselines["prevalence"].figures
    assert figures["auc"].value == 0.5
    assert figures["accuracy"].value == pytest.approx(np.mean(y != 2))
    assert math.isnan(figures["precision"].value)
    assert "nobody was told yes" in figures["precision"].note
    assert "resample" in figures["specificity"].note  # 1.000 to 1.000 is not certainty


def test_a_score_has_aucs_only() -> None:
    y, p = predictions(90)
    evaluation = evaluate_predictions(y, range(90), {"a": p}, 0.4, n_boot=50, baselines={"brightness": p[:, 2]})
    figures = evaluation.baselines["brightness"].figures
    assert figures["auc"].value == evaluation.models["a"].figures["auc"].value
    assert math.isnan(figures["brier"].value)
    assert "score" in figures["brier"].note


def test_an_absent_class_is_said() -> None:
    _, p = predictions(40)
    y = np.arange(40) % 2
    evaluation = evaluate_predictions(y, range(40), {"a": p}, 0.4, n_boot=50)
    assert math.isnan(evaluation.models["a"].figures["auc"].value)
    assert evaluation.models["a"].figures["auc"].note
    assert any("osteoporosis" in note for note in evaluation.notes)
    assert math.isfinite(evaluation.models["a"].figures["auc_normal_vs_affected"].value)


def test_one_patient_gives_numbers_and_no_interval() -> None:
    y, p = predictions(20)
    figure = evaluate_predictions(y, ["x"] * 20, {"a": p}, 0.4, n_boot=50).models["a"].figures["accuracy"]
    assert math.isfinite(figure.value)
    assert math.isnan(figure.low)


def test_each_model_has_its_own_threshold() -> None:
    y, p = predictions(60)
    evaluation = evaluate_predictions(y, range(60), {"a": p, "b": p}, {"a": 0.0, "b": 1.0}, n_boot=20)
    assert evaluation.models["a"].figures["recall"].value == 1
    assert evaluation.models["b"].figures["recall"].value == 0
    with pytest.raises(EvaluationError, match="b"):
        evaluate_predictions(y, range(60), {"a": p, "b": p}, {"a": 0.5}, n_boot=20)


def test_what_cannot_be_evaluated_is_refused() -> None:
    y, p = predictions(10)
    with pytest.raises(EvaluationError):
        evaluate_predictions(y, range(10), {}, 0.4)
    with pytest.raises(EvaluationError):
        evaluate_predictions(y, range(9), {"a": p}, 0.4)
    with pytest.raises(EvaluationError):
        evaluate_predictions(y, range(10), {"a": p}, 1.4)
    with pytest.raises(EvaluationError):
        evaluate_predictions(y, range(10), {"a": p[:9]}, 0.4)
