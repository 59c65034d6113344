"""A manifest's scans, prepared once and kept beside the run. Knows no torch: worker processes stay light."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from spinecare import __version__
from spinecare.errors import DatasetError, ScanError
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.scan import LABELS, Float32, Refused
from spinecare.settings import PrepareSettings, RuntimeSettings

if TYPE_CHECKING:
    import pandas as pd

    from spinecare.prepare.locate import Locator
    from spinecare.scan import Prepared

CHUNK = 200
PARTS = ("train", "val", "test")


WHOLE = 160  # side of the whole scan as `Pictures.wholes` keeps it


class Seen(NamedTuple):
    """What became of one scan: its picture float16 (height, width), or the code of its refusal.

    With more asked for, also the crop before denoising and normalising, and the whole scan without its drawing.
    """

    picture: np.ndarray | None
    code: str
    raw: np.ndarray | None = None
    whole: np.ndarray | None = None


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
    raws, wholes
        Where they were asked for: the same crops before denoising and normalising, float32 (n, height, width), and
        the whole scans with drawings taken off, resized to float32 (n, 160, 160), both in [0, 1].
    """

    rows: pd.DataFrame
    images: Float32
    labels: np.ndarray
    patients: np.ndarray
    refused: pd.DataFrame
    raws: Float32 | None = None
    wholes: Float32 | None = None

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


def see(
    path: str, settings: PrepareSettings, levels: str | None = None, more: bool = False, masked: bool = True
) -> Seen:
    """One scan taken exactly the way that an assessment takes it, up to the prepared picture.

    `levels` is the folder of a level network, or None where the bundle will have none; `more` keeps the raw crop and
    the whole scan too. `masked` False leaves the operator's drawing in the pictures, at the same crop: only for the
    audit of what a drawing tells.
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
    if not masked:
        prepared = _with_drawing(prepared, scan.grey, settings)
    if not more:
        return Seen(prepared.image.astype(np.float16), "")
    whole = cv2.resize(prepared.clean, (WHOLE, WHOLE), interpolation=cv2.INTER_AREA)
    return Seen(prepared.image.astype(np.float16), "", prepared.raw.astype(np.float16), whole.astype(np.float16))


def _with_drawing(prepared: Prepared, grey: Float32, settings: PrepareSettings) -> Prepared:
    from spinecare.prepare.crop import crop, normalise
    from spinecare.prepare.denoise import denoise

    raw = crop(grey, prepared.mapping, settings)
    return replace(prepared, raw=raw, image=normalise(denoise(raw, settings.denoise)), clean=grey)


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
    more: bool = False,
    masked: bool = True,
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
    more, masked
        As in `see`.

    Raises
    ------
    DatasetError
        When no scan is left.
    """
    cache.mkdir(parents=True, exist_ok=True)
    files = [str(f) for f in frame["file"]]
    workers = workers or os.cpu_count() or 1
    one = partial(see, settings=settings, levels=levels, more=more, masked=masked)
    seen: list[Seen] = []
    # Spawned, not forked: a fork of a process whose torch threads run may hang.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) if workers > 1 else None
    try:
        for start in range(0, len(files), CHUNK):
            progress(Step("prepare", start, len(files)))
            seen += _chunk(files[start : start + CHUNK], one, cache, pool)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    progress(Step("prepare", len(files), len(files)))
    return _collect(frame, seen)


def _chunk(files: list[str], one: partial[Seen], cache: Path, pool: ProcessPoolExecutor | None) -> list[Seen]:
    kept = cache / f"{_key(files, **one.keywords)}.npz"
    if not kept.exists():
        seen = list(pool.map(one, files, chunksize=10) if pool else map(one, files))
        part = kept.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(
                stream,
                codes=np.array([str(s.code) for s in seen], dtype=np.str_),
                **{name: _stacked([getattr(s, name) for s in seen]) for name in Seen._fields if name != "code"},
            )
        part.replace(kept)
    # Read back even when just made: a resumed run then sees the very same numbers.
    with np.load(kept, allow_pickle=False) as stored:
        codes = stored["codes"]
        kinds = {name: stored[name] for name in Seen._fields if name != "code" and stored[name].size}
    return [
        Seen(None, str(code)) if code else Seen(code="", **{"picture": None, **{k: v[i] for k, v in kinds.items()}})
        for i, code in enumerate(codes)
    ]


def _key(files: list[str], settings: PrepareSettings, levels: str | None, more: bool, masked: bool) -> str:
    key = hashlib.sha256(json.dumps([__version__, settings.to_json(), more, masked]).encode())
    if levels is not None:
        from spinecare.learn.levels_data import MODEL_FILE, SPEC_FILE

        for name in (MODEL_FILE, SPEC_FILE):
            key.update((Path(levels) / name).read_bytes())
    for file in files:
        path = Path(file)
        key.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    return key.hexdigest()[:24]


def _stacked(pictures: list[np.ndarray | None]) -> np.ndarray:
    """Pictures of one size in one array, blank where there is none; empty when there is none at all."""
    some = next((p for p in pictures if p is not None), np.zeros((0, 0), np.float16))
    if not some.size:
        return np.zeros(0, np.float16)
    return np.stack([np.zeros_like(some) if p is None else p for p in pictures])


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
        raws=_kept([s.raw for s in seen]),
        wholes=_kept([s.whole for s in seen]),
        labels=np.array([order[str(label)] for label in rows["label"]], dtype=np.int64),
        patients=units[usable].astype(str),
        refused=frame[~usable].assign(code=codes[~usable]).reset_index(drop=True),
    )


def _kept(pictures: list[np.ndarray | None]) -> Float32 | None:
    some = [p for p in pictures if p is not None]
    return np.stack(some).astype(np.float32) if some else None
