"""A study's material on disk: written once, mapped by every worker, and shown to a fit without what it may not see."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from spinecare.errors import TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material, Sources
from spinecare.learn.recipe import AugmentSettings
from spinecare.scan import Float32

ARRAYS = ("images", "raws", "wholes")
# What tells a scan's class, or nearly: workers get the labels of the rows that they fit on, and nothing else of it.
TELLING = ("label", "t_score", "bmd_l1", "bmd_l2", "bmd_l3", "bmd_l4", "split", "first_of_group")


@dataclass(frozen=True, eq=False)
class SharedMaterial(Material):
    """Material of `write_shared`, opened. `views` holds the file of each view that was made up front."""

    views: Mapping[str, str] = field(default_factory=dict)

    def view(self, name: str) -> Float32:
        """As `Material.view`, of the views that the study's members declare.

        Raises
        ------
        TrainingError
            For a view that no member declares: two workers would make it at once.
        """
        if name not in self.views:
            raise TrainingError(f"The view {name!r} was not made up front: a member must name it in its `views`.")
        return np.load(self.views[name], mmap_mode="r", allow_pickle=False)


def write_shared(material: Material, folder: Path) -> None:
    """Write scans, labels and groups of a study below `folder`, for `open_shared`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        pixels = getattr(material.pictures, name)
        if pixels is not None:
            np.save(folder / f"{name}.npy", pixels, allow_pickle=False)
    np.save(folder / "labels.npy", material.labels, allow_pickle=False)
    np.save(folder / "groups.npy", material.groups.astype(str), allow_pickle=False)
    rows = material.pictures.rows
    rows.drop(columns=[name for name in TELLING if name in rows]).to_parquet(folder / "rows.parquet")
    told = {
        "augment": asdict(material.augment),
        "copies": material.copies,
        "seed": material.seed,
        "cache": str(material.cache.resolve()),
        "sources": asdict(material.sources),
    }
    (folder / "material.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    # This process may have opened another study's material in the same place.
    open_shared.cache_clear()


@functools.lru_cache(maxsize=1)
def open_shared(folder: Path) -> Material:
    """The material of `write_shared`, its pictures mapped, not read. Its views are made as `Material` makes them."""
    told = json.loads((folder / "material.json").read_text(encoding="utf-8"))
    rows = pd.read_parquet(folder / "rows.parquet")
    kept = {name: folder / f"{name}.npy" for name in ARRAYS}
    # Mapped "c": what a model writes into them stays its own, and torch takes them without a warning.
    pixels = {name: np.load(file, mmap_mode="c") if file.exists() else None for name, file in kept.items()}
    pictures = Pictures(
        rows=rows,
        labels=np.load(folder / "labels.npy"),
        patients=np.load(folder / "groups.npy"),
        refused=rows.iloc[:0].assign(code=""),
        **pixels,
    )
    return Material(
        pictures,
        AugmentSettings(**told["augment"]),
        told["copies"],
        told["seed"],
        Path(told["cache"]),
        Sources(**told["sources"]),
    )


def blind(material: Material, rows: np.ndarray) -> Material:
    """The same material without the labels (-1) of all but `rows` int (m,): a fit cannot see what it must not."""
    labels = np.full_like(material.labels, -1)
    labels[rows] = material.labels[rows]
    return replace(material, pictures=replace(material.pictures, labels=labels))


def make_view_file(folder: Path, name: str) -> str:
    """Make one view of a shared material, or find it in the cache; its file. Nothing of a label is in reach of it."""
    view = blind(open_shared(folder), np.zeros(0, dtype=np.int64)).view(name)
    return str(view.filename)


def with_views(material: Material, views: Mapping[str, str]) -> SharedMaterial:
    """A shared material whose views are read from the files of `make_view_file`."""
    told = {name: getattr(material, name) for name in ("pictures", "augment", "copies", "seed", "cache", "sources")}
    return SharedMaterial(**told, views=dict(views))
