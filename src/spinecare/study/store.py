"""A study's answers: gathered from its folds, kept as tables that people and programs read.

predictions.parquet   one row for each model, repeat and scan: what was said of it, unseen
scans.parquet         the scans, in the order of the study
answers.json          models and their kinds, seconds, weights, decisions, protocol
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinecare.errors import EvaluationError
from spinecare.scan import LABELS
from spinecare.study.fold import plain, read_fold
from spinecare.study.folds import OuterFold

PREDICTIONS, SCANS, ANSWERS = "predictions.parquet", "scans.parquet", "answers.json"
SCHEMA = "spinecare.study_answers/1"
# Columns of the three probabilities, and of what the conformal set holds.
P = tuple(f"p_{label}" for label in LABELS)
RAW = tuple(f"raw_{label}" for label in LABELS)
INSIDE = tuple(f"inside_{label}" for label in LABELS)


@dataclass(frozen=True, eq=False)
class StudyAnswers:
    """What every model of a study said of every scan, once in each repeat, by a fit that had not seen it.

    names
        Models in the order of every table: members, combiners, baselines.
    kinds
        Model → "member", "combiner" or "baseline".
    labels, groups
        int64 (n,), positions in `LABELS`; str (n,), what no cut divided.
    p, raw
        Model → float64 (repeats, n, 3): calibrated on inner out-of-fold answers, and as the model gave them.
    yes, told, category
        Model → bool, int64 and int64 (repeats, n): told osteoporosis at the threshold; 1 yes, 0 no, -1 can't say at the
        PPV and NPV targets; position in `LABELS`.
    inside
        Model → bool (repeats, n, 3): classes in the conformal set.
    fold
        int64 (repeats, n): the outer fold in whose test part a scan was.
    fit_seconds, predict_ms
        Model → seconds of every fit, float64 (fits,); milliseconds a scan, its views counted.
    weights
        Combiner → what its fits tell of their weights, one entry a fold; only those that tell.
    decisions
        Model → thresholds and calibration, one entry a fold.
    rows
        The scans' manifest rows.
    protocol, notes
        How the answers came about, in a sentence; sentences every report must repeat.
    seconds, peak_mb
        Of all folds, added up; most memory of one worker, MB.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, str]
    labels: np.ndarray
    groups: np.ndarray
    p: Mapping[str, np.ndarray]
    raw: Mapping[str, np.ndarray]
    yes: Mapping[str, np.ndarray]
    told: Mapping[str, np.ndarray]
    category: Mapping[str, np.ndarray]
    inside: Mapping[str, np.ndarray]
    fold: np.ndarray
    fit_seconds: Mapping[str, np.ndarray]
    predict_ms: Mapping[str, float]
    weights: Mapping[str, list[Any]]
    decisions: Mapping[str, list[Any]]
    rows: pd.DataFrame
    protocol: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_mb: float = 0.0
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """How often every scan was asked about."""
        return len(self.fold)


def gather(
    folds: Sequence[OuterFold],
    files: Sequence[Path],
    kinds: Mapping[str, str],
    labels: np.ndarray,
    groups: np.ndarray,
    rows: pd.DataFrame,
    protocol: str,
    notes: tuple[str, ...] = (),
    views_ms: Mapping[str, float] | None = None,
    about: Mapping[str, str] | None = None,
) -> StudyAnswers:
    """Put the files of all folds together.

    Parameters
    ----------
    kinds
        Model → "member", "combiner" or "baseline", in the order of every table.
    views_ms
        Model → milliseconds a scan that its views take, added to what its answers take.
    """
    told, arrays = zip(*(read_fold(file) for file in files), strict=True)
    spoken = told[0]["models"]
    names = tuple(name for name in kinds if name in spoken)
    shape = (len(spoken), 1 + max(fold.repeat for fold in folds), len(labels))
    whole = {
        kind: np.zeros(shape + first.shape[2:], first.dtype) for kind, first in arrays[0].items() if kind != "rows"
    }
    fold_of = np.full(shape[1:], -1, dtype=np.int64)
    for fold, found in zip(folds, arrays, strict=True):
        fold_of[fold.repeat, found["rows"]] = fold.fold
        for kind, values in whole.items():
            values[:, fold.repeat, found["rows"]] = found[kind]
    if (fold_of < 0).any():
        raise EvaluationError("The folds of the study leave scans out. Remove its folders `folds` and run it again.")
    by_model = {kind: dict(zip(spoken, values, strict=True)) for kind, values in whole.items()}
    asked = {name: float(np.median([t["predict_ms"][name] for t in told])) for name in names}
    return StudyAnswers(
        names=names,
        kinds=dict(kinds),
        labels=labels,
        groups=groups.astype(str),
        **by_model,
        fold=fold_of,
        fit_seconds={
            name: np.concatenate([np.array(t["fit_seconds"][name], dtype=float) for t in told]) for name in names
        },
        predict_ms={name: asked[name] + (views_ms or {}).get(name, 0.0) for name in names},
        weights=_by_fold(told, "weights"),
        decisions=_by_fold(told, "decisions"),
        rows=rows.reset_index(drop=True),
        protocol=protocol,
        notes=notes,
        seconds=sum(t["seconds"] for t in told),
        peak_mb=max(t["peak_mb"] for t in told),
        about=dict(about or {}),
    )


