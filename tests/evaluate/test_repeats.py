"""Repeats are evaluated one by one and then averaged, and every model sees the same draws of groups."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.curves import mean_reliability, mean_roc
from spinecare.evaluate.predictions import FIGURES, evaluate_predictions
from spinecare.evaluate.repeats import COMPARED, RepeatedEvaluation, evaluate_repeats
from spinecare.evaluate.study_json import repeats_json

N, REPEATS = 90, 3


def answers(strength: float, seed: int, repeats: int = REPEATS, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Labels (the same for every seed) and probabilities (repeats, n, 3)."""
    y = np.random.default_rng(0).integers(0, 3, n)
    p = np.exp(np.random.default_rng(seed).normal(size=(repeats, n, 3)) + strength * np.eye(3)[y])
    return y, p / p.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def evaluation() -> RepeatedEvaluation:
    y, strong = answers(1.5, 1)
    models = {"weak": answers(0.5, 2)[1], "stack": strong, "same": strong, "middle": answers(1.0, 3)[1]}
    return evaluate_repeats(y, np.arange(N) // 2, models, n_boot=300, headline="stack")


def test_one_repeat_is_an_evaluation_of_its_predictions() -> None:
    y, p = answers(1.2, 4, repeats=1)
    groups = np.arange(N) // 2
    yes, category = p[..., 2] >= 0.37, m.categories(p[0], 0.37)[None]
    plain = evaluate_predictions(y, groups, {"a": p[0]}, 0.37, n_boot=200, seed=5)
    repeated = evaluate_repeats(y, groups, {"a": p}, {"a": category}, {"a": yes}, n_boot=200, seed=5)
    assert repeated.models["a"].figures == plain.models["a"].figures
    assert (repeated.models["a"].confusion == plain.models["a"].confusion).all()
    assert (repeated.models["a"].answers == plain.models["a"].answers).all()
    area = np.trapezoid(repeated.models["a"].roc[1], repeated.models["a"].roc[0])
    assert area == pytest.approx(plain.models["a"].figures["auc"].value)


def test_figures_are_the_mean_over_repeats_and_never_of_mean_probabilities(evaluation: RepeatedEvaluation) -> None:
    y, p = answers(1.5, 1)
    stack = evaluation.models["stack"]
    by_repeat = [float(m.auc(y == 2, one[:, 2])) for one in p]
    assert stack.by_repeat["auc"] == pytest.approx(by_repeat)
    assert stack.figures["auc"].value == pytest.approx(np.mean(by_repeat))
    assert stack.figures["auc"].value < float(m.auc(y == 2, p.mean(axis=0)[:, 2])) - 0.01
    assert set(stack.figures) == set(FIGURES)
    assert stack.confusion.sum() == pytest.approx(N)
    assert stack.reliability["count"].sum() == pytest.approx(N)


def test_the_interval_is_that_of_the_mean_over_the_same_groups(evaluation: RepeatedEvaluation) -> None:
    from spinecare.evaluate.bootstrap import draw, group_numbers, percentile_bounds

    y, p = answers(1.5, 1)
    drawn = draw(
        lambda w: {"auc": np.mean([m.auc(y == 2, one[:, 2], w) for one in p], axis=0)},
        group_numbers(np.arange(N) // 2, N),
        300,
        0,
    )["auc"]
    bounds = percentile_bounds(drawn)
    figure = evaluation.models["stack"].figures["auc"]
    assert (figure.low, figure.high) == pytest.approx((bounds.low, bounds.high))
    assert (figure.n, figure.patients) == (N, N // 2)


def test_rates_follow_the_answers_given_and_not_a_threshold() -> None:
    y, p = answers(1.0, 6)
    rng = np.random.default_rng(9)
    yes, category = rng.random((REPEATS, N)) < 0.5, rng.integers(0, 3, (REPEATS, N))
    model = evaluate_repeats(y, np.arange(N), {"a": p}, {"a": category}, {"a": yes.astype(int)}, 10).models["a"]
    sick = y == 2
    assert model.figures["recall"].value == pytest.approx(np.mean([one[sick].mean() for one in yes]))
    assert model.figures["precision"].value == pytest.approx(np.mean([sick[one].mean() for one in yes]))
    assert model.figures["npv"].value == pytest.approx(np.mean([(~sick)[~one].mean() for one in yes]))
    assert model.figures["accuracy_three_classes"].value == pytest.approx((category == y).mean())
    by_class = evaluate_repeats(y, np.arange(N), {"a": p}, n_boot=10).models["a"]
    assert by_class.figures["recall"].value == pytest.approx((p.argmax(axis=2)[:, sick] == 2).mean())


def test_differences_are_paired(evaluation: RepeatedEvaluation) -> None:
    assert set(evaluation.differences) == {"weak", "same", "middle"}
    same = evaluation.differences["same"]
    assert set(same.figures) == set(COMPARED)
    assert all(figure.value == figure.low == figure.high == 0 for figure in same.figures.values())
    assert all(tested.p == 1 for tested in same.tests.values())
    weak = evaluation.differences["weak"]
    models = evaluation.models
    expected = models["stack"].figures["auc"].value - models["weak"].figures["auc"].value
    assert weak.figures["auc"].value == pytest.approx(expected)
    assert weak.figures["auc"].low > 0
    assert weak.tests["auc"].p <= weak.tests["auc"].adjusted < 0.05
    assert weak.figures["brier"].high < 0


def test_differences_are_widened_for_what_training_parts_share() -> None:
    y, p = answers(1.5, 1)
    found = evaluate_repeats(
        y, np.arange(N), {"stack": p, "a": answers(0.9, 2)[1]}, n_boot=50, headline="stack", folds=5
    )
    plain, wider = found.differences["a"].figures["auc"], found.differences["a"].wider["auc"]
    assert wider.value == plain.value
    assert wider.value - wider.low == pytest.approx(1.5 * (plain.value - plain.low))
    assert wider.high - wider.value == pytest.approx(1.5 * (plain.high - plain.value))
    assert any("as trained" in note for note in found.notes)
    with pytest.raises(EvaluationError):
        evaluate_repeats(y, np.arange(N), {"stack": p, "a": p}, n_boot=5, headline="stack", folds=1)


def test_holm_counts_only_the_models_that_are_compared() -> None:
    y, p = answers(1.5, 1)
    models = {"stack": p, "a": answers(0.9, 2)[1], "b": answers(0.5, 3)[1]}
    one = evaluate_repeats(y, np.arange(N), models, n_boot=10, headline="stack", compare=["a"])
    assert set(one.differences) == {"a"}
    assert one.differences["a"].tests["auc"].adjusted == one.differences["a"].tests["auc"].p
    alone = evaluate_repeats(y, np.arange(N), {"stack": p}, n_boot=10, headline="stack")
    assert alone.differences == {}


def test_what_is_undefined_in_one_repeat_is_undefined_and_said() -> None:
    y, p = answers(1.0, 6)
    yes = np.ones((REPEATS, N), dtype=bool)
    yes[1] = False
    figure = evaluate_repeats(y, np.arange(N), {"a": p}, None, {"a": yes}, 20).models["a"].figures["precision"]
    assert np.isnan(figure.value)
    assert "nobody was told yes" in figure.note
    some = y < 2
    lacking = evaluate_repeats(y[some], np.arange(some.sum()), {"a": p[:, some], "b": p[:, some]}, headline="a")
    assert np.isnan(lacking.models["a"].figures["auc"].value)
    assert np.isnan(lacking.differences["b"].tests["auc"].p)
    assert any("osteoporosis" in note for note in lacking.notes)
    assert np.isfinite(lacking.models["a"].figures["auc_normal_vs_affected"].value)


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": {}},
        {"probabilities": {"a": np.full((N, 3), 1 / 3)}},
        {"probabilities": {"a": np.full((2, N, 3), 0.5)}},
        {"probabilities": {"a": np.full((2, N, 3), 1 / 3), "b": np.full((3, N, 3), 1 / 3)}},
        {"categories": {}},
        {"categories": {"a": np.full((2, N), 3)}},
        {"yes": {"a": np.ones((2, N - 1), dtype=bool)}},
        {"headline": "b"},
        {"headline": "a", "compare": ["b"]},
        {"groups": np.arange(N - 1)},
        {"n_boot": 0},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    y = answers(1, 0)[0]
    given: dict[str, Any] = {"groups": np.arange(N), "probabilities": {"a": np.full((2, N, 3), 1 / 3)}, "n_boot": 5}
    with pytest.raises(EvaluationError):
        evaluate_repeats(y, **(given | change))


def test_the_json_holds_every_figure_with_its_interval(evaluation: RepeatedEvaluation) -> None:
    text = json.dumps(repeats_json(evaluation, "5 x 5 by group"), allow_nan=False)
    data = json.loads(text)
    auc = data["models"]["stack"]["figures"]["auc"]
    assert auc["value"] == pytest.approx(evaluation.models["stack"].figures["auc"].value)
    assert auc["interval"]["low"] < auc["value"] < auc["interval"]["high"]
    assert (auc["n"], auc["patients"], auc["protocol"]) == (N, N // 2, "5 x 5 by group")
    assert len(data["models"]["stack"]["by_repeat"]["auc"]) == REPEATS
    assert data["headline_minus_model"]["weak"]["tests"]["auc"]["test"] == "DeLong"
    assert set(data["headline_minus_model"]["weak"]["figures"]) == set(COMPARED)


@given(st.integers(4, 40), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_the_area_under_the_mean_roc_is_the_mean_auc(n: int, repeats: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(n) < 1 + n // 4)
    scores = rng.integers(0, levels + 1, (repeats, n)).astype(float)  # many ties
    fpr, tpr = mean_roc(positive, scores)
    assert np.trapezoid(tpr, fpr) == pytest.approx(np.mean([m.auc(positive, one) for one in scores]))
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= -1e-12).all()
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == pytest.approx((0, 0, 1, 1))


def test_curves_of_one_class_are_undefined() -> None:
    assert np.isnan(mean_roc(np.zeros(5, dtype=bool), np.zeros((2, 5)))[1]).any()
    bins = mean_reliability([True, False], [[0.05, 0.95], [0.05, 0.15]])
    assert bins["count"].tolist() == [1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.5]
    assert bins["observed"][0] == 1


def test_two_thousand_resamples_of_five_repeats_take_about_a_second_a_model() -> None:
    y, p = answers(1.0, 1, repeats=5, n=128)
    start = time.process_time()
    evaluate_repeats(y, np.arange(128), {"a": p}, n_boot=2000)
    assert time.process_time() - start < 4  # about 0.6 s on one core of 2024
