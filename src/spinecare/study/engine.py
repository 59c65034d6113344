"""The study: a manifest in, answers to every scan by models that had not seen it out. Goes on where it was stopped.

runs/<time>-<name>/
    config.json          what was asked for, and of which data
    cache/               prepared pictures and views, by content
    folds/r0f3.npz       a finished fold; what is there is not done again
    predictions.parquet, scans.parquet, answers.json   see `study.store`
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from spinecare import __version__
from spinecare.errors import TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.members.base import Member
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.study.baselines import baselines
from spinecare.study.fold import FoldJob, do_fold, plain
from spinecare.study.folds import study_folds
from spinecare.study.pool import each
from spinecare.study.scans import study_pictures
from spinecare.study.settings import StudySettings
from spinecare.study.shared import make_view_file, write_shared
from spinecare.study.store import ANSWERS, StudyAnswers, gather, read_answers, write_answers

# Settings that change no answer: a study goes on with others of them.
FREE = ("workers", "bootstrap")
LIBRARIES = ("numpy", "scikit-learn", "torch", "onnxruntime")


@dataclass(frozen=True)
class StudyRun:
    """A finished study: its folder, for `store.read_answers`."""

    folder: Path

    @property
    def answers(self) -> StudyAnswers:
        """What every model said."""
        return read_answers(self.folder)


def run_study(
    manifest: Path, settings: StudySettings, out: Path, progress: Progress = silent, cache: Path | None = None
) -> StudyRun:
    """Check a dataset, prepare its scans, and study them; called again, go on after the last finished fold.

    Parameters
    ----------
    cache
        Where prepared pictures and views are kept, by content, for several studies of one dataset; None: in `out`.

    Raises
    ------
    DatasetError
        When the manifest breaks a rule of evidence; nothing is fitted then.
    TrainingError
        When the folder holds another study, a class has too few groups, or a model cannot be fitted.
    """
    cache = cache or out / "cache"
    pictures, notes = study_pictures(manifest, settings, cache, progress)
    return run_on(pictures, settings, out, progress, cache, notes)


def run_on(
    pictures: Pictures,
    settings: StudySettings,
    out: Path,
    progress: Progress = silent,
    cache: Path | None = None,
    notes: tuple[str, ...] = (),
) -> StudyRun:
    """As `run_study`, of pictures that are prepared already."""
    from spinecare.learn.combine import build_combiner
    from spinecare.learn.members import build_member

    members: dict[str, Member] = {one.name: build_member(one.kind, one.options) for one in settings.members}
    combiners = {one.name: build_combiner(one.kind, one.options) for one in settings.combine}
    joins = {one.name: one.members or tuple(members) for one in settings.combine}
    trivial = baselines()
    kinds = dict.fromkeys(members, "member") | dict.fromkeys(combiners, "combiner") | dict.fromkeys(trivial, "baseline")
    out.mkdir(parents=True, exist_ok=True)
    same_study(out, settings, pictures)
    folds = study_folds(
        pictures.labels, pictures.patients, settings.repeats, settings.folds, settings.inner_folds, settings.seed,
        settings.train_share,
    )  # fmt: skip
    files = [out / "folds" / f"{fold.name}.npz" for fold in folds]
    everyone = members | trivial
    shared = out / "work"
    if not all(file.exists() for file in files) or not (out / ANSWERS).exists():
        cache = cache or out / "cache"
        material = Material(
            pictures, settings.augment, settings.copies, settings.seed, cache / "views", settings.sources
        )
        write_shared(material, shared)
        views, views_ms = _views(everyone, shared, len(pictures.labels), settings, cache, progress)
        jobs = [
            FoldJob(fold, shared.resolve(), views, everyone, combiners, joins, settings.targets, settings.calibration,
                    settings.inner_folds, settings.seed, file)
            for fold, file in zip(folds, files, strict=True)
        ]  # fmt: skip
        _do(jobs, settings.workers, progress)
        spent = {name: sum(views_ms[view] for view in member.views) for name, member in everyone.items()}
        for name, joined in joins.items():
            seen = {view for one in joined for view in members[one].views}
            spent[name] = sum(views_ms[view] for view in seen)
        about = {name: str(getattr(one, "about", "")) for name, one in {**everyone, **combiners}.items()}
        answers = gather(
            folds, files, kinds, pictures.labels, pictures.patients, pictures.rows,
            protocol(pictures, settings), notes, spent, about,
        )  # fmt: skip
        write_answers(answers, out)
        shutil.rmtree(shared)
    return StudyRun(out)


def _do(jobs: list[FoldJob], workers: int, progress: Progress) -> None:
    missing = [job for job in jobs if not job.target.exists()]
    done = len(jobs) - len(missing)
    progress(Step("folds", done, len(jobs), f"{done} were finished before" if done else ""))
    # Closed by hand: an interrupt's traceback would keep the workers running.
    with closing(each(do_fold, missing, workers)) as finished:
        for job, report in finished:
            done += 1
            where = f"repeat {job.fold.repeat + 1}, fold {job.fold.fold + 1}"
            progress(Step("folds", done, len(jobs), f"{where}: {report.seconds:.1f} s, {report.peak_mb:.0f} MB"))


def _views(
    everyone: Mapping[str, Member], shared: Path, n: int, settings: StudySettings, cache: Path, progress: Progress
) -> tuple[dict[str, str], dict[str, float]]:
    """Every view that is read, made once, and the milliseconds a scan that making it takes (kept beside the cache)."""
    names = sorted({view for one in everyone.values() for view in one.views})
    files: dict[str, str] = {}
    spent: dict[str, float] = {}
    with closing(each(partial(_timed_view, shared.resolve()), names, settings.workers)) as made:
        for name, (file, seconds) in made:
            kept = Path(file).with_suffix(".json")
            # From the cache, a view costs nothing; what it once cost is what a scan costs.
            told = json.loads(kept.read_text()) if kept.exists() else {"ms": 1000 * seconds / n / (1 + settings.copies)}
            kept.write_text(json.dumps(told), encoding="utf-8")
            files[name], spent[name] = file, told["ms"]
            progress(Step("views", len(files), len(names), f"{name}: {seconds:.1f} s, {told['ms']:.1f} ms a picture"))
    return files, spent


def _timed_view(shared: Path, name: str) -> tuple[str, float]:
    start = time.perf_counter()
    file = make_view_file(shared, name)
    return file, time.perf_counter() - start


def protocol(pictures: Pictures, settings: StudySettings) -> str:
    """How the answers came about, in a sentence that stands beside every figure."""
    s = settings
    n, units = len(pictures.labels), len(np.unique(pictures.patients))
    cut = f"{s.repeats} x repeated stratified {s.folds}-fold cross-validation" if s.repeats > 1 else (
        f"stratified {s.folds}-fold cross-validation")  # fmt: skip
    share = "" if s.train_share == 1 else f", {s.train_share:.0%} of each training part's groups used"
    return (
        f"{cut} of {n} scans, cut by patient or scan group ({units}); combiners, {s.calibration} calibration and "
        f"thresholds fitted on {s.inner_folds}-fold out-of-fold answers inside each training part{share}; augmented "
        f"copies ({s.copies} a scan) of training scans alone; seed {s.seed}"
    )


def same_study(out: Path, settings: StudySettings, pictures: Pictures) -> None:
    """Write what a study is into `config.json`, or find it there.

    Raises
    ------
    TrainingError
        When the folder holds another study.
    """
    config = {
        "spinecare": __version__,
        "libraries": {name: _version(name) for name in LIBRARIES},
        "data": {"n": len(pictures.labels), "sha256": fingerprint(pictures)},
        "settings": plain(settings.to_json()),
    }
    kept = out / "config.json"
    if kept.exists():
        stored = json.loads(kept.read_text(encoding="utf-8"))
        other = [key for key in ("spinecare", "libraries", "data") if stored.get(key) != config[key]]
        told = stored.get("settings", {})
        other += [key for key, value in config["settings"].items() if key not in FREE and told.get(key) != value]
        if other:
            raise TrainingError(
                f"{out} holds another study (different: {', '.join(other)}). Give another --out, or the same settings."
            )
    kept.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def fingerprint(pictures: Pictures) -> str:
    """SHA-256 of what is learnt from: pixels, labels, groups."""
    key = hashlib.sha256("\x1f".join(pictures.patients.astype(str)).encode())
    for array in (pictures.labels, pictures.images, pictures.raws, pictures.wholes):
        key.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return key.hexdigest()
