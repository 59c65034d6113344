"""One outer fold of a study: members, combiners and decisions fitted on its training part, then asked about its test.

Nothing that is fitted here holds the label of a test row: the material of a fold is blinded to its training part, and
that of an inner fit to the part it is fitted on.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinecare.errors import SpineCareError, TrainingError
from spinecare.learn.combine.base import Combiner
from spinecare.learn.decide import Targets, cross_fit, fit_decisions
from spinecare.learn.material import Material
from spinecare.learn.members.base import Fitted, Member
from spinecare.scan import LABELS
from spinecare.study.folds import OuterFold, seed_of
from spinecare.study.shared import blind, open_shared, with_views


@dataclass(frozen=True, eq=False)
class FoldJob:
    """All that a worker needs for one fold; small, as the material is read from `shared`.

    members
        Members and baselines, in the order of every table.
    joins
        Combiner → the members that it joins.
    target
        The file to write.
    """

    fold: OuterFold
    shared: Path
    views: Mapping[str, str]
    members: Mapping[str, Member]
    combiners: Mapping[str, Combiner]
    joins: Mapping[str, tuple[str, ...]]
    targets: Targets
    calibration: str
    inner_folds: int
    seed: int
    target: Path


@dataclass(frozen=True, eq=False)
class Spoken:
    """What one model says in one fold.

    unseen, test
        Probabilities float64 (m, 3) of the training rows, each out of fold, and of the test rows.
    fit_seconds
        Of every fit.
    predict_ms
        Milliseconds a test scan, views not counted.
    """

    unseen: np.ndarray
    test: np.ndarray
    fit_seconds: list[float]
    predict_ms: float
    weights: Any = None


@dataclass(frozen=True, eq=False)
class FoldDone:
    """What a worker reports of a finished fold."""

    name: str
    seconds: float
    peak_mb: float


@dataclass
class _Clock:
    seconds: list[float] = field(default_factory=list)

    def __call__(self, start: float) -> None:
        self.seconds.append(time.perf_counter() - start)


def do_fold(job: FoldJob) -> FoldDone:
    """Fit and ask everything of one fold, and write its file at once.

    Raises
    ------
    TrainingError
        When a model cannot be fitted, with its name and the fold's.
    """
    start = time.perf_counter()
    material = blind(with_views(open_shared(job.shared), job.views), job.fold.train)
    spoken: dict[str, Spoken] = {}
    decided: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    name = ""
    try:
        for name, member in job.members.items():
            spoken[name] = _ask_member(member, material, job, name)
        for name, combiner in job.combiners.items():
            spoken[name] = _ask_combiner(combiner, {one: spoken[one] for one in job.joins[name]}, material, job, name)
        for name, said in spoken.items():
            decisions = fit_decisions(said.unseen, material.labels[job.fold.train], job.targets, job.calibration)
            decided[name], answers[name] = decisions, decisions.apply(said.test)
    except Exception as error:
        where = f"{name} in repeat {job.fold.repeat + 1}, fold {job.fold.fold + 1}"
        if isinstance(error, SpineCareError):
            raise TrainingError(f"{where}: {error}") from error
        error.add_note(f"This was {where}.")
        raise
    seconds, peak = time.perf_counter() - start, peak_mb()
    told = {
        "models": list(spoken),
        "fit_seconds": {name: said.fit_seconds for name, said in spoken.items()},
        "predict_ms": {name: said.predict_ms for name, said in spoken.items()},
        "weights": {name: said.weights for name, said in spoken.items() if said.weights is not None},
        "decisions": {name: plain(one) for name, one in decided.items()},
        "seconds": seconds,
        "peak_mb": peak,
    }
    arrays = {kind: np.stack([getattr(answers[name], kind) for name in spoken])
              for kind in ("p", "yes", "category", "told", "inside")}  # fmt: skip
    arrays |= {"rows": job.fold.test, "raw": np.stack([said.test for said in spoken.values()])}
    write_fold(job.target, told, arrays)
    return FoldDone(job.fold.name, seconds, peak)


def _ask_member(member: Member, material: Material, job: FoldJob, name: str) -> Spoken:
    train, test = job.fold.train, job.fold.test
    clock = _Clock()
    unseen = np.full((len(material.labels), len(LABELS)), np.nan)

    def fit(rows: np.ndarray, number: int) -> Fitted:
        start = time.perf_counter()
        fitted = member.fit(blind(material, rows), rows, seed_of(job.seed, job.fold.name, number, name))
        clock(start)
        return fitted

    for number, (rows, asked) in enumerate(job.fold.inner):
        unseen[asked] = checked(fit(rows, number)(asked), len(asked))
    last = fit(train, len(job.fold.inner))
    start = time.perf_counter()
    said = checked(last(test), len(test))
    return Spoken(unseen[train], said, clock.seconds, 1000 * (time.perf_counter() - start) / len(test))


def _ask_combiner(
    combiner: Combiner, spoken: Mapping[str, Spoken], material: Material, job: FoldJob, name: str
) -> Spoken:
    train = job.fold.train
    labels, groups = material.labels[train], material.groups[train]
    unseen = {one: said.unseen for one, said in spoken.items()}
    seed = seed_of(job.seed, job.fold.name, name)
    clock = _Clock()
    start = time.perf_counter()
    joined = combiner.fit(unseen, labels, groups, seed)
    clock(start)
    # Decisions must learn from answers to scans that the combiner had not seen either.
    crossed = checked(cross_fit(combiner, unseen, labels, groups, seed, job.inner_folds), len(train))
    start = time.perf_counter()
    said = checked(joined({one: said.test for one, said in spoken.items()}), len(job.fold.test))
    own = 1000 * (time.perf_counter() - start) / len(job.fold.test)
    weights = getattr(joined, "weights", None)
    return Spoken(crossed, said, clock.seconds, own + sum(s.predict_ms for s in spoken.values()), plain(weights))


def checked(p: np.ndarray, n: int) -> np.ndarray:
    """Probabilities float64 (n, 3) as a model gave them.

    Raises
    ------
    TrainingError
        When they have another shape, or are no probabilities.
    """
    p = np.asarray(p, dtype=np.float64)
    if p.shape != (n, len(LABELS)):
        raise TrainingError(f"it answered with shape {p.shape}, not {(n, len(LABELS))}. This is a fault of the model.")
    if not (np.isfinite(p).all() and (p >= 0).all() and np.abs(p.sum(axis=1) - 1).max(initial=0) < 1e-6):
        raise TrainingError("it answered with numbers that are no probabilities. This is a fault of the model.")
    return p


def peak_mb() -> float:
    """Most memory that this process has held so far, MB (10^6 bytes)."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6


def plain(value: Any) -> Any:
    """As JSON values: dataclasses, arrays and numpy's numbers taken apart."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def write_fold(file: Path, report: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a fold's file under another name first: an interrupt never leaves half a file that looks finished."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, report=np.array(json.dumps(report)), **arrays)
    part.replace(file)


def read_fold(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `write_fold` wrote: the report, and the arrays, the first axis of each but `rows` the models."""
    with np.load(file, allow_pickle=False) as kept:
        return json.loads(str(kept["report"])), {name: kept[name] for name in kept.files if name != "report"}
