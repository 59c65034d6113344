"""The scans of a study: the manifest checked, its scans prepared, one a group if asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spinecare.errors import DatasetError
from spinecare.learn.data import Pictures, load_pictures
from spinecare.learn.level_folder import level_folder
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.study.settings import StudySettings

if TYPE_CHECKING:
    import pandas as pd


def study_pictures(
    manifest: Path, settings: StudySettings, cache: Path, progress: Progress = silent
) -> tuple[Pictures, tuple[str, ...]]:
    """The scans of a study, prepared, and sentences that every report of it must repeat.

    Raises
    ------
    DatasetError
        As `run_study`.
    """
    from spinecare.io.dataset import read_manifest
    from spinecare.io.split import split_notes

    if not manifest.is_file():
        raise DatasetError(f"There is no manifest at {manifest}. Make one with `spinecare dataset make`.")
    # A study cuts for itself; somebody's own split plays no part.
    frame = read_manifest(manifest).drop(columns="split", errors="ignore")
    if settings.check:
        _check(frame, manifest, progress)
    levels = level_folder(settings.levels, cache)
    pictures = load_pictures(
        frame, settings.prepare, cache / "prepared", settings.workers, progress, levels=levels, more=True
    )
    notes = [*split_notes(frame)]
    if pictures.refusals:
        told = ", ".join(f"{code} {n}" for code, n in pictures.refusals.items())
        notes.append(
            f"{len(pictures.refused)} of {len(frame)} scans were left out, as an assessment refuses them: {told}."
        )
    if settings.one_per_group:
        before = len(pictures.labels)
        pictures = first_of_groups(pictures)
        notes.append(f"One scan of each group: {len(pictures.labels)} of {before} usable ones.")
    return pictures, tuple(notes)


def _check(frame: pd.DataFrame, manifest: Path, progress: Progress) -> None:
    from spinecare.io.dataset import check_manifest

    report = check_manifest(frame, lambda done, total: progress(Step("check the dataset", done, total)))
    if not report.ok:
        raise DatasetError(
            f"Nothing was studied: {report} `spinecare dataset check {manifest}` tells all of them. `spinecare dataset "
            f"make {manifest} --out NEW.csv` writes a manifest that puts pictures of one scan into one group."
        )


def first_of_groups(pictures: Pictures) -> Pictures:
    """The first usable scan of each group; scans without a group all stay."""
    rows = pictures.rows
    named = rows["group"].fillna("").astype(str) if "group" in rows else None
    kept = np.ones(len(rows), bool) if named is None else ((named == "") | ~named.duplicated()).to_numpy()
    return take(pictures, np.flatnonzero(kept))


def take(pictures: Pictures, rows: np.ndarray) -> Pictures:
    """Some of the pictures, by position, int (m,)."""
    pixels = {name: getattr(pictures, name) for name in ("images", "raws", "wholes")}
    return replace(
        pictures,
        rows=pictures.rows.iloc[rows].reset_index(drop=True),
        labels=pictures.labels[rows],
        patients=pictures.patients[rows],
        **{name: None if array is None else array[rows] for name, array in pixels.items()},
    )
