"""Predictions in, figures out: each with n and its interval over patients. Nothing is fitted here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import MAX_UNDEFINED, draw, group_numbers, percentile_bounds
from spinecare.evaluate.metrics import Float, Int
from spinecare.scan import LABELS

# Name -> what it is, in the order of every table. Rates are of the yes/no answer "osteoporosis".
FIGURES: dict[str, str] = {
    "accuracy": "accuracy of the yes/no answer",
    "precision": "precision: of those told yes, the share with osteoporosis",
    "recall": "recall (sensitivity): of those with osteoporosis, the share told yes",
    "specificity": "specificity: of those without osteoporosis, the share told no",
    "npv": "negative predictive value: of those told no, the share without osteoporosis",
    "f1": "F1 of the yes/no answer",
    "auc": "AUC, osteoporosis against the rest",
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis against normal (low bone mass left out)",
    "auc_normal_vs_affected": "AUC, low bone mass or osteoporosis against normal",
    "auc_macro": "AUC, mean of the three one-against-rest",
    "brier": "Brier score of the three probabilities (0 best, 2 worst)",
    "brier_osteoporosis": "Brier score of p(osteoporosis) (0 best, 1 worst)",
    "calibration_slope": "calibration slope of p(osteoporosis) (1 best)",
    "calibration_intercept": "calibration in the large of p(osteoporosis) (0 best)",
    "accuracy_three_classes": "accuracy of the category",
    "accuracy_likeliest": "accuracy of the likeliest of the three classes, whatever the operating point",
}
SCORE_ONLY = ("auc", "auc_normal_vs_osteoporosis", "auc_normal_vs_affected")
COMPARED = ("auc", "auc_macro", "brier", "accuracy")


@dataclass(frozen=True)
class Figure:
    """One number with what it rests on: `n` scans of `patients`, the interval, and why it is nan if it is."""

    value: float
    low: float
    high: float
    n: int
    patients: int
    note: str = ""


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """One model's figures and what its pictures are drawn from.

    confusion
        int (3, 3), true class by row, category said by column; None for a score without probabilities.
    answers
        int (2, 2), osteoporosis no/yes by row, said no/yes by column.
    roc
        False and true positive rates of p(osteoporosis), from (0, 0) to (1, 1).
    reliability
        As `metrics.reliability` of p(osteoporosis).
    """

    name: str
    threshold: float
    figures: dict[str, Figure]
    confusion: Int | None = None
    answers: Int | None = None
    roc: tuple[Float, Float] | None = None
    reliability: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every model on the same rows. `differences`: stack minus member, paired, {member: {figure: Figure}}."""

    n: int
    patients: int
    class_counts: dict[str, int]
    models: dict[str, ModelEvaluation]
    baselines: dict[str, ModelEvaluation]
    differences: dict[str, dict[str, Figure]]
    n_boot: int
    seed: int
    level: float
    stratified: bool
    notes: tuple[str, ...] = field(default=())


def score_figures(y: Int, score: Float, weights: Float) -> dict[str, Float]:
    """The figures that need an order only; `score` (n,) is higher for weaker bone."""
    return {
        "auc": m.auc(y == 2, score, weights),
        "auc_normal_vs_osteoporosis": m.auc(y == 2, score, weights * (y != 1)),
        "auc_normal_vs_affected": m.auc(y > 0, score, weights),
    }


def probability_figures(y: Int, p: Float, threshold: float, weights: Float) -> dict[str, Float]:
    """Every figure of `FIGURES` for probabilities p (n, 3) under weights (..., n)."""
    yes, said = y == 2, p[:, 2] >= threshold
    answers = m.confusion(yes.astype(np.int64), said.astype(np.int64), 2, weights)
    three = m.confusion(y, m.categories(p, threshold), m.CLASSES, weights)
    # Between normal and osteoporosis the third class has no say, so the two are renormalised.
    either = p[:, 0] + p[:, 2]
    share = np.divide(p[:, 2], either, out=np.full(len(y), 0.5), where=either > 0)
    against_rest = [m.auc(y == k, p[:, k], weights) for k in range(m.CLASSES)]
    slope, intercept = m.calibration(yes, p[:, 2], weights)
    return m.yes_no_rates(answers) | {
        "auc": against_rest[2],
        "auc_normal_vs_osteoporosis": m.auc(yes, share, weights * (y != 1)),
        "auc_normal_vs_affected": m.auc(y > 0, 1 - p[:, 0], weights),
        "auc_macro": np.mean(against_rest, axis=0),
        "brier": m.brier_multiclass(y, p, weights),
        "brier_osteoporosis": m.brier(yes, p[:, 2], weights),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "accuracy_three_classes": m.ratio(np.trace(three, axis1=-2, axis2=-1), three.sum(axis=(-2, -1))),
        "accuracy_likeliest": m.ratio(weights @ (p.argmax(axis=1) == y), weights.sum(axis=-1)),
    }


