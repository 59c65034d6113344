"""The two bounds beside which a study's figures stand (DESIGN 5.4), from virtual patients.

Measurement error: the T-score of a second, repositioned scan of the same people against the label of the first. Who
knew everything that a repeated measurement knows would be right so often, and no more.

The windowed picture: the same members and combiners, fitted on ever more virtual people in the Hologic rendering and
asked about others: a learning curve, whose end shows what thousands of pictures teach of what one of them still holds.

    OUT/prepared/, OUT/tables/   pictures and views, of some people at a time, so that memory stays small
    OUT/second.jsonl             the second scans, one a line
    OUT/fits/                    answers to the test people, one file a size and draw
    OUT/bounds.json, OUT/bounds.md

All of it goes on where it was stopped, and a changed list of members leaves views that are made as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare.errors import DatasetError
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.learn.seen import seen_by_bundle
from spinecare.scan import LABELS
from spinecare.study.bounds_fits import Size, fit_sizes
from spinecare.study.bounds_page import bounds_page
from spinecare.study.bounds_scores import scores
from spinecare.study.bounds_second import second_scans
from spinecare.study.bounds_tables import frozen_members, tables_of
from spinecare.study.settings import StudySettings

if TYPE_CHECKING:
    import pandas as pd

RESULT, PAGE = "bounds.json", "bounds.md"
DEVICE = "virtual Hologic"


@dataclass(frozen=True)
class BoundSettings:
    """How the bounds are measured.

    sizes
        Virtual people to learn from.
    draws
        How often a size is drawn, nobody twice, as far as the pool goes round: what a hundred people teach depends on
        who they are.
    test
        Held-out people, with the cohort's class shares; those of the manifest's test part where it has a split.
    second
        So many of them are scanned again; 0 leaves the first bound out.
    mix
        Class shares of the data that the bounds will stand beside; test people are weighted to them. None: as they are.
    """

    sizes: tuple[int, ...] = (127, 1_000, 4_000, 8_000)
    draws: int = 5
    test: int = 900
    second: int = 900
    mix: Mapping[str, float] | None = None
    seed: int = 1


def bounds(
    manifest: Path,
    study: StudySettings,
    out: Path,
    settings: BoundSettings = BoundSettings(),
    progress: Progress = silent,
    split: Path | None = None,
) -> dict[str, Any]:
    """Measure both bounds on a cohort of virtual patients, and write `bounds.json` and `bounds.md`.

    Parameters
    ----------
    manifest
        Of `spinecare phantom make --balance`, or of a training run's cohort; its people in the Hologic rendering are
        taken. `cohort.json` must lie beside their pictures' folder for the second scans.
    study
        Its members on frozen views, its combiners, headline, calibration, `levels`, `prepare`, `sources`,
        `inner_folds`, `workers` and `bootstrap` are taken. Views have no augmented copies.

    split
        `split.csv` of the training run whose cohort this is; None: the manifest's own column, if any.

    Returns
    -------
    What was written.

    Raises
    ------
    DatasetError
        When the manifest has too few such people, or its people cannot be scanned again.
    TrainingError
        When no member reads a frozen view, or one cannot be fitted.
    """
    frame = hologic_people(manifest)
    if split is not None:
        frame = _with_split(frame, split)
    test, pool = held_out(frame, settings)
    _unseen(frame.iloc[test], study)
    second = second_scans(frame.iloc[test[: settings.second]], out, study.workers, progress)
    tables = tables_of(frame, study, out, progress)
    # Rows of the frame → rows of the tables, which lack those that preparation refused.
    where = np.full(len(frame), -1)
    where[tables.kept] = np.arange(len(tables.kept))
    sizes = [
        Size(size, number, where[rows][where[rows] >= 0])
        for size in sorted(settings.sizes)
        for number, rows in enumerate(stretches(pool, size, settings.draws))
    ]
    asked = np.sort(where[test][where[test] >= 0])
    said = fit_sizes(tables, sizes, asked, study, settings.seed, out, progress)
    progress(Step("evaluate", 0, 1))
    told = {"manifest": str(manifest), "refused": len(frame) - len(tables.kept)}
    told |= scores(tables.labels[asked], said, second, study, settings.mix, settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / RESULT).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (out / PAGE).write_text(bounds_page(told), encoding="utf-8")
    progress(Step("evaluate", 1, 1))
    return told


def hologic_people(manifest: Path) -> pd.DataFrame:
    """The rows of a cohort's manifest that are in the Hologic rendering.

    Raises
    ------
    DatasetError
        When there are none.
    """
    from spinecare.io.dataset import read_manifest

    frame = read_manifest(manifest)
    mine = (frame["device"] == DEVICE).to_numpy() if "device" in frame else np.zeros(len(frame), dtype=bool)
    if not mine.any():
        raise DatasetError(f"{manifest} has nobody in the virtual Hologic rendering; see `spinecare phantom make`.")
    return frame[mine].reset_index(drop=True)


def _with_split(frame: pd.DataFrame, split: Path) -> pd.DataFrame:
    """The rows with the parts of a training run; whom it left out are learnt from, not tested."""
    from spinecare.io.manifest import read_table

    table = read_table(split)
    if not {"patient", "split"} <= set(table.columns):
        raise DatasetError(f"{split} is no split.csv of a training run: it needs the columns patient and split.")
    part = dict(zip(table["patient"].astype(str), table["split"].astype(str), strict=True))
    names = [part.get(str(key), part.get(f"patient:{key}", "")) for key in frame["patient_id"]]
    if "test" not in names:
        raise DatasetError(f"{split} has nobody of this manifest in its test part. Give that of the cohort's own run.")
    return frame.assign(split=[name or "left out" for name in names])


def held_out(frame: pd.DataFrame, settings: BoundSettings) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the test people and of the pool, each in a drawn order of which every stretch has the class shares.

    Where the manifest has a split, its test people are taken from the test part, and the pool from what is not.

    Raises
    ------
    DatasetError
        When the pool is smaller than the largest size.
    """
    order = np.random.default_rng(settings.seed).permutation(len(frame))
    label = frame["label"].to_numpy().astype(str)[order]
    place = np.zeros(len(frame))
    for name in LABELS:
        mine = label == str(name)
        place[mine] = (np.arange(mine.sum()) + 0.5) / max(1, mine.sum())
    rows = order[np.argsort(place, kind="stable")]
    split = frame["split"].to_numpy().astype(str)[rows] if "split" in frame else np.full(len(rows), "")
    kept = split == "test" if (split != "").any() else np.ones(len(rows), dtype=bool)
    test = rows[kept][: settings.test]
    pool = rows[~kept] if (split != "").any() else rows[settings.test :]
    if len(test) < settings.test or len(pool) < max(settings.sizes):
        raise DatasetError(
            f"{len(frame)} virtual people are too few for {settings.test} to test and {max(settings.sizes)} to learn "
            "from. Make more, or ask for smaller sizes."
        )
    return test, pool


def _unseen(test: pd.DataFrame, study: StudySettings) -> None:
    """Refuse test people whom the networks behind frozen views were trained on; a split tells them apart."""
    reads = {view for member in frozen_members(study).values() for view in member.views}
    if not any(view.startswith("virtual") for view in reads) or "split" in test:
        return
    seen = int(seen_by_bundle(test, study.sources).sum())
    if seen:
        raise DatasetError(
            f"{seen} of the people to test are of the cohort that the bundle's networks were trained on. Add the "
            "column split of that training (its split.csv) to the manifest, take a cohort of another seed, or leave "
            "members on virtual views out."
        )


def stretches(pool: np.ndarray, size: int, draws: int) -> list[np.ndarray]:
    """Up to `draws` stretches of the pool that share nobody."""
    return [pool[i * size : (i + 1) * size] for i in range(min(draws, len(pool) // size))]
