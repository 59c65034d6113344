"""Members and combiners fitted on so many virtual people: each size and draw is a fold of a study, done as one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.crossval import cuts
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings, Progress, Step
from spinecare.study.bounds_tables import Tables, frozen_members
from spinecare.study.fold import FoldJob, do_fold, read_fold
from spinecare.study.folds import OuterFold
from spinecare.study.pool import each
from spinecare.study.settings import StudySettings
from spinecare.study.shared import write_shared


@dataclass(frozen=True, eq=False)
class Size:
    """A draw of so many people to learn from; `rows` of the tables, some fewer where people were refused."""

    size: int
    draw: int
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Said:
    """Answers to the test people after one draw: model → p (m, 3), category (m,); `fitted` people learnt from."""

    size: int
    draw: int
    fitted: int
    p: dict[str, np.ndarray]
    category: dict[str, np.ndarray]


def fit_sizes(
    tables: Tables,
    sizes: list[Size],
    test: np.ndarray,
    study: StudySettings,
    seed: int,
    out: Path,
    progress: Progress,
) -> list[Said]:
    """Fit everything at every size, several at a time, and ask about the same test people; finished ones are kept.

    Parameters
    ----------
    test
        Rows of the tables.

    Raises
    ------
    TrainingError
        When a model cannot be fitted, or no combiner has a member left.
    """
    import pandas as pd

    from spinecare.learn.combine import build_combiner

    members = frozen_members(study)
    joins = {one.name: tuple(n for n in one.members or members if n in members) for one in study.combine}
    joins = {name: kept for name, kept in joins.items() if kept}
    combiners = {one.name: build_combiner(one.kind, one.options) for one in study.combine if one.name in joins}
    views = {name: str(file.resolve()) for name, file in tables.views.items()}
    told = [asdict(one) for one in (*study.members, *study.combine)]
    what = [told, views, study.calibration, study.inner_folds, asdict(study.targets), seed, test.tolist()]

    n = len(tables.labels)
    nothing = pd.DataFrame({"path": tables.people})
    blank = Pictures(
        nothing, np.zeros((n, 1, 1), np.float32), tables.labels, tables.people, nothing.iloc[:0].assign(code="")
    )
    shared = (out / "fits" / "work").resolve()
    write_shared(Material(blank, AugmentSettings(), 0, seed, out / "views", study.sources), shared)

    jobs, sizes = [], sorted(sizes, key=lambda one: -one.size)  # the longest first, so that none is waited for alone
    for one in sizes:
        train = np.sort(one.rows)
        if np.intersect1d(train, test).size:
            raise TrainingError("Somebody is among those learnt from and among those asked about. This is a fault.")
        inner = cuts(train, tables.labels, tables.people, study.inner_folds, 0.5, seed)
        fold = OuterFold(one.draw, one.size, train, test, tuple((cut.fit, cut.unseen) for cut in inner))
        file = out / "fits" / f"{one.size}-{one.draw}-{_key([what, train.tolist()])}.npz"
        jobs.append(
            FoldJob(
                fold=fold,
                shared=shared,
                views=views,
                members=members,
                combiners=combiners,
                joins=joins,
                targets=study.targets,
                calibration=study.calibration,
                inner_folds=study.inner_folds,
                seed=seed,
                target=file,
            )
        )
    missing = [job for job in jobs if not job.target.exists()]
    done = len(jobs) - len(missing)
    progress(Step("sizes", done, len(jobs)))
    for job, report in each(do_fold, missing, study.workers):
        done += 1
        progress(Step("sizes", done, len(jobs), f"{job.fold.fold} people: {report.seconds:.0f} s"))
    return [_said(job) for job in reversed(jobs)]


def _said(job: FoldJob) -> Said:
    told, arrays = read_fold(job.target)
    p = dict(zip(told["models"], arrays["p"], strict=True))
    category = dict(zip(told["models"], arrays["category"], strict=True))
    return Said(job.fold.fold, job.fold.repeat, len(job.fold.train), p, category)


def _key(told: object) -> str:
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:12]
