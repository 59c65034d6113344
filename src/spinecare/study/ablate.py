"""Ablations: small studies that differ in one thing, on the same scans and folds, compared in pairs.

    RUN/ablate/<ablation>/<study>/    each a study of its own, resumable
    RUN/ablate.json, RUN/ablate.md    figures of all, and paired differences with intervals, after each ablation

What they find is found on outer folds: it explains a recipe, and must not choose one (DESIGN 5.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spinecare.errors import TrainingError
from spinecare.evaluate.predictions import Figure
from spinecare.evaluate.repeats import evaluate_repeats, method
from spinecare.evaluate.study_json import figure_json, number
from spinecare.learn.data import Pictures
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.study.ablate_page import ablate_page
from spinecare.study.ablations import ABLATIONS, Plan
from spinecare.study.engine import run_on
from spinecare.study.folds import study_folds
from spinecare.study.scans import study_pictures
from spinecare.study.settings import StudySettings
from spinecare.study.store import StudyAnswers

RESULT, PAGE = "ablate.json", "ablate.md"
SCHEMA = "spinecare.ablate/1"
SHOWN = ("auc", "auc_normal_vs_osteoporosis", "auc_normal_vs_affected", "accuracy_three_classes", "brier")
CHOOSES_NOTHING = "Scored on outer folds: this explains the recipe. It did not choose it, and must not (DESIGN 5.2)."


@dataclass(frozen=True, eq=False)
class _Said:
    """Answers of every variant on the same scans: by name p (repeats, n, 3), category and yes (repeats, n)."""

    p: dict[str, np.ndarray]
    category: dict[str, np.ndarray]
    yes: dict[str, np.ndarray]
    fit_seconds: dict[str, float]


def ablate(
    manifest: Path,
    settings: StudySettings,
    names: Sequence[str],
    out: Path,
    progress: Progress = silent,
    leave_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Run ablations of a study, and write their figures; called again, go on where it was stopped.

    Parameters
    ----------
    manifest, settings
        Of the study that is explained; each ablation derives its own settings from them.
    names
        Keys of `ablations.ABLATIONS`.
    out
        A run folder; the study's own will do, and lends its cache.
    leave_out
        Members of an ablation that are not worth their time here, "vgg16_none" say.

    Returns
    -------
    What was written to `ablate.json`, ablations of earlier calls among it.

    Raises
    ------
    TrainingError
        For an unknown ablation, or one whose weights are not there.
    """
    if strangers := [name for name in names if name not in ABLATIONS]:
        raise TrainingError(f"There is no ablation {strangers[0]!r}. Choose from {', '.join(ABLATIONS)}.")
    plans = {name: ABLATIONS[name](settings).less(leave_out) for name in names}
    cache = out / "cache"
    pictures, notes = study_pictures(manifest, settings, cache, progress)
    file = out / RESULT
    told: dict[str, Any] = {"schema": SCHEMA, "warning": CHOOSES_NOTHING, "ablations": {}}
    if file.is_file():
        told["ablations"] = json.loads(file.read_text(encoding="utf-8"))["ablations"]
    for done, (name, plan) in enumerate(plans.items()):
        progress(Step("ablations", done, len(plans), name))
        told["ablations"][name] = run_plan(plan, pictures, out / "ablate" / name, progress, cache, notes)
        # After each: the next may take an hour.
        _put(file, json.dumps(told, indent=1) + "\n")
        _put(out / PAGE, ablate_page(told))
    progress(Step("ablations", len(plans), len(plans)))
    return told


def run_plan(
    plan: Plan, pictures: Pictures, out: Path, progress: Progress, cache: Path, notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Run the studies of one ablation and compare what they said."""
    answers = {
        name: run_on(pictures, settings, out / name, progress, cache, notes).answers
        for name, settings in plan.studies.items()
    }
    said = _gather(answers)
    first = next(iter(answers.values()))
    base = next(iter(plan.studies.values()))
    settings = {"n_boot": base.bootstrap, "seed": base.seed}
    scored = evaluate_repeats(first.labels, first.groups, said.p, said.category, said.yes, **settings)
    return {
        "about": plan.about,
        "protocol": first.protocol,
        "n": scored.n,
        "patients": scored.patients,
        "repeats": scored.repeats,
        "class_counts": scored.class_counts,
        "interval": method(scored),
        "notes": [*plan.notes, *scored.notes, *first.notes],
        "variants": {
            name: {
                "figures": {key: figure_json(model.figures[key], first.protocol) for key in SHOWN},
                "fit_seconds": said.fit_seconds[name],
            }
            for name, model in scored.models.items()
        },
        "differences": [
            one
            for reference, others in plan.pairs.items()
            for one in _differences(reference, others, said, first, settings)
        ],
        "learning": _learning(plan, pictures, said) if plan.shares else None,
    }


def _gather(answers: Mapping[str, StudyAnswers]) -> _Said:
    """Models of all studies under one roof: "study/model", or "model" where there is one study."""
    first = next(iter(answers.values()))
    said = _Said({}, {}, {}, {})
    for study, a in answers.items():
        if not (np.array_equal(a.labels, first.labels) and np.array_equal(a.groups, first.groups)):
            raise TrainingError(f"The study {study} of an ablation saw other scans than the first. Remove its folder.")
        for model in a.names:
            if a.kinds[model] == "baseline":
                continue
            name = f"{study}/{model}" if len(answers) > 1 else model
            said.p[name], said.category[name], said.yes[name] = a.p[model], a.category[model], a.yes[model]
            said.fit_seconds[name] = float(np.mean(a.fit_seconds[model]))
    return said


def _differences(
    reference: str, others: Sequence[str], said: _Said, first: StudyAnswers, settings: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Each of `others` minus the reference, paired; p values adjusted over this family."""
    there = [name for name in others if name in said.p]
    if reference not in said.p or not there:
        return []
    kept = [reference, *there]
    parts = [{name: table[name] for name in kept} for table in (said.p, said.category, said.yes)]
    compared = evaluate_repeats(first.labels, first.groups, *parts, **settings, headline=reference)
    found = []
    for name in there:
        one = compared.differences[name]
        found.append(
            {
                "variant": name,
                "minus": reference,
                "figures": {key: figure_json(_turned(one.figures[key]), first.protocol) for key in SHOWN},
                "tests": {
                    key: {"test": t.test, "p": number(t.p), "holm": number(t.adjusted)}
                    for key, t in one.tests.items()
                    if key in SHOWN
                },
            }
        )
    return found


def _turned(figure: Figure) -> Figure:
    """The difference seen from the other side."""
    return replace(figure, value=-figure.value, low=-figure.high, high=-figure.low)


def _learning(plan: Plan, pictures: Pictures, said: _Said) -> dict[str, Any]:
    """Mean training scans of each share, for a curve."""
    scans = {}
    for study, share in plan.shares.items():
        s = plan.studies[study]
        folds = study_folds(
            pictures.labels, pictures.patients, s.repeats, s.folds, s.inner_folds, s.seed, s.train_share
        )
        scans[study] = {"share": share, "train_scans": float(np.mean([len(fold.train) for fold in folds]))}
    models = list(dict.fromkeys(name.split("/", 1)[1] for name in said.p))
    return {"studies": scans, "models": models}


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(file.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
