"""Repeated cross-validation in, figures out: each is computed per repeat on the pooled out-of-fold answers of that
repeat, then averaged over repeats (DESIGN 5.3). Probabilities are never averaged over repeats.

    evaluation = evaluate_repeats(labels, groups, p, categories, yes, headline="stack")
    evaluation.models["stack"].figures["auc"]            # Figure: value, low, high, n, patients, note
    evaluation.differences["svm"].figures["auc"]         # stack minus svm, paired
    evaluation.differences["svm"].tests["auc"].adjusted  # DeLong, median over repeats, after Holm
    study_json.repeats_json(evaluation, protocol="5 x 5 nested cross-validation by scan group, seed 1")

Intervals: percentile bootstrap over groups, one draw of groups for every repeat and every model. They speak of other
scans of this kind judged by models trained as these were; the spread over repeats stands beside them in `by_repeat`.
What training on other scans would change is not in them, which matters most for differences: see `compare.widened`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.compare import AS_TRAINED, Tested, compare_by_repeat, widened
from spinecare.evaluate.curves import mean_reliability, mean_roc
from spinecare.evaluate.decision import shared_rows
from spinecare.evaluate.metrics import Bool, Float, Int
from spinecare.evaluate.predictions import FIGURES, Figure, _Shared, probability_figures
from spinecare.scan import LABELS

# A difference of slopes says nothing: 0.8 and 1.2 are as far from right, and 0.4 apart.
COMPARED = tuple(key for key in FIGURES if not key.startswith("calibration"))


@dataclass(frozen=True, eq=False)
class RepeatedModel:
    """One model's figures, and what its pictures are drawn from.

    figures
        Each of `FIGURES`: the mean over repeats with its interval.
    by_repeat
        The same, float (repeats,).
    confusion
        float (3, 3), mean count over repeats: true class by row, category said by column.
    answers
        float (2, 2), mean count: osteoporosis no/yes by row, said no/yes by column.
    roc
        False and true positive rates, the mean over repeats at each false positive rate; its area is the mean AUC.
    reliability
        As `metrics.reliability` of p(osteoporosis) over all repeats, with the mean `count` of a repeat.
    """

    name: str
    figures: dict[str, Figure]
    by_repeat: dict[str, Float]
    confusion: Float
    answers: Float
    roc: tuple[Float, Float]
    reliability: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Headline minus one model.

    figures
        Paired differences of `COMPARED`, their intervals for models trained as these were.
    tests
        p values by figure, as `compare.TESTS`.
    wider
        The differences with their intervals widened for training on other scans; empty where folds are not known.
    """

    figures: dict[str, Figure]
    tests: dict[str, Tested]
    wider: dict[str, Figure]


@dataclass(frozen=True, eq=False)
class RepeatedEvaluation:
    """Every model on the same scans and repeats; `differences` are headline minus model, one for each compared."""

    n: int
    patients: int
    repeats: int
    class_counts: dict[str, int]
    headline: str | None
    models: dict[str, RepeatedModel]
    differences: dict[str, Comparison]
    n_boot: int
    seed: int
    level: float
    stratified: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Answers:
    """What one model said: p (repeats, n, 3), category int (repeats, n), yes bool (repeats, n)."""

    p: Float
    category: Int
    yes: Bool


