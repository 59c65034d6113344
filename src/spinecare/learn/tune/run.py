"""Options of members, combiners and augmentation searched with Optuna, by folds inside the rows that may be looked at.

A search lives in a storage (SQLite by default, or any URL that SQLAlchemy knows), so it can be stopped, gone on with,
and shared by several machines: each draws its next trial by what all have found. It ends with a study config.

    RUN/search.json    what was asked for, and of which data
    RUN/search.db      the storage, unless another was named
    RUN/prepared/, RUN/views/    caches
    RUN/tuned.toml, RUN/tuned.json, RUN/trials.csv    the outcome, after each finished trial
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from spinecare import __version__
from spinecare.errors import DatasetError, TrainingError
from spinecare.learn.level_folder import level_folder
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings, Progress, Step, silent
from spinecare.learn.seen import seen_by_bundle
from spinecare.learn.tune.folds import OBJECTIVES, Folds, without
from spinecare.learn.tune.outcome import Tuned, write_outcome
from spinecare.learn.tune.search import SearchSettings, choose, open_options
from spinecare.learn.tune.storage import open_search, quiet

if TYPE_CHECKING:
    import optuna
    import pandas as pd

# Kinds of members whose base is the bundle's unless `start` says otherwise.
NETWORKS = ("cnn", "vgg16", "resnet_forest")


def tune(
    manifest: Path,
    out: Path,
    search: SearchSettings,
    trials: int = 50,
    storage: str | None = None,
    virtual: bool = False,
    progress: Progress = silent,
) -> Tuned:
    """Search on a manifest's training part until so many trials are finished; call again to go on, or beside to share.

    Parameters
    ----------
    manifest
        With a `split` column: only its `train` rows are read at all.
    out
        Run folder. Several machines give each its own, and one `storage`.
    trials
        Finished or pruned ones in the storage, whoever ran them; a killed one does not count.
    storage
        URL; None: SQLite in `out`.
    virtual
        The manifest holds virtual patients, so that all its rows may be searched on when it has no `split`.

    Raises
    ------
    DatasetError
        For a manifest with neither, or one that breaks a rule of evidence.
    TrainingError
        When folder or storage hold another search, or options cannot be built.
    """
    from spinecare.io.dataset import check_manifest, read_manifest
    from spinecare.learn.data import load_pictures

    frame = training_rows(read_manifest(manifest), virtual)
    if reads_bundle(search) and seen_by_bundle(frame, search.sources).any():
        raise DatasetError(
            "The bundle whose networks are searched with was trained on people of this manifest, so they look easier "
            "than anybody else. Search on a cohort of another seed, or without these members."
        )
    out.mkdir(parents=True, exist_ok=True)
    data = {"manifest": manifest.name, "sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(), "virtual": virtual}
    _same_search(out, search, data)
    report = check_manifest(frame, lambda done, total: progress(Step("check the dataset", done, total)))
    if not report.ok:
        raise DatasetError(f"Nothing was tuned: {report} See `spinecare dataset check`.")
    levels = level_folder(search.levels, out)
    pictures = load_pictures(
        frame, search.prepare, out / "prepared", search.workers, progress, levels=levels, more=True
    )
    material = Material(pictures, AugmentSettings(), 0, search.seed, out / "views", search.sources)
    return tune_rows(material, np.arange(len(pictures.labels)), out, search, trials, storage, data, progress)


def training_rows(frame: pd.DataFrame, virtual: bool) -> pd.DataFrame:
    """The rows of a manifest that a choice may rest on (DESIGN 5.2): its training part, or virtual patients.

    Raises
    ------
    DatasetError
        When there is no training part and these are not said to be virtual patients, or visibly are none.
    """
    if "split" in frame and (frame["split"] != "").any():
        train = frame[frame["split"] == "train"].reset_index(drop=True)
        if not len(train):
            raise DatasetError("No row of the manifest has split train, and tuning may look at nothing else.")
        return train
    if not virtual:
        raise DatasetError(
            "The manifest has no split, and options chosen on all its rows would flatter every later figure on them. "
            "Make a training part with `spinecare dataset split`, or say that these are virtual patients."
        )
    if "device" in frame and not frame["device"].str.startswith("virtual").all():
        raise DatasetError(
            "Not every row of the manifest comes from a virtual device, so these are not virtual patients alone. "
            "Make a training part with `spinecare dataset split`."
        )
    return frame


def reads_bundle(search: SearchSettings) -> bool:
    """Whether anything that is searched may read networks trained on virtual patients."""
    members = [options for path, options in search.needed().items() if path.startswith("members.")]
    told = [str(options.get("start", "virtual")) for options in members if options["kind"] in NETWORKS]
    return any("virtual" in start for start in told) or any("virtual_" in str(options) for options in members)


def tune_rows(
    material: Material,
    rows: np.ndarray,
    out: Path,
    search: SearchSettings,
    trials: int,
    storage: str | None = None,
    data: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> Tuned:
    """The search itself, on `rows` of a material: nothing else in it is fitted on or asked about.

    Parameters and errors as in `tune`; `data` says in the outcome what was searched on.
    """
    import optuna

    if search.objective not in OBJECTIVES:
        raise TrainingError(f"There is no objective {search.objective!r}. Choose from {', '.join(OBJECTIVES)}.")
    if not open_options(search):
        raise TrainingError(f"Nothing that {search.headline!r} needs is open. Give an option {{low, high}} or choices.")
    out.mkdir(parents=True, exist_ok=True)
    folds = Folds(material, rows, search)
    # One thread: several add their sums up in another order, and machines that share a search differ in cores.
    with quiet(), threadpool_limits(1):
        study = open_search(storage or f"sqlite:///{(out / 'search.db').resolve()}", search, data or {})
        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        while (done := len(study.get_trials(deepcopy=False, states=states))) < trials:
            progress(Step("tune", done, trials, _best(study)))
            study.optimize(lambda trial: folds.score(trial, choose(trial, search)), n_trials=1)
            write_outcome(study, search, data or {}, len(rows), out)
        progress(Step("tune", trials, trials, _best(study)))
        return write_outcome(study, search, data or {}, len(rows), out)


def _same_search(out: Path, search: SearchSettings, data: dict[str, Any]) -> None:
    asked = json.loads(json.dumps({"spinecare": __version__, "search": search.to_json(), "data": data}))
    kept = out / "search.json"
    if kept.exists():
        there = json.loads(kept.read_text(encoding="utf-8"))
        if there["data"] != asked["data"] or without(there["search"], "workers") != without(asked["search"], "workers"):
            raise TrainingError(f"{out} holds another search. Give another --out, or the same settings and data.")
        return
    kept.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")


def _best(study: optuna.Study) -> str:
    done = any(t.state.name == "COMPLETE" for t in study.get_trials(deepcopy=False))
    return f"best {study.best_value:.4f}" if done else ""
