"""The claims table: the published protocol and an honest one, on the same pictures, with the same members.

Published: each picture is augmented eleven-fold, and then single augmented pictures are split 70/10/20 at random, so
that nearly every test picture has copies of itself in training. Honest: scan groups are split first; the training and
validation groups are augmented, the test part holds pictures of groups that nothing was fitted on, as they are.

RUN/
    config.json           what was asked for, and of which data
    prepared/, views/     prepared pictures; views of all copies
    shared/               all copies; gone when the run is done
    work/                 one file a fit: a resumed run goes on behind the last
    claims.json, claims.md, claims.svg
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare import __version__
from spinecare.errors import DatasetError, TrainingError
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.scan import LABELS
from spinecare.study.claims_settings import TASKS, ClaimsSettings

if TYPE_CHECKING:
    from spinecare.learn.data import Pictures

PUBLISHED = Path(__file__).parent / "claims.json"


@dataclass(frozen=True)
class ClaimsRun:
    """A finished run: its folder, its page, and what stands in claims.json."""

    folder: Path
    page: Path
    document: dict[str, Any]


def run_claims(manifest: Path, out: Path, settings: ClaimsSettings, progress: Progress = silent) -> ClaimsRun:
    """Fit every member on both sides of every split, and write the table.

    Called again with the same arguments after an interrupt it goes on behind the last finished fit, and ends with the
    numbers of an uninterrupted run. With real labels it is a look at them (DESIGN 5.2).

    Raises
    ------
    TrainingError
        When the folder holds another run, a class has too few groups, or a member's weights are missing.
    DatasetError
        When the manifest breaks a rule of evidence.
    """
    from spinecare.io.dataset import read_manifest
    from spinecare.learn.data import load_pictures
    from spinecare.learn.level_folder import level_folder

    out.mkdir(parents=True, exist_ok=True)
    _same_run(manifest, out, settings)
    frame = read_manifest(manifest)
    if settings.check:
        _check(frame, progress)
    masked = settings.shown == "prepared"
    levels = level_folder(settings.levels, out)
    pictures = load_pictures(
        frame, settings.prepare, out / "prepared", settings.workers, progress, levels, more=True, masked=masked
    )
    return claims_of(pictures, out, settings, progress)


def claims_of(pictures: Pictures, out: Path, settings: ClaimsSettings, progress: Progress = silent) -> ClaimsRun:
    """The same from prepared pictures."""
    from spinecare.study.claims_page import write_page
    from spinecare.study.claims_pictures import shown_pictures, spread
    from spinecare.study.claims_scores import all_scores, majority
    from spinecare.study.claims_work import do, jobs_of
    from spinecare.study.pool import each, one_thread
    from spinecare.study.shared import open_shared, write_shared

    start = time.perf_counter()
    _enough(pictures)
    about = _about(settings)
    shared, work = out / "shared", out / "work"
    work.mkdir(parents=True, exist_ok=True)
    if not (shared / "material.json").exists():
        with one_thread():
            write_shared(spread(shown_pictures(pictures, settings), settings, out / "views"), shared)
    views = _views(shared, settings, progress)
    jobs = jobs_of(settings)
    todo = [job for job in jobs if not (work / f"{job.name}.npz").exists()]
    fit = partial(do, shared=shared, views=views, settings=settings, work=work)
    progress(Step("claims", len(jobs) - len(todo), len(jobs)))
    for done, (job, _) in enumerate(each(fit, todo, settings.workers), len(jobs) - len(todo) + 1):
        progress(Step("claims", done, len(jobs), job.name))
    material = open_shared(shared)
    with one_thread():
        table = all_scores(material, settings, work)
    shutil.rmtree(shared)
    document = {
        "schema": "spinecare.claims/1",
        "spinecare": __version__,
        "data": _data(pictures),
        "settings": json.loads(json.dumps(settings.to_json(), default=str)),
        "tasks": {name: task.about for name, task in TASKS.items()},
        "members": about,
        "published": json.loads(PUBLISHED.read_text(encoding="utf-8")),
        "majority": majority(material, settings),
        "table": table,
        # Of this call: a resumed run has less to do.
        "seconds": round(time.perf_counter() - start, 1),
    }
    return ClaimsRun(out, write_page(document, out), document)


def _views(shared: Path, settings: ClaimsSettings, progress: Progress) -> dict[str, str]:
    """View → its file, each made once for all fits."""
    from spinecare.study.claims_members import claim_member
    from spinecare.study.pool import each
    from spinecare.study.shared import make_view_file

    names = sorted({view for one in settings.members.values() for view in claim_member(one).views})
    found: dict[str, str] = {}
    progress(Step("views", 0, len(names)))
    for name, file in each(partial(make_view_file, shared), names, settings.workers):
        found[name] = file
        progress(Step("views", len(found), len(names), name))
    return found


def _about(settings: ClaimsSettings) -> dict[str, str]:
    """Each member in a line; refuses unknown kinds and options before hours are spent."""
    from spinecare.study.claims_members import claim_member

    return {name: claim_member(one).about for name, one in settings.members.items()}


def _data(pictures: Pictures) -> dict[str, Any]:
    counts = np.bincount(pictures.labels, minlength=len(LABELS))
    return {
        "pictures": len(pictures.labels),
        "groups": len(np.unique(pictures.patients)),
        "labels": {str(label): int(n) for label, n in zip(LABELS, counts, strict=True)},
        "refused": pictures.refusals,
    }


def _enough(pictures: Pictures) -> None:
    for number, label in enumerate(LABELS):
        n = len(np.unique(pictures.patients[pictures.labels == number]))
        if n < 3:
            raise TrainingError(f"Class {label} has {n} scan groups; a split needs 3 or more. Give more scans.")


def _check(frame: Any, progress: Progress) -> None:
    from spinecare.io.dataset import check_manifest

    report = check_manifest(frame, lambda done, total: progress(Step("check the dataset", done, total)))
    if not report.ok:
        raise DatasetError(f"Nothing was fitted: {report} See `spinecare dataset check`.")


def _same_run(manifest: Path, out: Path, settings: ClaimsSettings) -> None:
    if not manifest.is_file():
        raise DatasetError(f"There is no manifest at {manifest}. Make one with `spinecare dataset make`.")
    config = {
        "spinecare": __version__,
        "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "settings": json.loads(json.dumps(settings.to_json(), default=str)),
    }
    kept = out / "config.json"
    if not kept.exists():
        kept.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        return
    stored = json.loads(kept.read_text(encoding="utf-8"))
    other = sorted(key for key in config if stored.get(key) != config[key])
    if other:
        raise TrainingError(
            f"{out} holds another run (different: {', '.join(other)}). Give another --out, or the same settings."
        )
