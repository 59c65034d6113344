"""A network fitted on few scans: a fixed number of epochs from weights trained elsewhere, no part kept back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from spinecare.errors import TrainingError
from spinecare.learn.devices import CPU, Devices, together
from spinecare.learn.fit import Course, logits_of
from spinecare.learn.material import Sources
from spinecare.learn.networks import NETWORKS, build
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import AugmentSettings, FitSettings
from spinecare.runtime.stack import softmax
from spinecare.scan import Float32

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STARTS = ("virtual", "imagenet", "none")
# Where a run keeps the weights of the member that it ships: with one cut, with folds.
_CUTS = ("holdout", "all")


def finetune(
    net: DeepMember,
    images: Float32,
    labels: np.ndarray,
    settings: FitSettings,
    augmentation: AugmentSettings,
    seed: int,
    devices: Devices = CPU,
) -> DeepMember:
    """Fit `net` in place on all pictures given, for all epochs of the settings; `patience` plays no part.

    There is no validation part: of a hundred scans none can be spared, and epochs that were stopped by ten pictures
    would be chosen by chance. How many epochs is a setting, chosen elsewhere.

    Parameters
    ----------
    images, labels
        float32 (n, height, width) in [0, 1]; int (n,) as positions in `LABELS`.
    seed
        Decides every draw. The global generator of torch is left as it was.

    Returns
    -------
    The same network, in evaluation mode, on the CPU.

    Raises
    ------
    TrainingError
        When there is no picture, the loss is no number any more, or the devices are not there.
    """
    if not len(labels):
        raise TrainingError("There is no picture to fit a network on.")
    with torch.random.fork_rng(devices=[]):
        weights = together(devices, _finetune, net, images, labels, settings, augmentation, seed, devices)
    net.to("cpu", memory_format=torch.channels_last)
    net.load_state_dict(weights)
    return net.eval()


def _finetune(
    fabric: Fabric,
    net: DeepMember,
    images: Float32,
    labels: np.ndarray,
    settings: FitSettings,
    augmentation: AugmentSettings,
    seed: int,
    devices: Devices,
) -> dict[str, Tensor]:
    """One process's part: the weights at the end, the same in each process."""
    course = Course(fabric, net, settings, augmentation, seed, len(labels), devices)
    for epoch in range(settings.epochs):
        if not math.isfinite(course.epoch((images, labels), epoch)):
            raise TrainingError(f"Fine-tuning: the loss is no number after epoch {epoch + 1}. Try a lower rate.")
    return {name: tensor.detach().cpu() for name, tensor in course.net.state_dict().items()}


def say(net: DeepMember, images: Float32) -> np.ndarray:
    """Probabilities float64 (n, 3) of images float32 (n, height, width), in float32 arithmetic."""
    if not len(images):
        return np.zeros((0, net.head.out_features))
    return softmax(logits_of(net, images))


def start_weights(kind: str, sources: Sources, start: str, seed: int = 0, keep_head: bool = False) -> DeepMember:
    """A network of `kind` (a key of `NETWORKS`) that starts from weights trained elsewhere, every stage trainable.

    Parameters
    ----------
    start
        `virtual`: as `spinecare train` left it in the run `sources.virtual`; `imagenet`: VGG16's convolutions from
        `sources.imagenet`; `none`: random.
    seed
        Of what is drawn at random.
    keep_head
        The last layer from virtual patients is kept; else it starts at zero, and with it every answer at a third.

    Raises
    ------
    TrainingError
        When the weights are not there, or not of this network.
    """
    if kind not in NETWORKS:
        raise TrainingError(f"There is no network {kind!r}. Choose from {', '.join(NETWORKS)}.")
    if start not in STARTS or (start == "imagenet" and kind != "vgg16"):
        raise TrainingError(f"{kind} can't start from {start!r}. Choose virtual or none; vgg16 also imagenet.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if start == "virtual":
            return _virtual(kind, sources, keep_head)
        if start == "imagenet":
            if sources.imagenet is None:
                raise TrainingError("No ImageNet weights are named. Give `imagenet` in [sources] the safetensors file.")
            return build(kind, {"weights": sources.imagenet})
        return build(kind, {})


def _virtual(kind: str, sources: Sources, keep_head: bool) -> DeepMember:
    if sources.virtual is None:
        raise TrainingError("No run on virtual patients is named. Give `virtual` in [sources] the run's folder.")
    run = Path(sources.virtual)
    files = [run / "work" / kind / cut / "best.safetensors" for cut in _CUTS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise TrainingError(f"{run} holds no weights of {kind} (work/{kind}/holdout/best.safetensors).")
    net = build(kind, _options(run, kind))
    try:
        net.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise TrainingError(
            f"{file} does not hold the weights of this {kind}; was the run of another version?"
        ) from error
    if not keep_head:
        torch.nn.init.zeros_(net.head.weight)
        torch.nn.init.zeros_(net.head.bias)
    return net


def _options(run: Path, kind: str) -> dict[str, Any]:
    """How the run built its network, less where it started from and what it froze."""
    config = run / "config.json"
    if not config.is_file():
        return {}
    members = json.loads(config.read_text(encoding="utf-8"))["settings"]["members"]
    options = next((member["options"] for member in members if member["name"] == kind), {})
    return {key: value for key, value in options.items() if key not in {"weights", "frozen"}}


def freeze(net: DeepMember, depth: int | str) -> DeepMember:
    """Leave the last `depth` stages trainable (`all`: every one; 0: the head alone); the same network.

    Raises
    ------
    TrainingError
        When there are not so many stages.
    """
    stages = len(net.stages)
    left = stages if depth == "all" else depth
    if not isinstance(left, int) or not 0 <= left <= stages:
        raise TrainingError(
            f"depth = {depth!r} makes no sense: this network has {stages} stages (0 … {stages}, or 'all')."
        )
    net.frozen = stages - left
    for number, stage in enumerate(net.stages):
        stage.requires_grad_(number >= net.frozen)
    return net
