"""The deep member of a study: a network fine-tuned from virtual patients or ImageNet, or fitted from nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from spinecare.learn.devices import Devices
from spinecare.learn.finetune import finetune, freeze, say, start_weights
from spinecare.learn.fit import predict
from spinecare.learn.material import Material
from spinecare.learn.members.base import Fitted
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import DEFAULT_FITS, FitSettings, ForestSettings

# Few scans: small batches so that an epoch has some steps, a low rate where weights came from elsewhere, a higher one
# for the head, which starts anew.
TUNED: dict[str, FitSettings] = {
    "cnn": FitSettings(epochs=12, batch=16, learning_rate=3e-4, head_rate=10.0),
    "resnet": FitSettings(epochs=8, batch=16, learning_rate=1e-4, head_rate=20.0),
    "vgg16": FitSettings(epochs=6, batch=16, learning_rate=2e-5, head_rate=30.0),
}
SCRATCH: dict[str, FitSettings] = {
    "cnn": replace(DEFAULT_FITS["cnn"], epochs=30, batch=16),
    "resnet": replace(DEFAULT_FITS["resnet"], epochs=20, batch=16),
    "vgg16": replace(DEFAULT_FITS["vgg16"], epochs=10),
}
# Stages left trainable from the end. VGG16's last stage alone: the others take minutes a fit on a CPU.
DEPTH: dict[str, int | str] = {"cnn": "all", "resnet": "all", "vgg16": 1}
ORIGIN = {"virtual": "fine-tuned from virtual patients", "imagenet": "fine-tuned from ImageNet", "none": "from nothing"}


@dataclass(frozen=True)
class Deep:
    """A network on the prepared picture; every option but `kind` may be left out.

    Parameters
    ----------
    kind
        `cnn`, `resnet` or `vgg16`.
    start
        `virtual`, `imagenet` (vgg16 only) or `none`; see `finetune.start_weights`.
    depth
        Stages left trainable from the end, or "all". From nothing it is "all", always.
    epochs, batch, learning_rate, head_rate, weight_decay, label_smoothing
        As in `FitSettings`; None: `TUNED` or `SCRATCH`.
    keep_head
        Begin with the answers learnt on virtual patients instead of a head at zero.
    fits
        Networks fitted by different draws; the answer is their mean.
    forest
        A random forest on each network's features speaks, not its head.
    devices
        As `Devices.parse` reads it. The processes of a study each have a core: one of it is what they have.
    """

    kind: str = "cnn"
    start: str = "virtual"
    depth: int | str | None = None
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    head_rate: float | None = None
    weight_decay: float | None = None
    label_smoothing: float | None = None
    keep_head: bool = False
    fits: int = 1
    forest: bool = False
    devices: str = "cpu"
    views: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """A line for reports."""
        depth = self._depth
        trained = {"all": "every stage", 0: "head alone", 1: "last stage"}.get(depth, f"last {depth} stages")
        how = "" if self.start == "none" else f", {trained}"
        ends = " with a random forest on its features" if self.forest else ""
        return f"{self.kind} {ORIGIN.get(self.start, self.start)}{how}{ends}, {self.settings.epochs} epochs"

    @property
    def settings(self) -> FitSettings:
        """How it is fitted."""
        told = {
            name: getattr(self, name)
            for name in ("epochs", "batch", "learning_rate", "head_rate", "weight_decay", "label_smoothing")
            if getattr(self, name) is not None
        }
        return replace((SCRATCH if self.start == "none" else TUNED)[self.kind], **told)

    @property
    def _depth(self) -> int | str:
        if self.start == "none":
            return "all"
        return DEPTH[self.kind] if self.depth is None else self.depth

    def fit(self, material: Material, rows: np.ndarray, seed: int) -> Fitted:
        """Fit on the pictures of `rows` int (m,), augmented anew in each epoch.

        Raises
        ------
        TrainingError
            When starting weights are not there, or the fit fails.
        """
        images, labels = material.pictures.images[rows], material.labels[rows]
        devices = Devices.parse(self.devices)
        speakers = []
        for number in range(self.fits):
            its_seed = seed + 7919 * number
            net = start_weights(self.kind, material.sources, self.start, its_seed, self.keep_head)
            freeze(net, self._depth)
            finetune(net, images, labels, self.settings, material.augment, its_seed, devices)
            speakers.append(self._speaker(net, images, labels, its_seed))
        return partial(_answers, speakers, material.pictures.images)

    def _speaker(self, net: DeepMember, images: np.ndarray, labels: np.ndarray, seed: int) -> Callable[..., np.ndarray]:
        if not self.forest:
            return partial(say, net)
        from spinecare.learn.forest import fit_forest

        # The network has seen these pictures, so its features part them better than they will part others: the same
        # in the design that this member is for.
        leaves = ForestSettings(min_samples_leaf=max(1, min(15, len(labels) // 20)))
        forest = fit_forest(predict(net, images)[1], labels, leaves, seed)
        return partial(_by_forest, net, forest)


def _by_forest(net: DeepMember, forest: object, images: np.ndarray) -> np.ndarray:
    return forest.predict_proba(predict(net, images)[1])


def _answers(speakers: list[Callable[..., np.ndarray]], images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean probabilities float64 (m, 3) of the speakers about the pictures of `rows`."""
    return np.mean([speaker(images[rows]) for speaker in speakers], axis=0)
