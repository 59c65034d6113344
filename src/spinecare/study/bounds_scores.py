"""Both bounds in figures, with intervals over the test people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import draw, percentile_bounds
from spinecare.evaluate.predictions import Figure
from spinecare.evaluate.study_json import figure_json
from spinecare.scan import LABELS
from spinecare.study.bounds_fits import Said
from spinecare.study.bounds_second import Second
from spinecare.study.settings import StudySettings

SCHEMA = "spinecare.bounds/1"
WHAT = {
    "auc": "AUC, osteoporosis against the rest",
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis against normal",
    "auc_normal_vs_affected": "AUC, affected against normal",
    "accuracy_three_classes": "accuracy, three classes",
}
# Weights (..., n) → each of `WHAT`, (...).
Figures = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Figures with intervals over n people of given weights."""

    weights: np.ndarray
    n_boot: int
    seed: int
    protocol: str

    def __call__(self, figures: Figures) -> dict[str, Any]:
        n = len(self.weights)
        once = figures(self.weights[None])
        drawn = draw(lambda w: figures(w * self.weights), np.arange(n), self.n_boot, self.seed)
        ends = {key: percentile_bounds(drawn[key]) for key in WHAT}
        return {
            key: figure_json(Figure(float(once[key][0]), ends[key].low, ends[key].high, n, n), self.protocol)
            for key in WHAT
        }


def scores(
    y: np.ndarray,
    said: Sequence[Said],
    second: Second,
    study: StudySettings,
    mix: Mapping[str, float] | None,
    seed: int,
) -> dict[str, Any]:
    """Everything that `bounds.json` says, but for where the people come from.

    Parameters
    ----------
    y
        Classes of the test people, int (m,).
    """
    weighted = (
        f"weighted to {', '.join(f'{v:.0%} {k}' for k, v in mix.items())}" if mix else "the cohort's class shares"
    )
    people = (
        f"virtual people in the Hologic rendering, {weighted}; percentile bootstrap over people, {study.bootstrap} "
        "resamples"
    )
    fitted = (
        f"{len(y)} held-out {people}; members without augmented copies, combiners and {study.calibration} calibration "
        f"on {study.inner_folds}-fold out-of-fold answers of the others"
    )
    score = _Scorer(class_weights(y, mix), study.bootstrap, seed, fitted)
    sizes = []
    for size in sorted({one.size for one in said}):
        draws = [one for one in said if one.size == size]
        sizes.append(
            {
                "size": size,
                "draws": len(draws),
                "fitted": [one.fitted for one in draws],
                "models": {name: _model(name, y, draws, score) for name in draws[0].p},
            }
        )
    last = sizes[-1]
    headline = study.headline if study.headline in last["models"] else next(reversed(last["models"]))
    picture = {
        "name": f"{headline} of {last['size']:,} virtual people",
        "about": "the same members on frozen views and the same combiner, fitted on virtual people in the same "
        "rendering: what a windowed picture of them still holds",
        "figures": last["models"][headline]["figures"],
    }
    listed = [picture]
    if len(second.first):
        again = f"{len(second.first)} {people}; T-score of a second, repositioned scan against the label of the first"
        error = _Scorer(class_weights(second.first, mix), study.bootstrap, seed, again)
        listed.insert(
            0,
            {
                "name": "measurement error",
                "about": "a second, repositioned scan of the same virtual person against the label of the first",
                "figures": error(lambda w: second_figures(second, w)),
            },
        )
    return {
        "schema": SCHEMA,
        "protocol": fitted,
        "n": len(y),
        "class_counts": {str(name): int((y == i).sum()) for i, name in enumerate(LABELS)},
        "mix": dict(mix) if mix else None,
        "what": WHAT,
        "headline": headline,
        "bounds": listed,
        "sizes": sizes,
    }


def _model(name: str, y: np.ndarray, draws: Sequence[Said], score: _Scorer) -> dict[str, Any]:
    """The mean over draws with its interval, as over repeats of a study; and each draw's own value."""

    def of(one: Said, weights: np.ndarray) -> dict[str, np.ndarray]:
        return figures_of(y, one.p[name], one.category[name], weights)

    def mean(weights: np.ndarray) -> dict[str, np.ndarray]:
        parts = [of(one, weights) for one in draws]
        return {key: np.mean([part[key] for part in parts], axis=0) for key in WHAT}

    each = [of(one, score.weights) for one in draws]
    return {"figures": score(mean), "by_draw": {key: [float(part[key]) for part in each] for key in WHAT}}


def figures_of(y: np.ndarray, p: np.ndarray, category: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `WHAT` for probabilities (n, 3) and categories (n,), under weights (..., n)."""
    either = p[:, 0] + p[:, 2]
    share = np.divide(p[:, 2], either, out=np.full(len(y), 0.5), where=either > 0)
    return {
        "auc": m.auc(y == 2, p[:, 2], weights),
        "auc_normal_vs_osteoporosis": m.auc(y == 2, share, weights * (y != 1)),
        "auc_normal_vs_affected": m.auc(y > 0, 1 - p[:, 0], weights),
        "accuracy_three_classes": m.ratio(weights @ (category == y), weights.sum(axis=-1)),
    }


def second_figures(second: Second, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `WHAT` for the second scan's T-score and class, under weights (..., n)."""
    y, weaker = second.first, -second.t_score
    return {
        "auc": m.auc(y == 2, weaker, weights),
        "auc_normal_vs_osteoporosis": m.auc(y == 2, weaker, weights * (y != 1)),
        "auc_normal_vs_affected": m.auc(y > 0, weaker, weights),
        "accuracy_three_classes": m.ratio(weights @ (second.label == y), weights.sum(axis=-1)),
    }


def class_weights(y: np.ndarray, mix: Mapping[str, float] | None) -> np.ndarray:
    """Weights (n,) that give the classes their shares of `mix` and sum to n; ones without it."""
    if mix is None:
        return np.ones(len(y))
    share = np.array([float(mix[str(name)]) for name in LABELS])
    counts = np.bincount(y, minlength=len(LABELS))
    return (share / share.sum() * len(y) / np.maximum(counts, 1))[y]
