"""A view through VGG16's convolutions as ImageNet left them: what each channel of the later stages sees on average."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.views.copies import Of, pixel_view
from spinecare.scan import Float32

if TYPE_CHECKING:
    from spinecare.learn.material import Material, Sources
    from spinecare.learn.networks.base import DeepMember

# Stages whose outputs are averaged, counted from 0: 256 + 512 + 512 channels. The last one alone knows cats and dogs;
# texture stands in the ones before it.
STAGES = (2, 3, 4)
BATCH = 16


def identity(sources: Sources) -> str:
    """SHA-256 of the weights' file.

    Raises
    ------
    TrainingError
        When it is not named or not there.
    """
    file = _file(sources)
    stat = file.stat()
    return _sha256(file, stat.st_mtime_ns, stat.st_size)


def imagenet(material: Material) -> Float32:
    """Of the prepared pictures, float32 (n, 1 + copies, 1280)."""
    return _make(material, "images")


def imagenet_whole(material: Material) -> Float32:
    """Of the whole scans, float32 (n, 1 + copies, 1280)."""
    return _make(material, "wholes")


def _make(material: Material, of: Of) -> Float32:
    import torch

    from spinecare.learn.networks.vgg16 import vgg16

    net = vgg16(_file(material.sources), frozen=5).eval().to(memory_format=torch.channels_last)
    return pixel_view(lambda pixels: stage_means(net, pixels), of)(material)


def stage_means(net: DeepMember, pixels: Float32) -> Float32:
    """Global averages of the outputs of `STAGES`, float32 (m, their channels), of pictures float32 (m, height, width).

    The last stage comes as `learn.networks.vgg16` scales it; members standardise every column anyway.
    """
    import torch

    from spinecare.learn.fit import bfloat16_pays

    out = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays()):
        for start in range(0, len(pixels), BATCH):
            x = torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH, None], np.float32))
            means = []
            for number, stage in enumerate(net.stages):
                x = stage(x)
                if number in STAGES:
                    means.append(x.float().mean(dim=(2, 3)))
            out.append(torch.cat(means, dim=1).numpy())
    return np.concatenate(out)


def _file(sources: Sources) -> Path:
    if sources.imagenet is None or not Path(sources.imagenet).is_file():
        raise TrainingError(
            f"The ImageNet weights of VGG16 are not there ({sources.imagenet}). "
            "Name their safetensors file as `imagenet` under [sources]."
        )
    return Path(sources.imagenet)


@functools.cache
def _sha256(file: Path, changed: int, size: int) -> str:
    """Kept as long as the file does not change: the cache of views asks at every fit."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
