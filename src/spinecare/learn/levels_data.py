"""Virtual scans with the truth of each pixel, at the level network's size. Knows no torch: workers stay light."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from spinecare import __version__
from spinecare.bundle.schema import LevelsSpec, parse_levels
from spinecare.errors import DatasetError, TrainingError
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.scan import UInt8

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 200
MODEL_FILE, SPEC_FILE = "levels.onnx", "levels.json"


def read_levels(folder: Path) -> LevelsSpec:
    """The entry, for a bundle, of the finished level network in a folder (`levels.onnx`, `levels.json`).

    Raises
    ------
    TrainingError
        When the folder holds none.
    """
    file = folder / SPEC_FILE
    if not file.is_file() or not (folder / MODEL_FILE).is_file():
        raise TrainingError(f"{folder} holds no finished level network. Make one with `spinecare levels-train`.")
    return parse_levels(json.loads(file.read_text(encoding="utf-8")))


@dataclass(frozen=True, eq=False)
class Labelled:
    """Scans without their overlays, and what each pixel is.

    images, parts
        uint8 (n, rows, cols): grey as `prepare.network.network_picture` gives it times 255; classes 0-6.
    split
        str (n,): train, val or test.
    """

    images: UInt8
    parts: UInt8
    split: np.ndarray

    def part(self, name: str) -> np.ndarray:
        """Positions of the scans whose split is `name`."""
        return np.flatnonzero(self.split == name)


def mask_of(file: str | Path) -> Path:
    """Where the label map of a virtual scan lies: `masks/<name>.png` beside its `images/<name>.*`."""
    path = Path(file)
    return path.parent.parent / "masks" / f"{path.stem}.png"


def see_parts(file: str, size: tuple[int, int]) -> tuple[UInt8, UInt8]:
    """One scan without its overlay, and its label map, at `size` (rows, cols)."""
    from spinecare.io.read import read_scan
    from spinecare.prepare.network import network_picture
    from spinecare.prepare.pipeline import clean_scan

    cv2.setNumThreads(1)
    parts = np.asarray(Image.open(mask_of(file)), dtype=np.uint8)
    scan = read_scan(file)
    if parts.shape != scan.pixels.shape or parts.max() > 6:
        raise DatasetError(f"{mask_of(file)} is no label map of {file}. Make the cohort again.")
    cleaned = clean_scan(scan)
    grey = network_picture(cleaned.clean, cleaned.valid, *size)
    # Nearest by pixel centres; cv2's own picks the pixel at the upper left.
    row, col = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, parts.shape, strict=True))
    return np.rint(grey * 255).astype(np.uint8), parts[np.ix_(row, col)]


def load_labelled(
    frame: pd.DataFrame, size: tuple[int, int], cache: Path, workers: int = 1, progress: Progress = silent
) -> Labelled:
    """Every scan of a virtual cohort with its label map, or from the cache.

    Parameters
    ----------
    frame
        As `io.dataset.read_manifest` returns it, with a `split` column.
    cache
        Folder; one file per two hundred scans, named by their content and the size.

    Raises
    ------
    DatasetError
        When a scan has no label map: only virtual patients have one.
    """
    files = [str(file) for file in frame["file"]]
    without = [file for file in files if not mask_of(file).is_file()]
    if without:
        raise DatasetError(
            f"{len(without)} of {len(files)} scans have no label map (the first: {mask_of(without[0])}). "
            "The level network learns from virtual patients of `spinecare phantom make`."
        )
    cache.mkdir(parents=True, exist_ok=True)
    one = partial(see_parts, size=size)
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) if workers > 1 else None
    images, parts = [], []
    try:
        for start in range(0, len(files), CHUNK):
            progress(Step("level masks", start, len(files)))
            piece = files[start : start + CHUNK]
            kept = cache / f"{_key(piece, size)}.npz"
            if not kept.exists():
                seen = list(pool.map(one, piece, chunksize=10) if pool else map(one, piece))
                part = kept.with_suffix(".part")
                with part.open("wb") as stream:
                    np.savez(stream, images=np.stack([s[0] for s in seen]), parts=np.stack([s[1] for s in seen]))
                part.replace(kept)
            with np.load(kept, allow_pickle=False) as stored:
                images.append(stored["images"])
                parts.append(stored["parts"])
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    progress(Step("level masks", len(files), len(files)))
    return Labelled(np.concatenate(images), np.concatenate(parts), frame["split"].to_numpy().astype(str))


def _key(files: list[str], size: tuple[int, int]) -> str:
    key = hashlib.sha256(json.dumps([__version__, size]).encode())
    for file in files:
        key.update(Path(file).read_bytes())
        key.update(mask_of(file).read_bytes())
    return key.hexdigest()[:24]
