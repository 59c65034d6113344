"""The audit's numbers: duplicates across folds, what a shortcut tells, and differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spinecare.evaluate.bootstrap import draw, group_numbers, percentile_bounds
from spinecare.evaluate.metrics import auc
from spinecare.learn.recipe import Progress, Step
from spinecare.study.folds import OuterFold

FIGURES = {"auc": "osteoporosis against the rest", "auc_normal_vs_osteoporosis": "osteoporosis against normal"}


def duplicates(
    files: Sequence[str], paths: Sequence[str], groups: np.ndarray, folds: Sequence[OuterFold], progress: Progress
) -> dict[str, Any]:
    """Pictures of one scan: all pairs, those that no group holds together, and how often a fold divides a pair.

    Parameters
    ----------
    files, paths, groups
        Of each scan: its file, its name in the manifest, the group that no cut may divide.
    folds
        Outer folds; their inner cuts are looked at too.
    """
    from spinecare.io.look import look_at

    looks = look_at(files, lambda done, of: progress(Step("audit: duplicates", done, of)))
    parts = [(np.isin(np.arange(len(files)), a), np.isin(np.arange(len(files)), b)) for a, b in _cuts(folds)]
    pairs = []
    for pair in looks.pairs:
        i, j = pair.first, pair.second
        divided = sum(bool((a[i] and b[j]) or (a[j] and b[i])) for a, b in parts)
        pairs.append(
            {
                "first": paths[i],
                "second": paths[j],
                "kind": pair.kind,
                "similarity": round(float(pair.similarity), 3),
                "apart": bool(groups[i] != groups[j]),
                "divided_by": divided,
            }
        )
    crossing = sum(bool(set(groups[a]) & set(groups[b])) for a, b in parts)
    return {
        "cuts": len(parts),
        "pairs": pairs,
        "apart": sum(one["apart"] for one in pairs),
        "divided": sum(one["divided_by"] > 0 for one in pairs),
        "cuts_with_a_group_on_both_sides": crossing,
    }


def _cuts(folds: Sequence[OuterFold]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [cut for fold in folds for cut in ((fold.train, fold.test), *fold.inner)]


def aucs(labels: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """`FIGURES` of out-of-fold answers p (repeats, n, 3), each computed per repeat and averaged; weights (..., n)."""
    either = np.maximum(p[..., 0] + p[..., 2], 1e-12)
    return {
        "auc": np.mean([auc(labels == 2, one, weights) for one in p[..., 2]], axis=0),
        "auc_normal_vs_osteoporosis": np.mean(
            [auc(labels == 2, one, weights * (labels != 1)) for one in p[..., 2] / either], axis=0
        ),
    }


def intervals(
    labels: np.ndarray, groups: np.ndarray, said: Mapping[str, np.ndarray], n_boot: int, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Name → figure → value, low, high, of each name's answers (repeats, n, 3).

    A name `a - b` is the paired difference of the two. 95 % bootstrap over groups, one draw for all names.
    """
    numbers = group_numbers(groups, len(labels))

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {f"{name}\n{key}": v for name, p in said.items() for key, v in aucs(labels, p, weights).items()}

    values = figures(np.ones((1, len(labels))))
    drawn = draw(figures, numbers, n_boot, seed)
    names = [*said, *[f"{a} - {b}" for a in said for b in said if a != b]]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        for key in FIGURES:
            at, replicates = _of(values, name, key), _of(drawn, name, key)
            bounds = percentile_bounds(replicates)
            found.setdefault(name, {})[key] = {"value": float(at[0]), "low": bounds.low, "high": bounds.high}
    return found


def _of(values: Mapping[str, np.ndarray], name: str, key: str) -> np.ndarray:
    first, _, second = name.partition(" - ")
    at = values[f"{first}\n{key}"]
    return at - values[f"{second}\n{key}"] if second else at


def permutation_summary(own: float, shuffled: Sequence[float]) -> dict[str, Any]:
    """AUCs on shuffled labels beside the one on the labels themselves.

    `holds_half`: their mean does not lie above 0.5 by more than 1.96 of its standard errors; anything above would be
    told by the protocol and not by a picture. `p`: share of shufflings at least as good, the labels themselves counted
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).
    """
    values = np.asarray(shuffled, dtype=np.float64)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    mean = float(values.mean())
    return {
        "auc": own,
        "shuffled_mean": mean,
        "shuffled_low": float(values.min()),
        "shuffled_high": float(values.max()),
        "standard_error": error,
        "shufflings": len(values),
        "p": float((1 + (values >= own).sum()) / (1 + len(values))),
        "holds_half": error is None or mean - 1.96 * error <= 0.5,
    }