def evaluate_repeats(
    labels: npt.ArrayLike,
    groups: Sequence[object] | npt.NDArray[Any],
    probabilities: Mapping[str, npt.ArrayLike],
    categories: Mapping[str, npt.ArrayLike] | None = None,
    yes: Mapping[str, npt.ArrayLike] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    headline: str | None = None,
    *,
    compare: Sequence[str] | None = None,
    level: float = 0.95,
    stratified: bool = False,
    folds: int | None = None,
) -> RepeatedEvaluation:
    """Every figure for every model, averaged over repeats, with intervals and paired differences.

    Parameters
    ----------
    labels
        (n,) ints in the order of `LABELS`.
    groups
        (n,) patient or scan group of each row: the unit that is resampled.
    probabilities
        For each model float (repeats, n, 3): out-of-fold answers; every model has the same repeats.
    categories
        For each model int (repeats, n), the class said; None: each model's likeliest class.
    yes
        For each model bool (repeats, n), the answer "osteoporosis"; None: where the category is osteoporosis. Given
        rather than made from a threshold, as thresholds differ by fold.
    headline
        The model that the others are compared with; None: no comparisons.
    compare
        The models that the headline is compared with, which is the family Holm adjusts for; None: all others.
    stratified
        Draw groups within their class (a group's most affected scan), so that class counts don't vary.
    folds
        Folds of each repeat; given, differences also have intervals as `compare.widened` makes them.

    Raises
    ------
    EvaluationError
        For shapes that disagree, values out of range, a model without decisions, an unknown headline.
    """
    shared = shared_rows(labels, groups, n_boot, seed, level, stratified)
    y, patients, k = shared.y, shared.patients, shared.k
    said = _check(probabilities, categories, yes, len(y))
    others = [name for name in said if name != headline] if compare is None else list(compare)
    for name in [] if headline is None else [headline, *others]:
        if name not in said:
            raise EvaluationError(f"There are no answers of {name} to compare; models are {', '.join(said)}.")
    models, drawn = {}, {}
    for name, answers in said.items():
        once = dict(zip(FIGURES, _figures(y, answers, np.ones((1, len(y))))[..., 0], strict=True))
        drawn[name] = shared.draw(partial(_mean_figures, y, answers))
        models[name] = _model(name, shared, answers, once, drawn[name])

    differences = {}
    others = [name for name in others if name != headline]
    if headline is not None and others:
        compared = [said[name] for name in (headline, *others)]
        tests = compare_by_repeat(
            y,
            patients,
            np.stack([one.p for one in compared]),
            np.stack([one.category for one in compared]),
            np.stack([one.yes for one in compared]),
        )
        for name, tested in zip(others, tests, strict=True):
            a, b = models[headline], models[name]
            paired = {
                key: shared.figure(
                    key, a.figures[key].value - b.figures[key].value, drawn[headline][key] - drawn[name][key]
                )
                for key in COMPARED
            }
            wider = {} if folds is None else {key: widened(figure, folds) for key, figure in paired.items()}
            differences[name] = Comparison(paired, tested, wider)

    counts = np.bincount(y, minlength=m.CLASSES)
    return RepeatedEvaluation(
        n=len(y),
        patients=k,
        repeats=len(next(iter(said.values())).p),
        class_counts={str(label): int(counts[i]) for i, label in enumerate(LABELS)},
        headline=headline,
        models=models,
        differences=differences,
        n_boot=n_boot,
        seed=seed,
        level=level,
        stratified=stratified,
        notes=_notes(counts, k, len(y), bool(differences)),
    )


def method(evaluation: RepeatedEvaluation) -> str:
    """How the figures and intervals were made, in words."""
    within = ", within classes" if evaluation.stratified else ""
    return (
        f"mean over {evaluation.repeats} repeats; percentile bootstrap over groups{within}, "
        f"{evaluation.n_boot} resamples, the same groups for every repeat and model"
    )


def _check(
    probabilities: Mapping[str, npt.ArrayLike],
    categories: Mapping[str, npt.ArrayLike] | None,
    yes: Mapping[str, npt.ArrayLike] | None,
    n: int,
) -> dict[str, _Answers]:
    """Every model's answers, validated."""
    if not probabilities:
        raise EvaluationError("No predictions were given; at least one model is needed.")
    said = {}
    for name, given in probabilities.items():
        p = np.asarray(given, dtype=np.float64)
        if p.ndim != 3 or not len(p):
            raise EvaluationError(f"Probabilities of {name} must be (repeats, {n}, 3), and have shape {p.shape}.")
        p = np.stack([m.check_probabilities(rows, n, name) for rows in p])
        category = p.argmax(axis=2).astype(np.int64)
        if categories is not None:
            category = _decided(categories, name, "category", p.shape[:2], m.CLASSES)
        answer = category == 2 if yes is None else _decided(yes, name, "yes/no answer", p.shape[:2], 2) == 1
        said[name] = _Answers(p, category, answer)
    if len({len(answers.p) for answers in said.values()}) > 1:
        counts = ", ".join(f"{name} {len(answers.p)}" for name, answers in said.items())
        raise EvaluationError(f"Every model needs the same repeats, to be paired: {counts}.")
    return said


