"""What answers are worth: net benefit, what is left when the model may say "can't say", and prediction sets.

All take repeats, (repeats, n): counts are averaged over repeats, then divided, so that a repeat in which nobody was
told yes does not make the share undefined. Intervals: percentile bootstrap over groups, the same for every repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import group_numbers, percentile_bounds
from spinecare.evaluate.metrics import Float, Int
from spinecare.evaluate.predictions import Figure, _Shared
from spinecare.scan import LABELS

Groups = Sequence[object] | npt.NDArray[Any]

COVERAGE: dict[str, str] = {
    "classified": "share of scans that were told yes or no",
    "precision": "positive predictive value: of those told yes, the share with osteoporosis",
    "npv": "negative predictive value: of those told no, the share without osteoporosis",
    "told_yes": "share of scans told yes",
    "told_no": "share of scans told no",
    "found": "of those with osteoporosis, the share told yes",
    "missed": "of those with osteoporosis, the share told no",
    "false_alarm": "of those without osteoporosis, the share told yes",
}
CONFORMAL: dict[str, str] = (
    {"coverage": "share of scans whose set holds the true class", "size": "mean number of classes in a set"}
    | {f"coverage_{label}": f"coverage of scans that are {label}".replace("_", " ") for label in LABELS}
    | {f"size_{label}": f"mean size for scans that are {label}".replace("_", " ") for label in LABELS}
    | {"single": "share of sets with one class", "empty": "share of sets with none"}
)


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve with its pointwise interval, float (points,) each."""

    value: Float
    low: Float
    high: Float


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit of each model and of telling everybody yes, per scan, by threshold; telling nobody is 0."""

    thresholds: Float
    models: dict[str, Curve]
    treat_all: Curve
    n: int
    patients: int


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Error rate among the most confident `coverage` of scans, and its mean over coverages (`area`)."""

    coverage: Float
    risk: Curve
    area: Figure


def net_benefit(
    positive: npt.ArrayLike, p: npt.ArrayLike, thresholds: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Float:
    """True positives less false positives, these at the odds of the threshold, per scan: float (..., thresholds).

    Yes is p >= threshold, as everywhere here. Telling everybody is p = 1, telling nobody p = 0 (net benefit 0).

    Parameters
    ----------
    positive, p
        bool (n,) and float (n,), or (repeats, n) for the mean over repeats.
    thresholds
        float (t,), strictly between 0 and 1: the probability from which one would act.
    weights
        (..., n).

    Notes
    -----
    Vickers and Elkin 2006, 10.1177/0272989X06295361.
    """
    yes = np.asarray(positive, dtype=bool)
    t = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if t.ndim != 1 or not ((t > 0) & (t < 1)).all():
        raise EvaluationError("Thresholds of net benefit must be strictly between 0 and 1, where the odds are defined.")
    w = m.check_weights(weights, len(yes))
    repeats = np.stack([m.check_score(row, len(yes)) for row in np.atleast_2d(np.asarray(p, dtype=np.float64))])
    # Linear in the answers, so repeats are averaged before the many weights see them.
    told = (repeats[:, :, None] >= t).mean(axis=0)
    worth = told * np.where(yes[:, None], 1.0, -t / (1 - t))
    return m.ratio(w @ worth, w.sum(axis=-1)[..., None])


def decision_curve(
    labels: npt.ArrayLike,
    groups: Groups,
    probabilities: Mapping[str, npt.ArrayLike],
    thresholds: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> DecisionCurve:
    """Net benefit of p(osteoporosis) of each model (repeats, n, 3) by threshold, 0.01 ... 0.99 when None."""
    shared = shared_rows(labels, groups, n_boot, seed, level)
    yes, t = shared.y == 2, np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, dtype=np.float64)

    def curve(p: Float) -> Curve:
        drawn = shared.draw(lambda w: {"": net_benefit(yes, p, t, w)})[""]
        return _curve(net_benefit(yes, p, t), drawn, level)

    models = {}
    for name, given in probabilities.items():
        p = np.asarray(given, dtype=np.float64)
        if p.ndim != 3:
            raise EvaluationError(
                f"Probabilities of {name} must be (repeats, {len(yes)}, 3), and have shape {p.shape}."
            )
        models[name] = curve(np.stack([m.check_probabilities(rows, len(yes), name)[:, 2] for rows in p]))
    return DecisionCurve(t, models, curve(np.ones(len(yes))), len(yes), shared.k)


def coverage_table(
    told: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: Groups,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Figure]:
    """Each of `COVERAGE` for answers told, int (repeats, n): 1 yes, 0 no, -1 can't say."""
    shared = shared_rows(labels, groups, n_boot, seed, level)
    said = _repeats(told, len(shared.y), "What was told", (-1, 0, 1))
    sick = shared.y == 2
    yes, no = (said == 1).mean(axis=0), (said == 0).mean(axis=0)

    def figures(w: Float) -> dict[str, Float]:
        everyone, ill, well = w.sum(axis=-1), w @ sick, w @ ~sick
        return {
            "classified": m.ratio(w @ (yes + no), everyone),
            "precision": m.ratio(w @ (yes * sick), w @ yes),
            "npv": m.ratio(w @ (no * ~sick), w @ no),
            "told_yes": m.ratio(w @ yes, everyone),
            "told_no": m.ratio(w @ no, everyone),
            "found": m.ratio(w @ (yes * sick), ill),
            "missed": m.ratio(w @ (no * sick), ill),
            "false_alarm": m.ratio(w @ (yes * ~sick), well),
        }

    return _table(shared, figures)


def conformal_table(
    inside: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: Groups,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Figure]:
    """Each of `CONFORMAL` for prediction sets, bool (repeats, n, 3): whether each class is in the set."""
    shared = shared_rows(labels, groups, n_boot, seed, level)
    y, sets = shared.y, np.asarray(inside)
    if sets.ndim != 3 or sets.shape[1:] != (len(y), m.CLASSES):
        raise EvaluationError(f"Prediction sets must be (repeats, {len(y)}, {m.CLASSES}), and have shape {sets.shape}.")
    sizes = sets.astype(bool).sum(axis=2)
    right = sets.astype(bool)[:, np.arange(len(y)), y].mean(axis=0)
    size, single, empty = sizes.mean(axis=0), (sizes == 1).mean(axis=0), (sizes == 0).mean(axis=0)

    def figures(w: Float) -> dict[str, Float]:
        def mean(values: Float, of: npt.NDArray[np.bool_]) -> Float:
            return m.ratio(w @ (values * of), w @ of)

        everyone = np.ones(len(y), dtype=bool)
        return (
            {"coverage": mean(right, everyone), "size": mean(size, everyone)}
            | {f"coverage_{label}": mean(right, y == c) for c, label in enumerate(LABELS)}
            | {f"size_{label}": mean(size, y == c) for c, label in enumerate(LABELS)}
            | {"single": mean(single, everyone), "empty": mean(empty, everyone)}
        )

    return _table(shared, figures)


def risk_at(wrong: npt.ArrayLike, confidence: npt.ArrayLike, coverages: npt.ArrayLike, weights: npt.ArrayLike) -> Float:
    """Error rate among the most confident share of scans, float (replicates, coverages).

    Scans of the same confidence count as taken in random order. El-Yaniv and Wiener 2010, JMLR 11:1605.

    Parameters
    ----------
    wrong, confidence
        bool (n,) and float (n,), higher is surer.
    coverages
        float (c,) in (0, 1].
    weights
        float (replicates, n).
    """
    bad = np.asarray(wrong, dtype=bool)
    sure = m.check_score(confidence, len(bad), "the confidence")
    share = np.asarray(coverages, dtype=np.float64)
    if share.ndim != 1 or not ((share > 0) & (share <= 1)).all():
        raise EvaluationError("Coverages must be a row of shares above 0 and up to 1.")
    order = np.argsort(-sure, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(sure[order]) < 0])
    w = np.atleast_2d(m.check_weights(weights, len(bad)))[:, order]
    taken = np.cumsum(np.add.reduceat(w, starts, axis=1), axis=1)
    errors = np.cumsum(np.add.reduceat(w * bad[order], starts, axis=1), axis=1)
    wanted = share * taken[:, -1:]
    rows = zip(wanted, taken, errors, strict=True)
    return m.ratio([np.interp(x, np.r_[0.0, at], np.r_[0.0, sums]) for x, at, sums in rows], wanted)


