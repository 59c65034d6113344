"""Every picture of a study is one whole SVG that names what it shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from spinecare.evaluate import study_figures as s
from spinecare.evaluate.decision import decision_curve, risk_coverage
from spinecare.evaluate.predictions import Figure
from spinecare.evaluate.repeats import RepeatedEvaluation, evaluate_repeats

BOUNDS = {"two scans of one person": 0.97, "10,000 virtual people": 0.91, "not known": float("nan")}


@pytest.fixture(scope="module")
def evaluation() -> RepeatedEvaluation:
    y, models = said()
    return evaluate_repeats(y, np.arange(90), models, n_boot=50, headline="stack")


def said() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    models = {}
    for i, name in enumerate(["svm <1>", *"abcdefgh", "stack"]):
        p = np.exp(rng.normal(size=(3, 90, 3)) + (0.3 + 0.1 * i) * np.eye(3)[y])
        models[name] = p / p.sum(axis=-1, keepdims=True)
    return y, models


def texts(svg: str) -> str:
    """All the words of a picture, which must parse, and whose references must point at its own parts."""
    root = ET.fromstring(svg)
    ids = {element.get("id") for element in root.iter()}
    used = re.findall(r'(?:href="|url\()#([^")]+)', svg)
    assert used
    assert set(used) <= ids
    return "\n".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))


def test_roc_names_the_headline_first_and_no_more_models_than_colours(evaluation: RepeatedEvaluation) -> None:
    words = texts(s.roc_svg(evaluation))
    auc = evaluation.models["stack"].figures["auc"]
    assert f"stack, AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})" in words
    assert words.count(", AUC ") == s.MOST_LINES
    assert texts(s.roc_svg(evaluation, ["svm <1>"])).count(", AUC ") == 1


def test_confusion_and_calibration_are_of_one_repeat_on_average(evaluation: RepeatedEvaluation) -> None:
    model = evaluation.models["stack"]
    words = texts(s.confusion_svg(model))
    for count in model.confusion.ravel():
        assert f"{count:.1f}" in words
    assert "share with osteoporosis" in texts(s.calibration_svg(model))


def test_decision_and_risk_curves_name_their_lines() -> None:
    y, models = said()
    groups = np.arange(90)
    words = texts(s.decision_svg(decision_curve(y, groups, models, n_boot=20), headline="stack"))
    assert all(name in words for name in ("nobody told yes", "everybody told yes", "stack", "svm <1>"))
    risks = {k: risk_coverage(p.argmax(2) != y, p.max(2), y, groups, n_boot=20) for k, p in models.items()}
    assert "stack" in texts(s.risk_svg(risks, "stack"))


def test_forest_and_learning_curve_draw_the_bounds_that_are_known(evaluation: RepeatedEvaluation) -> None:
    rows = {name: model.figures["auc"] for name, model in evaluation.models.items()}
    words = texts(s.forest_svg(rows, bounds=BOUNDS, headline="stack"))
    assert "two scans of one person, 0.970" in words
    assert "not known" not in words
    assert all(name in words for name in rows)
    assert "AUC, osteoporosis against the rest" in words
    points = [(100, Figure(0.8, 0.7, 0.9, 90, 90)), (25, Figure(0.7, 0.6, 0.8, 90, 90))]
    words = texts(s.learning_svg({"stack": points}, bounds=BOUNDS, headline="stack"))
    assert "10,000 virtual people" in words
    assert "scans to learn from" in words


def test_a_forest_of_differences_has_its_reference_and_shows_what_is_undefined(
    evaluation: RepeatedEvaluation,
) -> None:
    nan = float("nan")
    rows = {name: c.figures["auc"] for name, c in evaluation.differences.items()}
    rows |= {"lost": Figure(nan, nan, nan, 9, 9, "undefined"), "bare": Figure(0.1, nan, nan, 9, 9)}
    words = texts(s.forest_svg(rows, "stack minus model, AUC", reference=0, title="Differences"))
    assert "stack minus model, AUC" in words
    assert "–" in words
    assert "0.100" in words.split("\n")


def test_the_same_numbers_give_the_same_picture(evaluation: RepeatedEvaluation) -> None:
    assert s.roc_svg(evaluation) == s.roc_svg(evaluation)
