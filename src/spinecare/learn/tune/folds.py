"""What a trial is worth: its options fitted and scored on grouped stratified folds of the rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare.evaluate import metrics
from spinecare.learn.crossval import cuts
from spinecare.learn.material import Material
from spinecare.learn.tune.search import Chosen, SearchSettings, open_options
from spinecare.learn.tune.thin import thinned
from spinecare.scan import Float32

if TYPE_CHECKING:
    import optuna


def _auc(y: np.ndarray, p: np.ndarray) -> float:
    return float(metrics.auc(y == 2, p[:, 2]))


def _auc_ends(y: np.ndarray, p: np.ndarray) -> float:
    share = p[:, 2] / np.maximum(p[:, 0] + p[:, 2], 1e-12)
    return float(metrics.auc(y == 2, share, (y != 1).astype(float)))


def _auc_affected(y: np.ndarray, p: np.ndarray) -> float:
    return float(metrics.auc(y > 0, 1 - p[:, 0]))


def _log_loss(y: np.ndarray, p: np.ndarray) -> float:
    return float(-np.log(np.clip(p[np.arange(len(y)), y], 1e-6, 1)).mean())


# name → (what it is of classes (n,) and probabilities (n, 3), whether more is better).
OBJECTIVES: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], bool]] = {
    "auc": (_auc, True),
    "auc_normal_vs_osteoporosis": (_auc_ends, True),
    "auc_normal_vs_affected": (_auc_affected, True),
    "auc_mean": (lambda y, p: (_auc(y, p) + _auc_ends(y, p) + _auc_affected(y, p)) / 3, True),
    "log_loss": (_log_loss, False),
}


@dataclass(frozen=True, eq=False)
class Opened(Material):
    """A material that looks for each view once: finding one in the cache means hashing all pictures."""

    opened: dict[str, Float32] = field(default_factory=dict)

    def view(self, name: str) -> Float32:
        """As `Material.view`."""
        if name not in self.opened:
            self.opened[name] = super().view(name)
        return self.opened[name]


class Folds:
    """Scores one choice of options by grouped stratified folds of the rows; the same cuts for every trial."""

    def __init__(self, material: Material, rows: np.ndarray, search: SearchSettings) -> None:
        self.material, self.search = material, search
        # Views of copies that only one trial has are not worth keeping: they take as much room as all others together.
        self.passing = any(path.startswith(("augment.", "copies")) for path in open_options(search))
        self.kept: Opened | None = None
        self.cuts: list[tuple[int, np.ndarray, np.ndarray]] = []
        y, groups = material.labels, material.groups
        for repeat in range(search.repeats):
            for cut in cuts(rows, y, groups, search.folds, 0.5, search.seed + repeat):
                least = search.inner_folds if search.headline in search.combine else 1
                fit = cut.fit if search.fit_share >= 1 else thinned(cut.fit, y, groups, search.fit_share, repeat, least)
                self.cuts.append((repeat, fit, cut.unseen))

    def score(self, trial: optuna.Trial, chosen: Chosen) -> float:
        """The objective of one choice, pooled over folds and averaged over repeats; told to the pruner fold by fold.

        Raises
        ------
        optuna.TrialPruned
            When the trial is too far behind.
        """
        import optuna

        said = np.full((self.search.repeats, len(self.material.labels), 3), np.nan)
        value = float("nan")
        with self._material(chosen) as material:
            for step, (repeat, fit, unseen) in enumerate(self.cuts, 1):
                said[repeat, unseen] = self._answer(material, chosen, fit, unseen)
                value = self._value(said)
                if np.isfinite(value) and step < len(self.cuts):
                    trial.report(value, step)
                    if trial.should_prune():
                        raise optuna.TrialPruned
        return value

    @contextmanager
    def _material(self, chosen: Chosen) -> Iterator[Material]:
        told = {name: getattr(self.material, name) for name in ("pictures", "seed", "cache", "sources")}
        told |= {"augment": chosen.augment_settings(), "copies": chosen.copies}
        if not self.passing:
            if self.kept is None:
                self.kept = Opened(**told)
            yield self.kept
            return
        with tempfile.TemporaryDirectory(prefix="spinecare-views-") as scratch:
            yield Opened(**(told | {"cache": Path(scratch)}))

    def _answer(self, material: Material, chosen: Chosen, fit: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        from spinecare.learn.combine import build_combiner
        from spinecare.learn.members import build_member

        search = self.search
        members = {name: build_member(o["kind"], without(o, "kind")) for name, o in chosen.members.items()}
        said = {name: member.fit(material, fit, search.seed)(unseen) for name, member in members.items()}
        if search.headline not in chosen.combine:
            return said[search.headline]
        y, groups = material.labels, material.groups
        inner = cuts(fit, y, groups, search.inner_folds, 0.5, search.seed)
        learnt = {name: np.zeros((len(y), 3)) for name in members}
        for cut in inner:
            for name, member in members.items():
                learnt[name][cut.unseen] = member.fit(material, cut.fit, search.seed)(cut.unseen)
        options = chosen.combine[search.headline]
        combiner = build_combiner(options["kind"], without(options, "kind", "members"))
        return combiner.fit({n: p[fit] for n, p in learnt.items()}, y[fit], groups[fit], search.seed)(said)

    def _value(self, said: np.ndarray) -> float:
        of, _ = OBJECTIVES[self.search.objective]
        y = self.material.labels
        there = [np.isfinite(p[:, 0]) for p in said]
        return float(np.mean([of(y[seen], p[seen]) for p, seen in zip(said, there, strict=True) if seen.any()]))


def without(options: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The options but these."""
    return {key: value for key, value in options.items() if key not in keys}