def _by_fold(told: Sequence[Mapping[str, Any]], what: str) -> dict[str, list[Any]]:
    return {name: [t[what][name] for t in told] for name in told[0][what]}


def write_answers(answers: StudyAnswers, folder: Path) -> None:
    """Write the answers into a study's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    answers.rows.assign(class_number=answers.labels, unit=answers.groups).to_parquet(folder / SCANS)
    pd.concat([_long(answers, name) for name in answers.names], ignore_index=True).to_parquet(folder / PREDICTIONS)
    told = {
        "schema": SCHEMA,
        "protocol": answers.protocol,
        "notes": list(answers.notes),
        "n": len(answers.labels),
        "groups": len(np.unique(answers.groups)),
        "repeats": answers.repeats,
        "names": list(answers.names),
        "kinds": dict(answers.kinds),
        "about": dict(answers.about),
        "fit_seconds": plain(answers.fit_seconds),
        "predict_ms": plain(answers.predict_ms),
        "seconds": answers.seconds,
        "peak_mb": answers.peak_mb,
        "weights": plain(answers.weights),
        "decisions": plain(answers.decisions),
    }
    (folder / ANSWERS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _long(answers: StudyAnswers, name: str) -> pd.DataFrame:
    repeats, n = answers.fold.shape
    columns: dict[str, Any] = {
        "model": name,
        "kind": answers.kinds[name],
        "repeat": np.repeat(np.arange(repeats), n),
        "fold": answers.fold.ravel(),
        "scan": np.tile(np.arange(n), repeats),
        "path": np.tile(answers.rows["path"].to_numpy().astype(str), repeats),
        "unit": np.tile(answers.groups, repeats),
        "label": np.tile(np.array([str(label) for label in LABELS])[answers.labels], repeats),
    }
    for names, values in ((P, answers.p), (RAW, answers.raw), (INSIDE, answers.inside)):
        columns |= {column: values[name][:, :, k].ravel() for k, column in enumerate(names)}
    columns |= {kind: getattr(answers, kind)[name].ravel() for kind in ("yes", "told", "category")}
    return pd.DataFrame(columns)


def read_answers(folder: Path) -> StudyAnswers:
    """The answers of a finished study.

    Raises
    ------
    EvaluationError
        When the folder holds none.
    """
    if not (folder / ANSWERS).is_file():
        raise EvaluationError(f"{folder} holds no finished study. Make one with `spinecare study`, or let it finish.")
    told = json.loads((folder / ANSWERS).read_text(encoding="utf-8"))
    scans = pd.read_parquet(folder / SCANS)
    long = pd.read_parquet(folder / PREDICTIONS).sort_values(["model", "repeat", "scan"], kind="stable")
    shape = (told["repeats"], told["n"])
    parts = {str(name): part for name, part in long.groupby("model", sort=False)}

    def threes(columns: Sequence[str]) -> dict[str, np.ndarray]:
        return {name: parts[name][list(columns)].to_numpy().reshape(*shape, len(LABELS)) for name in told["names"]}

    def ones(column: str) -> dict[str, np.ndarray]:
        return {name: parts[name][column].to_numpy().reshape(shape) for name in told["names"]}

    return StudyAnswers(
        names=tuple(told["names"]),
        kinds=told["kinds"],
        labels=scans["class_number"].to_numpy().astype(np.int64),
        groups=scans["unit"].to_numpy().astype(str),
        p=threes(P),
        raw=threes(RAW),
        yes=ones("yes"),
        told=ones("told"),
        category=ones("category"),
        inside=threes(INSIDE),
        fold=ones("fold")[told["names"][0]],
        fit_seconds={name: np.array(values) for name, values in told["fit_seconds"].items()},
        predict_ms=told["predict_ms"],
        weights=told["weights"],
        decisions=told["decisions"],
        rows=scans.drop(columns=["class_number", "unit"]),
        protocol=told["protocol"],
        notes=tuple(told["notes"]),
        seconds=told["seconds"],
        peak_mb=told["peak_mb"],
        about=told["about"],
    )