def evaluate_predictions(
    y_true: npt.ArrayLike,
    groups: Sequence[object] | npt.NDArray[Any],
    probabilities: Mapping[str, npt.ArrayLike],
    decisions: float | Mapping[str, float],
    n_boot: int = 2000,
    seed: int = 0,
    *,
    prevalence: Sequence[float] | Float | None = None,
    baselines: Mapping[str, npt.ArrayLike] | None = None,
    stratified: bool = False,
    level: float = 0.95,
) -> Evaluation:
    """Every figure for every model on the same scans, with bootstrap intervals over patients.

    Parameters
    ----------
    y_true
        (n,) ints in the order of `LABELS`: 0 normal, 1 low bone mass, 2 osteoporosis.
    groups
        (n,) the patient (or scan group) of each row: the unit that is resampled.
    probabilities
        (n, 3) for each member and the stack, in the order of `LABELS`. A model called "stack" is also
        compared with every other one.
    decisions
        The answer is yes from this p(osteoporosis) on; one number, or one for each name.
    prevalence
        (3,) class shares of the training part, for the trivial baseline; those of `y_true` when None.
    baselines
        Further baselines: (n, 3) probabilities, or a score (n,) that is higher for weaker bone.
    stratified
        Draw patients within their class (a patient's most affected scan), so that class counts don't vary.

    Raises
    ------
    EvaluationError
        For shapes that disagree, labels or probabilities out of range, a missing threshold or patient.
    """
    y = m.check_labels(y_true)
    patients = group_numbers(groups, len(y))
    k = int(patients.max()) + 1
    if not probabilities:
        raise EvaluationError("No predictions were given; at least one model is needed.")
    if n_boot < 1 or not 0 < level < 1:
        raise EvaluationError(f"n_boot must be at least 1 and level in (0, 1), not {n_boot} and {level}.")
    strata = None
    if stratified:
        strata = np.zeros(k, dtype=np.int64)
        np.maximum.at(strata, patients, y)
    notes: list[str] = []
    counts = np.bincount(y, minlength=m.CLASSES)
    notes += [f"No scan of class {LABELS[c]}: what needs it is undefined." for c in np.flatnonzero(counts == 0)]
    if k == 1:
        notes.append("One patient only: no interval can be given.")

    shared = _Shared(y, patients, k, n_boot, seed, level, strata)
    models, drawn = {}, {}
    for name, given in probabilities.items():
        p = m.check_probabilities(given, len(y), name)
        models[name], drawn[name] = shared.evaluate(name, p, _threshold(decisions, name))

    beside = {}
    share = (
        counts / len(y) if prevalence is None else m.check_probabilities(np.atleast_2d(prevalence), 1, "prevalence")[0]
    )
    if prevalence is None:
        notes.append("The prevalence baseline uses the class shares of these scans themselves.")
    everyone = np.broadcast_to(share, (len(y), m.CLASSES)).astype(np.float64)
    beside["prevalence"], _ = shared.evaluate("prevalence", everyone, 0.5)
    for name, given in (baselines or {}).items():
        values = np.asarray(given, dtype=np.float64)
        if values.ndim == 1:
            beside[name] = shared.evaluate_score(name, m.check_score(values, len(y), name))
        else:
            p = m.check_probabilities(values, len(y), name)
            beside[name], _ = shared.evaluate(name, p, _threshold(decisions, name, otherwise="stack"))

    differences = {
        name: shared.difference(models["stack"], models[name], drawn["stack"], drawn[name])
        for name in models
        if "stack" in models and name != "stack"
    }
    named = {str(label): int(counts[i]) for i, label in enumerate(LABELS)}
    return Evaluation(len(y), k, named, models, beside, differences, n_boot, seed, level, stratified, tuple(notes))


