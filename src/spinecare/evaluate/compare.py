"""Two models on the same scans: DeLong for AUCs, McNemar for right and wrong, Holm for many at once.

These tests ask whether the answers that were given differ by more than the draw of these scans explains. They
know nothing of training again, so the bootstrap's paired intervals stand first, also `widened`, and these beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError
from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import group_numbers
from spinecare.evaluate.metrics import Bool, Float, Int
from spinecare.evaluate.predictions import SCORE_ONLY, Figure

AS_TRAINED = (
    "Intervals and p values take the models as trained; what training on other scans would change is not in them, so a "
    "difference whose interval only just leaves out 0 is not settled."
)
# Figure -> the test that goes with it.
TESTS = dict.fromkeys(SCORE_ONLY, "DeLong") | dict.fromkeys(("accuracy", "accuracy_three_classes"), "McNemar")
Groups = Sequence[object] | npt.NDArray[Any]


@dataclass(frozen=True)
class Test:
    """A paired difference with its normal interval and two-sided p; nan where the test cannot tell."""

    difference: float
    low: float
    high: float
    p: float


def widened(figure: Figure, folds: int) -> Figure:
    """A difference over k folds with its interval stretched by sqrt(1 + k / (k - 1)), 1.5 for five folds.

    The bootstrap takes the models as trained. Training parts of one cross-validation share most of their scans, so what
    other scans would have taught is hardly seen in it; this is the variance that Nadeau and Bengio 2003,
    10.1023/A:1024068626366, add for it, by the share of scans that is tested on.

    In simulated studies of 128 scans, 5 x 5, plain 95 % intervals held a difference in 65 of 80 studies of weak
    models and in 74 of 80 of strong ones; widened ones in 76 and 79 (`tests/evaluate/test_widened.py`).
    """
    if folds < 2:
        raise EvaluationError(f"Cross-validation has at least two folds, not {folds}.")
    by = math.sqrt(1 + folds / (folds - 1))
    low, high = figure.value - by * (figure.value - figure.low), figure.value + by * (figure.high - figure.value)
    return replace(figure, low=low, high=high)


@dataclass(frozen=True)
class Tested:
    """A p value per repeat, summed up: its median (`p`), the least and the most, and the median after Holm.

    A median of p values is a summary, not itself a p value; twice the median is a safe one
    (Meinshausen, Meier and Buehlmann 2009, 10.1198/jasa.2009.tm08647).
    """

    test: str
    p: float
    least: float
    most: float
    adjusted: float


def midranks(values: Float) -> Float:
    """Ranks (n,) from 1, equal values sharing the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[which], dtype=np.float64)


def delong(positive: npt.ArrayLike, scores: npt.ArrayLike, groups: Groups | None = None) -> tuple[Float, Float]:
    """AUCs of several scores of the same scans, and the covariance of these AUCs.

    Parameters
    ----------
    positive
        bool (n,).
    scores
        float (m, n), one row a model, higher means more likely positive.
    groups
        (n,) patient of each scan: scans of one patient may depend on each other. None: every scan on its own.

    Returns
    -------
    float (m,) and (m, m); nan where a side is absent, the covariance also where a side has one patient only.

    Raises
    ------
    EvaluationError
        For shapes that disagree or scores that are not finite.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson 1988, 10.2307/2531595, by ranks as Sun and Xu 2014, 10.1109/LSP.2014.2337313;
    with patients Obuchowski 1997, 10.2307/2533958, which is DeLong's when each patient has one scan.
    """
    yes = np.asarray(positive, dtype=bool)
    s = np.asarray(scores, dtype=np.float64)
    if s.ndim != 2:
        raise EvaluationError(f"Scores must be one row a model, (m, {len(yes)}), and have shape {s.shape}.")
    s = np.stack([m.check_score(row, len(yes)) for row in s]) if len(s) else s.reshape(0, len(yes))
    patients = np.arange(len(yes)) if groups is None else group_numbers(groups, len(yes))
    many, n_yes, n_no = len(s), int(yes.sum()), int((~yes).sum())
    if not n_yes or not n_no:
        return np.full(many, np.nan), np.full((many, many), np.nan)

    # Share of the other side that each scan is ordered rightly against.
    placed = np.empty_like(s)
    for row, values in zip(placed, s, strict=True):
        ranks = midranks(values)
        row[yes] = (ranks[yes] - midranks(values[yes])) / n_no
        row[~yes] = 1 - (ranks[~yes] - midranks(values[~yes])) / n_yes
    aucs = placed[:, yes].mean(axis=1)

    member = np.zeros((len(yes), int(patients.max()) + 1))
    member[np.arange(len(yes)), patients] = 1
    off = placed - aucs[:, None]
    up, down = off[:, yes] @ member[yes] / n_yes, off[:, ~yes] @ member[~yes] / n_no
    k_yes, k_no, k = len(np.unique(patients[yes])), len(np.unique(patients[~yes])), member.shape[1]
    if k_yes < 2 or k_no < 2:
        return aucs, np.full((many, many), np.nan)
    both = up @ down.T
    covariance = k_yes / (k_yes - 1) * (up @ up.T) + k_no / (k_no - 1) * (down @ down.T) + k / (k - 1) * (both + both.T)
    return aucs, covariance


