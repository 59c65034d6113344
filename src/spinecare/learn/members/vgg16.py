"""The published design's second member: VGG16, from ImageNet or from virtual patients."""

from __future__ import annotations

from typing import Any

from spinecare.learn.members.base import Member
from spinecare.learn.members.based import on_base
from spinecare.learn.members.logistic import Logistic

VIEWS = {"virtual": "virtual_vgg16", "imagenet": "imagenet"}


def vgg16(start: str = "virtual", depth: str | int = "frozen", **options: Any) -> Member:
    """VGG16's convolutions, frozen, with a logistic head (options of `Logistic`); or fine-tuned (options of `Deep`)."""
    return on_base("vgg16", "vgg16", VIEWS, Logistic, start, depth, options)