def risk_coverage(
    wrong: npt.ArrayLike,
    confidence: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: Groups,
    coverages: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> RiskCoverage:
    """Error rate by share answered, mean over repeats: `wrong` bool and `confidence` float, (repeats, n) each."""
    shared = shared_rows(labels, groups, n_boot, seed, level)
    share = np.arange(1, 21) / 20 if coverages is None else np.asarray(coverages, dtype=np.float64)
    bad = _repeats(wrong, len(shared.y), "Right or wrong", (0, 1))
    sure = np.asarray(confidence, dtype=np.float64)
    if sure.shape != bad.shape:
        raise EvaluationError(f"Right or wrong has shape {bad.shape} and the confidence {sure.shape}; one for each.")

    def risks(w: Float) -> dict[str, Float]:
        return {"": np.mean([risk_at(b, s, share, w) for b, s in zip(bad, sure, strict=True)], axis=0)}

    once, many = risks(np.ones((1, len(shared.y))))[""][0], shared.draw(risks)[""]
    area = shared.figure("", float(once.mean()), many.mean(axis=1))
    return RiskCoverage(share, _curve(once, many, level), area)


def shared_rows(
    labels: npt.ArrayLike, groups: Groups, n_boot: int, seed: int, level: float, stratified: bool = False
) -> _Shared:
    """The rows, their groups and draws, validated; `stratified` draws groups within their most affected class."""
    y = m.check_labels(labels)
    patients = group_numbers(groups, len(y))
    k = int(patients.max()) + 1
    if n_boot < 1 or not 0 < level < 1:
        raise EvaluationError(f"n_boot must be at least 1 and level in (0, 1), not {n_boot} and {level}.")
    strata = None
    if stratified:
        strata = np.zeros(k, dtype=np.int64)
        np.maximum.at(strata, patients, y)
    return _Shared(y, patients, k, n_boot, seed, level, strata)


def _repeats(values: npt.ArrayLike, n: int, what: str, allowed: Sequence[int]) -> Int:
    """int64 (repeats, n), or EvaluationError unless of that shape and of allowed values."""
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.shape[1] != n or not len(rows) or not np.isin(rows, allowed).all():
        raise EvaluationError(f"{what} must be (repeats, {n}) of {', '.join(map(str, allowed))}; shape {rows.shape}.")
    return rows.astype(np.int64)


def _table(shared: _Shared, figures: Any) -> dict[str, Figure]:
    """Each figure of `figures(weights)` with its interval."""
    once, many = figures(np.ones((1, len(shared.y)))), shared.draw(figures)
    return {key: shared.figure(key, float(once[key][0]), many[key]) for key in once}


def _curve(value: Float, drawn: Float, level: float) -> Curve:
    """A curve (points,) with its interval from (replicates, points)."""
    bounds = [percentile_bounds(column, level) for column in drawn.T]
    return Curve(value, np.array([b.low for b in bounds]), np.array([b.high for b in bounds]))