def paired_test(aucs: Float, covariance: Float, a: int, b: int, level: float = 0.95) -> Test:
    """AUC of row a minus that of row b of `delong`, tested."""
    difference = float(aucs[a] - aucs[b])
    variance = float(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b])
    if not math.isfinite(variance):
        return Test(difference, math.nan, math.nan, math.nan)
    if variance <= 1e-15:
        # The same order of scans is no difference; two perfect but opposite orders have no spread to test with.
        same = abs(difference) < 1e-9
        return Test(difference, difference, difference, 1.0) if same else Test(difference, *[math.nan] * 3)
    error = math.sqrt(variance)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    p = math.erfc(abs(difference) / error / math.sqrt(2))
    return Test(difference, difference - reach, difference + reach, p)


def delong_test(
    positive: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, groups: Groups | None = None, level: float = 0.95
) -> Test:
    """AUC of score a (n,) minus AUC of score b (n,), with interval and p, as `delong`."""
    n = len(np.asarray(positive))
    rows = np.stack([m.check_score(a, n, "the first score"), m.check_score(b, n, "the second score")])
    return paired_test(*delong(positive, rows, groups), 0, 1, level)


def mcnemar(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> float:
    """Exact two-sided p that two models are right equally often, from the scans that one of them got right.

    Scans count as independent. McNemar 1947, 10.1007/BF02295996, by the binomial distribution.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise EvaluationError(f"Both models need right or wrong for the same scans; shapes {a.shape} and {b.shape}.")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    tail = term = 1
    for i in range(min(only_a, only_b)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, float(2 * tail / 2**n))


def holm(p_values: npt.ArrayLike) -> Float:
    """p values (k,) adjusted for being k, so that any below 0.05 keeps the chance of one false alarm at 5 %.

    nan stays nan and does not count. Holm 1979, https://www.jstor.org/stable/4615733.
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(p))
    if p.ndim != 1 or (p[known] < 0).any() or (p[known] > 1).any():
        raise EvaluationError("p values must be one row of numbers in [0, 1].")
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate((len(order) - np.arange(len(order))) * p[order]))
    return adjusted


def compare_by_repeat(y: Int, patients: Int, p: Float, category: Int, yes: Bool) -> list[dict[str, Tested]]:
    """The first model against each other one, {figure of `TESTS`: Tested}, adjusted over these others.

    Parameters
    ----------
    y, patients
        int (n,): classes in the order of `LABELS`; numbers of patients or groups.
    p, category, yes
        float (models, repeats, n, 3), int and bool (models, repeats, n): what each model said.
    """
    either = p[..., 0] + p[..., 2]
    share = np.divide(p[..., 2], either, out=np.full(either.shape, 0.5), where=either > 0)
    p_values: dict[str, Float] = {}
    for key, positive, score, kept in (
        ("auc", y == 2, p[..., 2], y >= 0),
        ("auc_normal_vs_osteoporosis", y == 2, share, y != 1),
        ("auc_normal_vs_affected", y > 0, 1 - p[..., 0], y >= 0),
    ):
        found = [delong(positive[kept], score[:, r][:, kept], patients[kept]) for r in range(p.shape[1])]
        p_values[key] = np.array([[paired_test(*one, 0, i).p for one in found] for i in range(1, len(p))])
    for key, right in (("accuracy", yes == (y == 2)), ("accuracy_three_classes", category == y)):
        p_values[key] = np.array([[mcnemar(*two) for two in zip(right[0], one, strict=True)] for one in right[1:]])

    result: list[dict[str, Tested]] = [{} for _ in p[1:]]
    for key, table in p_values.items():
        middle = np.median(table.reshape(len(result), -1), axis=1)
        for tests, row, one, adjusted in zip(result, table, middle, holm(middle), strict=True):
            tests[key] = Tested(TESTS[key], float(one), float(row.min()), float(row.max()), float(adjusted))
    return result
