"""From the answers of the fits to the numbers of the table: each side's accuracy and AUC, split by split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinecare.evaluate.metrics import auc
from spinecare.learn.material import Material
from spinecare.scan import LABELS
from spinecare.study.claims_settings import TASKS, ClaimsSettings, Task
from spinecare.study.claims_work import SIDES, Answers, Job, jobs_of, labels_of, read_answers, split_of
from spinecare.study.folds import seed_of

STACK = "stack"


def scores(p: np.ndarray, labels: np.ndarray, task: Task, own: bool) -> dict[str, float]:
    """Accuracy and AUC of probabilities (m, 3) for three-class labels int (m,).

    Parameters
    ----------
    own
        The member was fitted on this very task, and its last class is the yes; otherwise the classes that count as yes
        are added up.

    Returns
    -------
    `accuracy` of the likelier answer, `auc` of yes against no; with three classes the mean of each against the rest.
    """
    if not task.positive:
        each = [float(auc(labels == k, p[:, k])) for k in range(len(LABELS))]
        return {"accuracy": float((p.argmax(axis=1) == labels).mean()), "auc": float(np.mean(each))}
    yes = p[:, -1] if own else p[:, list(task.positive)].sum(axis=1)
    truth = np.isin(labels, task.positive)
    return {"accuracy": float(((yes > 0.5) == truth).mean()), "auc": float(auc(truth, yes))}


def summary(values: list[float]) -> dict[str, Any]:
    """Mean, least and largest over splits; splits where it is not defined (a class is absent) are left out."""
    known = [v for v in values if np.isfinite(v)]
    if not known:
        return {"mean": None, "low": None, "high": None, "splits": 0, "values": []}
    return {"mean": float(np.mean(known)), "low": min(known), "high": max(known), "splits": len(known), "values": known}


def all_scores(material: Material, settings: ClaimsSettings, work: Path) -> dict[str, Any]:
    """Every figure of the table.

    Returns
    -------
    member → task → side ("leak", "honest", "leak_shuffled", "honest_shuffled") → {"accuracy", "auc"} summaries,
    "n_test" (mean pictures in a test part) and "fit_seconds" (mean).
    """
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    jobs = jobs_of(settings)
    answers = {job: read_answers(job, work) for job in jobs}
    for job in jobs + _stack_jobs(settings):
        three = labels_of(material.labels, material.groups, job, settings.seed)
        split = split_of(three, material.groups, job, settings)
        if job.member == STACK:
            units = material.groups if job.side == "honest" else np.arange(len(three)).astype(str)
            p, seconds = _stacked(answers, job, three, units, split.val, settings)
            own, tasks = False, list(TASKS)
        else:
            own = settings.members[job.member].per_task
            p, seconds = answers[job].test, answers[job].fit_seconds
            tasks = [job.task] if own else list(TASKS)
        for task in tasks:
            told = scores(p, three[split.test], TASKS[task], own)
            side = job.side + "_shuffled" * job.shuffled
            found.setdefault((job.member, task, side), []).append(
                told | {"n_test": len(split.test), "fit_seconds": seconds}
            )
    table: dict[str, Any] = {}
    for (member, task, side), told in found.items():
        columns = {key: [one[key] for one in told] for key in told[0]}
        table.setdefault(member, {}).setdefault(task, {})[side] = {
            "accuracy": summary(columns["accuracy"]),
            "auc": summary(columns["auc"]),
            "n_test": float(np.mean(columns["n_test"])),
            "fit_seconds": float(np.mean(columns["fit_seconds"])),
        }
    return table


def majority(material: Material, settings: ClaimsSettings) -> dict[str, Any]:
    """Task → side → accuracy of always saying the training part's most frequent class."""
    found: dict[str, Any] = {}
    for name, task in TASKS.items():
        asked = np.isin(material.labels, task.positive).astype(int) if task.positive else material.labels
        for side in SIDES:
            values = []
            for number in range(settings.splits):
                split = split_of(material.labels, material.groups, Job(side, False, number, "", name), settings)
                most = np.bincount(asked[split.train]).argmax()
                values.append(float((asked[split.test] == most).mean()))
            found.setdefault(name, {})[side] = summary(values)
    return found


def _stack_jobs(settings: ClaimsSettings) -> list[Job]:
    joined = [settings.members[name] for name in settings.stack if name in settings.members]
    if len(joined) < 2:
        return []
    splits = min(settings.splits if one.splits is None else min(one.splits, settings.splits) for one in joined)
    return [Job(side, False, split, STACK, "three") for split in range(splits) for side in SIDES]


def _stacked(
    answers: Mapping[Job, Answers],
    job: Job,
    labels: np.ndarray,
    groups: np.ndarray,
    val: np.ndarray,
    settings: ClaimsSettings,
) -> tuple[np.ndarray, float]:
    """The stack's probabilities on the test part, learnt from the members' answers to the validation part."""
    from spinecare.learn.combine import COMBINERS

    names = [name for name in settings.stack if name in settings.members]
    said = {name: answers[Job(job.side, job.shuffled, job.split, name, "three")] for name in names}
    start = time.perf_counter()
    seed = seed_of(settings.seed, STACK, job.split)
    joined = COMBINERS["stack"]().fit({name: one.val for name, one in said.items()}, labels[val], groups[val], seed)
    seconds = time.perf_counter() - start
    return joined({name: one.test for name, one in said.items()}), seconds
