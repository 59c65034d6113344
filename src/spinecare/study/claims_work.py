"""One fit of the claims: a member, a side, a split, a task; its answers in one file, which a resumed run finds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from spinecare.scan import LABELS
from spinecare.study.claims_members import claim_member
from spinecare.study.claims_pictures import Split, honest_split, leaky_split, shuffled_labels
from spinecare.study.claims_settings import TASKS, ClaimsSettings
from spinecare.study.folds import seed_of
from spinecare.study.shared import blind, open_shared, with_views

Side = Literal["leak", "honest"]
SIDES: tuple[Side, ...] = ("leak", "honest")


@dataclass(frozen=True)
class Job:
    """One fit. `shuffled`: on labels that were dealt out anew among the groups."""

    side: Side
    shuffled: bool
    split: int
    member: str
    task: str

    @property
    def name(self) -> str:
        """Of its file."""
        return "-".join([self.side, *["shuffled"] * self.shuffled, f"s{self.split}", self.member, self.task])


@dataclass(frozen=True, eq=False)
class Answers:
    """A member's probabilities, float64 (m, 3), of the rows that the stack learns from and of the test part."""

    val: np.ndarray
    test: np.ndarray
    fit_seconds: float


def jobs_of(settings: ClaimsSettings) -> list[Job]:
    """Every fit of a run, split by split, the dear members first: an interrupted run has whole splits."""
    found = []
    for split in range(settings.splits):
        for name, member in settings.members.items():
            if member.splits is not None and split >= member.splits:
                continue
            tasks = list(TASKS) if member.per_task else ["three"]
            found += [Job(side, False, split, name, task) for side in SIDES for task in tasks]
            if settings.shuffled and member.splits is None:
                found += [Job(side, True, split, name, "three") for side in SIDES]
    return found


def labels_of(labels: np.ndarray, groups: np.ndarray, job: Job, seed: int) -> np.ndarray:
    """The three-class labels of a job, int (n,): the pictures' own, or shuffled anew for each split."""
    return shuffled_labels(labels, groups, seed_of(seed, "shuffle", job.split)) if job.shuffled else labels


def split_of(labels: np.ndarray, groups: np.ndarray, job: Job, settings: ClaimsSettings) -> Split:
    """The split of a job: the same for every member and task of a side."""
    seed = seed_of(settings.seed, "split", job.split)
    if job.side == "leak":
        return leaky_split(len(labels), seed)
    return honest_split(labels, groups, settings.copies, seed)


def do(job: Job, shared: Path, views: Mapping[str, str], settings: ClaimsSettings, work: Path) -> None:
    """Fit, answer, and write `work/<name>.npz`, whole or not at all."""
    material = open_shared(shared)
    groups = material.groups
    three = labels_of(material.labels, groups, job, settings.seed)
    split = split_of(three, groups, job, settings)
    positive = TASKS[job.task].positive
    # A question of two is asked as one of three whose middle class never comes.
    asked = np.where(np.isin(three, positive), len(LABELS) - 1, 0) if positive else three
    # What minds groups inside a member (its own folds, its bootstrap) is not told of them on the published side.
    units = groups if job.side == "honest" else np.arange(len(groups)).astype(str)
    told = replace(material, pictures=replace(material.pictures, labels=asked, patients=units))
    seen = blind(with_views(told, views), split.train)
    start = time.perf_counter()
    fitted = claim_member(settings.members[job.member]).fit(seen, split.train, seed_of(settings.seed, "fit", job.split))
    seconds = time.perf_counter() - start
    part = work / f"{job.name}.part"
    with part.open("wb") as stream:
        np.savez(stream, val=fitted(split.val), test=fitted(split.test), fit_seconds=seconds)
    part.replace(work / f"{job.name}.npz")


def read_answers(job: Job, work: Path) -> Answers:
    """What `do` wrote."""
    with np.load(work / f"{job.name}.npz", allow_pickle=False) as kept:
        return Answers(kept["val"], kept["test"], float(kept["fit_seconds"]))