def _threshold(decisions: float | Mapping[str, float], name: str, otherwise: str = "") -> float:
    """The yes/no threshold of a model, in [0, 1]."""
    if isinstance(decisions, Mapping):
        value = decisions.get(name, decisions.get(otherwise))
        if value is None:
            raise EvaluationError(f"No decision threshold was given for {name}: give one number, or each name its own.")
    else:
        value = decisions
    if not 0 <= value <= 1:
        raise EvaluationError(f"The decision threshold of {name} must be in [0, 1], and is {value}.")
    return float(value)


@dataclass(frozen=True, eq=False)
class _Shared:
    """What every model of one evaluation shares: the rows, the patients and their draws."""

    y: Int
    patients: Int
    k: int
    n_boot: int
    seed: int
    level: float
    strata: Int | None

    def draw(self, figures: Callable[[Float], dict[str, Float]]) -> dict[str, Float]:
        """Every figure over the same draws of patients for every model."""
        return draw(figures, self.patients, self.n_boot, self.seed, self.strata)

    def evaluate(self, name: str, p: Float, threshold: float) -> tuple[ModelEvaluation, dict[str, Float]]:
        y, yes = self.y, self.y == 2
        once = probability_figures(y, p, threshold, np.ones((1, len(y))))
        many = draw(
            lambda w: probability_figures(y, p, threshold, w),
            self.patients,
            self.n_boot,
            self.seed,
            self.strata,
        )
        said = (p[:, 2] >= threshold).astype(np.int64)
        fpr, tpr, _ = m.roc_points(yes, p[:, 2])
        model = ModelEvaluation(
            name=name,
            threshold=threshold,
            figures={key: self.figure(key, float(once[key][0]), many[key]) for key in FIGURES},
            confusion=m.confusion(y, m.categories(p, threshold), m.CLASSES).astype(np.int64),
            answers=m.confusion(yes.astype(np.int64), said, 2).astype(np.int64),
            roc=(fpr, tpr),
            reliability=m.reliability(yes, p[:, 2]),
        )
        return model, many

    def evaluate_score(self, name: str, score: Float) -> ModelEvaluation:
        """A score orders scans but is no probability and has no threshold: only its AUCs are given."""
        once = score_figures(self.y, score, np.ones((1, len(self.y))))
        many = self.draw(lambda w: score_figures(self.y, score, w))
        nan = math.nan
        empty = Figure(nan, nan, nan, len(self.y), self.k, "a score has no probabilities and no threshold")
        figures = {
            key: self.figure(key, float(once[key][0]), many[key]) if key in SCORE_ONLY else empty for key in FIGURES
        }
        fpr, tpr, _ = m.roc_points(self.y == 2, score)
        return ModelEvaluation(name, nan, figures, roc=(fpr, tpr))

    def figure(self, key: str, value: float, replicates: Float) -> Figure:
        """A value with its interval, and in words why either is missing."""
        n = int((self.y != 1).sum()) if key == "auc_normal_vs_osteoporosis" else len(self.y)
        kept = self.patients[self.y != 1] if key == "auc_normal_vs_osteoporosis" else self.patients
        of = len(np.unique(kept))
        nan = math.nan
        if not math.isfinite(value):
            return Figure(nan, nan, nan, n, of, _why(key))
        if self.k == 1:
            return Figure(value, nan, nan, n, of, "one patient only: no interval")
        bounds = percentile_bounds(replicates, self.level)
        note = ""
        if bounds.undefined > MAX_UNDEFINED:
            note = f"no interval: undefined in {bounds.undefined:.0%} of the resamples"
        elif bounds.undefined:
            note = f"undefined in {bounds.undefined:.1%} of the resamples, which the interval leaves out"
        elif bounds.low == bounds.high:
            # A rate of exactly 0 or 1 looks certain to a bootstrap, which draws only what was seen.
            note = "every resample gives the same value: the interval cannot show how uncertain this is"
        return Figure(value, bounds.low, bounds.high, n, of, note)

    def difference(
        self, a: ModelEvaluation, b: ModelEvaluation, drawn_a: dict[str, Float], drawn_b: dict[str, Float]
    ) -> dict[str, Figure]:
        """a - b, paired: both were computed on the same draws of the same patients."""
        return {
            key: self.figure(key, a.figures[key].value - b.figures[key].value, drawn_a[key] - drawn_b[key])
            for key in COMPARED
        }


def _why(key: str) -> str:
    """Why a figure is undefined."""
    if key == "precision":
        return "undefined: nobody was told yes"
    if key == "npv":
        return "undefined: nobody was told no"
    if key == "calibration_slope":
        return "undefined: a class is absent, or the probabilities are constant or separate the classes"
    return "undefined: a class is absent"
