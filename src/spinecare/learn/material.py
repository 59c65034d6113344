"""What the members of a study may look at: pictures, and views of them that are made once and kept.

A view is a table of numbers for each scan and each of its augmented copies. It comes from something that was fixed
before the study began (a formula, a network trained elsewhere), never from anything fitted on the study's scans, so
that it can be made once for all folds. What is fitted on it (scaling, PCA, selection) belongs to the members, inside a
fold.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from spinecare.learn.data import Pictures
from spinecare.learn.recipe import AugmentSettings
from spinecare.scan import Float32


@dataclass(frozen=True)
class Sources:
    """Where frozen weights come from; what is None is not there, and a member that needs it says so.

    bundle
        Folder of a bundle trained on virtual patients; None: the one in the package.
    virtual
        Folder of a finished `spinecare train` run on virtual patients (its `work/` holds torch weights), for deep
        fine-tuning.
    imagenet
        VGG16's ImageNet convolutions, a safetensors file.
    """

    bundle: str | None = None
    virtual: str | None = None
    imagenet: str | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """The scans of a study.

    pictures
        n scans with `raws` and `wholes`, their labels and the groups that no cut may divide (`patients`).
    augment, copies, seed
        How each scan is varied, how often, and by which draws. Copy 0 is always the scan itself.
    cache
        Folder where views are kept.
    """

    pictures: Pictures
    augment: AugmentSettings
    copies: int
    seed: int
    cache: Path
    sources: Sources = field(default_factory=Sources)

    @property
    def labels(self) -> np.ndarray:
        """int64 (n,), positions in `LABELS`."""
        return self.pictures.labels

    @property
    def groups(self) -> np.ndarray:
        """str (n,): patient, else scan group."""
        return self.pictures.patients

    def view(self, name: str) -> Float32:
        """The view `name` of `learn.views.VIEWS`, float32 (n, 1 + copies, numbers); made once, then kept.

        Raises
        ------
        TrainingError
            For an unknown view, or one whose weights are not there.
        """
        from spinecare.learn.views import make_view

        file = self.cache / f"{name}-{self._key(name)}.npy"
        if not file.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")  # two studies may share a cache
            with part.open("wb") as stream:
                np.save(stream, make_view(name, self).astype(np.float32), allow_pickle=False)
            part.replace(file)
        # Mapped, not read: workers of one study share the pages.
        return np.load(file, mmap_mode="r", allow_pickle=False)

    def _key(self, name: str) -> str:
        from spinecare.learn.views import VIEWS

        view = VIEWS[name]
        told = [name, view.version, asdict(self.augment), self.copies, self.seed, view.reads(self.sources)]
        return hashlib.sha256(json.dumps([*told, self._pixels], sort_keys=True).encode()).hexdigest()[:20]

    @cached_property
    def _pixels(self) -> str:
        """SHA-256 of all pictures; asked at every fit, so worked out once."""
        key = hashlib.sha256()
        for pixels in (self.pictures.images, self.pictures.raws, self.pictures.wholes):
            key.update(b"" if pixels is None else np.ascontiguousarray(pixels).data)
        return key.hexdigest()