def _decided(given: Mapping[str, npt.ArrayLike], name: str, what: str, shape: tuple[int, ...], values: int) -> Int:
    """One model's decisions as int64 (repeats, n), each 0 ... values - 1."""
    if name not in given:
        raise EvaluationError(f"No {what} was given for {name}: give every model its own, or none.")
    decided = np.asarray(given[name])
    if decided.shape != shape or not np.isin(decided, np.arange(values)).all():
        raise EvaluationError(f"The {what} of {name} must be {shape} of 0 to {values - 1}; shape {decided.shape}.")
    return decided.astype(np.int64)


def _figures(y: Int, answers: _Answers, weights: Float) -> Float:
    """Every figure of `FIGURES` per repeat under weights (replicates, n): float (figures, repeats, replicates)."""
    osteoporosis = (y == 2).astype(np.int64)
    rows = []
    for p, category, yes in zip(answers.p, answers.category, answers.yes, strict=True):
        three = m.confusion(y, category, m.CLASSES, weights)
        # The threshold only makes the rates, which the decisions that were given replace.
        figures = probability_figures(y, p, 0.5, weights)
        figures |= m.yes_no_rates(m.confusion(osteoporosis, yes.astype(np.int64), 2, weights))
        figures["accuracy_three_classes"] = m.ratio(np.trace(three, axis1=-2, axis2=-1), three.sum(axis=(-2, -1)))
        rows.append([figures[key] for key in FIGURES])
    return np.asarray(rows, dtype=np.float64).swapaxes(0, 1)


def _mean_figures(y: Int, answers: _Answers, weights: Float) -> dict[str, Float]:
    """Every figure averaged over repeats, (replicates,); undefined in one repeat is undefined."""
    return dict(zip(FIGURES, _figures(y, answers, weights).mean(axis=1), strict=True))


def _model(
    name: str, shared: _Shared, answers: _Answers, by_repeat: dict[str, Float], drawn: dict[str, Float]
) -> RepeatedModel:
    """One model's figures with what its pictures need."""
    y, osteoporosis = shared.y, shared.y == 2
    numbers = osteoporosis.astype(np.int64)
    pairs = [m.confusion(numbers, yes.astype(np.int64), 2) for yes in answers.yes]
    return RepeatedModel(
        name=name,
        figures={key: shared.figure(key, float(by_repeat[key].mean()), drawn[key]) for key in FIGURES},
        by_repeat=by_repeat,
        confusion=np.mean([m.confusion(y, said, m.CLASSES) for said in answers.category], axis=0),
        answers=np.mean(pairs, axis=0),
        roc=mean_roc(osteoporosis, answers.p[:, :, 2]),
        reliability=mean_reliability(osteoporosis, answers.p[:, :, 2]),
    )


def _notes(counts: Int, k: int, n: int, compared: bool) -> tuple[str, ...]:
    """What a reader must know of these figures."""
    notes = [f"No scan of class {LABELS[c]}: what needs it is undefined." for c in np.flatnonzero(counts == 0)]
    if k == 1:
        notes.append("One patient only: no interval can be given.")
    if compared:
        notes.append(AS_TRAINED)
        notes.append("A p value is the median over repeats, which is a summary; Holm's adjustment is over the models.")
        if k < n:
            notes.append("McNemar's test counts scans of one patient as independent; DeLong's here does not.")
    return tuple(notes)
