"""Views of a scan as numbers, as a plain dict: name → how it is made. See `learn.material`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spinecare.errors import TrainingError
from spinecare.learn.views.copies import Of, pixel_view
from spinecare.scan import Float32

if TYPE_CHECKING:
    from spinecare.learn.material import Material, Sources


@dataclass(frozen=True)
class View:
    """One view.

    about
        A line for reports: what it is, and where its weights come from.
    make
        Material → float32 (n, 1 + copies, numbers).
    version
        To be raised when the numbers change; part of the cache's key.
    reads
        Sources → what identifies the weights that it reads (a SHA-256), or "". TrainingError when they are missing.
    """

    about: str
    make: Callable[[Material], Float32]
    version: int = 1
    reads: Callable[[Sources], str] = lambda sources: ""


def _later(module: str, name: str) -> Callable:
    """`learn.views.<module>.<name>`, imported when it is called: one view shall not cost the imports of all."""

    def call(*args: object) -> object:
        return getattr(importlib.import_module(f"spinecare.learn.views.{module}"), name)(*args)

    return call


def _pixels(about: str, module: str, of: Of) -> View:
    return View(about, pixel_view(_later(module, "hog" if module == "gradients" else module), of))


def _imagenet(about: str, name: str) -> View:
    return View(about, _later("imagenet", name), reads=_later("imagenet", "identity"))


def _virtual(about: str, name: str) -> View:
    return View(about, _later("virtual", name), reads=_later("virtual", "identity"))


VIEWS: dict[str, View] = {
    "radiomics": _pixels("texture measures of the raw crop (`measure.texture`)", "radiomics", "raws"),
    "thumbnail": _pixels("the prepared picture, made very small", "thumbnail", "images"),
    "thumbnail_whole": _pixels("the whole scan, made very small", "thumbnail", "wholes"),
    "hog": _pixels("histograms of oriented gradients of the prepared picture", "gradients", "images"),
    "hog_whole": _pixels("histograms of oriented gradients of the whole scan", "gradients", "wholes"),
    "profile": _pixels("grey, edges and discs along the spine of the raw crop", "profile", "raws"),
    "geometry": View("where and how the operator drew: a shortcut, not the patient", _later("geometry", "geometry")),
    "imagenet": _imagenet("VGG16 convolutions trained on ImageNet, on the prepared picture", "imagenet"),
    "imagenet_whole": _imagenet("VGG16 convolutions trained on ImageNet, on the whole scan", "imagenet_whole"),
    "virtual_cnn": _virtual("the bundle's small CNN: pooled features and logits", "virtual_cnn"),
    "virtual_vgg16": _virtual("the bundle's VGG16: pooled features and logits", "virtual_vgg16"),
    "virtual_resnet": _virtual("the bundle's ResNet: pooled features and logits", "virtual_resnet"),
    "virtual_logits": _virtual("what the bundle's networks say: their logits alone", "virtual_logits"),
}


def make_view(name: str, material: Material) -> Float32:
    """The numbers of one view, float32 (n, 1 + copies, numbers).

    Raises
    ------
    TrainingError
        For an unknown view, or one whose weights are not there.
    """
    if name not in VIEWS:
        raise TrainingError(f"There is no view {name!r}. Choose from {', '.join(VIEWS)}.")
    return VIEWS[name].make(material)
