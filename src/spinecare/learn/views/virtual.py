"""Views through a bundle's networks, which were trained on virtual patients: pooled features, then logits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spinecare.bundle.read import DEFAULT_FOLDER, Bundle, open_bundle
from spinecare.bundle.schema import SPEC_FILE
from spinecare.errors import BundleError, TrainingError
from spinecare.learn.views.copies import pixel_view
from spinecare.scan import LABELS, Float32
from spinecare.settings import RuntimeSettings

if TYPE_CHECKING:
    from spinecare.learn.material import Material, Sources

BATCH = 32


def identity(sources: Sources) -> str:
    """SHA-256 of the bundle's description, which holds the hash of each of its files.

    Raises
    ------
    TrainingError
        When there is no bundle.
    """
    file = Path(sources.bundle or DEFAULT_FOLDER) / SPEC_FILE
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainingError(
            f"There is no bundle at {file.parent}, and this view looks through its networks. Name one under [sources]."
        ) from error


def _view(name: str) -> Callable[[Material], Float32]:
    def make(material: Material) -> Float32:
        bundle = _open(material.sources, name)
        return pixel_view(lambda pixels: _look(bundle, name, pixels), "images")(material)

    return make


virtual_cnn, virtual_vgg16, virtual_resnet = _view("cnn"), _view("vgg16"), _view("resnet")


def virtual_logits(material: Material) -> Float32:
    """The logits of the three networks side by side, float32 (n, 1 + copies, 9)."""
    told = [material.view(f"virtual_{name}")[..., -len(LABELS) :] for name in ("cnn", "vgg16", "resnet")]
    return np.concatenate(told, axis=-1)


def _open(sources: Sources, name: str) -> Bundle:
    try:
        # One thread: a study's workers, and other people's programs, share the cores.
        bundle = open_bundle(sources.bundle, RuntimeSettings(threads=1))
    except BundleError as error:
        raise TrainingError(f"The view through {name} cannot be made: {error}") from error
    if name not in {member.name for member in bundle.spec.members}:
        raise TrainingError(f"The bundle {bundle.folder} has no member {name}. Name another under [sources].")
    return bundle


def _look(bundle: Bundle, name: str, pixels: Float32) -> Float32:
    """Pooled features and logits float32 (m, channels + 3) of pictures float32 (m, height, width)."""
    size = (bundle.spec.prepare.height, bundle.spec.prepare.width)
    if pixels.shape[1:] != size:
        raise TrainingError(
            f"The pictures are {pixels.shape[1:]} and the bundle's networks take {size}. "
            "Prepare them with the settings of the bundle."
        )
    member = next(m for m in bundle.spec.members if m.name == name)
    out = []
    for start in range(0, len(pixels), BATCH):
        batch = np.ascontiguousarray(pixels[start : start + BATCH, None], np.float32)
        logits, features = bundle.sessions[member.model].run(["logits", "features"], {"image": batch})
        out.append(np.concatenate([features.mean(axis=(2, 3)), logits], axis=1))
    return np.concatenate(out)
