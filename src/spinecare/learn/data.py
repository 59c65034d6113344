"""A manifest's scans, prepared once and kept beside the run. Knows no torch: worker processes stay light."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spinecare import __version__
from spinecare.errors import DatasetError, ScanError
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.scan import LABELS, Float32, Refused
from spinecare.settings import PrepareSettings, RuntimeSettings

if TYPE_CHECKING:
    import pandas as pd

    from spinecare.prepare.locate import Locator

CHUNK = 200
PARTS = ("train", "val", "test")


class Seen(NamedTuple):
    """What became of one scan: its picture float16 (height, width), or the code of its refusal."""

    picture: np.ndarray | None
    code: str


@dataclass(frozen=True, eq=False)
class Pictures:
    """The scans that training can use.

    rows
        The manifest's rows of these scans, in its order, index 0 ... n - 1.
    images
        float32 (n, height, width) in [0, 1].
    labels
        int64 (n,), positions in `LABELS`.
    patients
        str (n,): the unit that no cut may divide (patient, else scan group; see `io.split.units_of`).
    refused
        Rows left out, with their `code`.
    """

    rows: pd.DataFrame
    images: Float32
    labels: np.ndarray
    patients: np.ndarray
    refused: pd.DataFrame

    def part(self, name: str) -> np.ndarray:
        """Positions of the rows whose split is `name`."""
        return np.flatnonzero(self.rows["split"].to_numpy() == name)

    @property
    def refusals(self) -> dict[str, int]:
        """How many scans were left out, by code."""
        return dict(sorted(Counter(self.refused["code"]).items()))


@functools.cache
def _locator(levels: str | None) -> Locator:
    from spinecare.bundle.read import open_level_network
    from spinecare.learn.levels_data import MODEL_FILE, read_levels
    from spinecare.prepare.network import locator

    if levels is None:
        return locator(None)
    content = (Path(levels) / MODEL_FILE).read_bytes()
    # One thread: as many of these processes work side by side as there are cores.
    return locator(open_level_network(read_levels(Path(levels)), content, RuntimeSettings(threads=1)))


def see(path: str, settings: PrepareSettings, levels: str | None = None) -> Seen:
    """One scan taken exactly the way that an assessment takes it, up to the prepared picture.

    `levels` is the folder of a level network, or None where the bundle will have none.
    """
    from spinecare.io.read import read_scan
    from spinecare.prepare.pipeline import find_levels, prepare
    from spinecare.quality.checks import check, refuse
    from spinecare.quality.gate import gate

    try:
        scan = read_scan(path)
    except ScanError as error:
        return Seen(None, f"unreadable: {error.code}")
    found = find_levels(scan, _locator(levels))
    refused = gate(scan, found)
    if refused is not None:
        return Seen(None, refused.code)
    prepared = prepare(scan, settings, found)
    if isinstance(prepared, Refused):
        return Seen(None, prepared.code)
    refused = refuse(check(prepared))
    if refused is not None:
        return Seen(None, refused.code)
    return Seen(prepared.image.astype(np.float16), "")


def with_split(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The manifest's own split where every row has one, else 70/10/20 by patient."""
    if "split" in frame and frame["split"].isin(PARTS).all():
        return frame
    from spinecare.io.dataset import split_manifest

    return split_manifest(frame, seed=seed)


def load_pictures(
    frame: pd.DataFrame,
    settings: PrepareSettings,
    cache: Path,
    workers: int | None = None,
    progress: Progress = silent,
    levels: str | None = None,
) -> Pictures:
    """Prepare every scan of a manifest, or take it from the cache.

    Parameters
    ----------
    frame
        As `io.dataset.read_manifest` returns it, with a `split` column.
    cache
        Folder; one file per two hundred scans, named by the scans' SHA-256 and the settings, so that a changed
        scan or setting is prepared anew and an interrupted run goes on.
    workers
        Processes; 1 works in this one. None: one a core.
    levels
        Folder of a finished level network, or None for image processing.

    Raises
    ------
    DatasetError
        When no scan is left.
    """
    cache.mkdir(parents=True, exist_ok=True)
    files = [str(f) for f in frame["file"]]
    workers = workers or os.cpu_count() or 1
    seen: list[Seen] = []
    # Spawned, not forked: a fork of a process whose torch threads run may hang.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) if workers > 1 else None
    try:
        for start in range(0, len(files), CHUNK):
            progress(Step("prepare", start, len(files)))
            seen += _chunk(files[start : start + CHUNK], settings, levels, cache, pool)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    progress(Step("prepare", len(files), len(files)))
    return _collect(frame, seen)


def _chunk(
    files: list[str], settings: PrepareSettings, levels: str | None, cache: Path, pool: ProcessPoolExecutor | None
) -> list[Seen]:
    key = hashlib.sha256(json.dumps([__version__, settings.to_json()]).encode())
    if levels is not None:
        from spinecare.learn.levels_data import MODEL_FILE, SPEC_FILE

        for name in (MODEL_FILE, SPEC_FILE):
            key.update((Path(levels) / name).read_bytes())
    for file in files:
        path = Path(file)
        key.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    kept = cache / f"{key.hexdigest()[:24]}.npz"
    if not kept.exists():
        one = partial(see, settings=settings, levels=levels)
        seen = list(pool.map(one, files, chunksize=10) if pool else map(one, files))
        blank = np.zeros((settings.height, settings.width), np.float16)
        part = kept.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(
                stream,
                pictures=np.stack([blank if s.picture is None else s.picture for s in seen]),
                codes=np.array([str(s.code) for s in seen], dtype=np.str_),
            )
        part.replace(kept)
    # Read back even when just made: a resumed run then sees the very same numbers.
    with np.load(kept, allow_pickle=False) as stored:
        pictures, codes = stored["pictures"], stored["codes"]
    return [Seen(None if c else p, str(c)) for p, c in zip(pictures, codes, strict=True)]


def _collect(frame: pd.DataFrame, seen: list[Seen]) -> Pictures:
    from spinecare.io.dataset import units_of

    codes = np.array([s.code for s in seen], dtype=object)
    usable = codes == ""
    if not usable.any():
        raise DatasetError(
            f"None of the {len(seen)} scans of the manifest can be used: {dict(Counter(codes))}. "
            "Look at one with `spinecare assess`."
        )
    rows = frame[usable].reset_index(drop=True)
    # Of the whole manifest: a scan that is left out may still tie two patients together.
    units = np.array(units_of(frame), dtype=object)
    order = {str(label): i for i, label in enumerate(LABELS)}
    return Pictures(
        rows=rows,
        images=np.stack([s.picture for s in seen if s.picture is not None]).astype(np.float32),
        labels=np.array([order[str(label)] for label in rows["label"]], dtype=np.int64),
        patients=units[usable].astype(str),
        refused=frame[~usable].assign(code=codes[~usable]).reset_index(drop=True),
    )
