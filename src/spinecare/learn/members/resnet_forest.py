"""The published design's third member: a random forest on ResNet's features."""

from __future__ import annotations

from typing import Any

from spinecare.learn.members.base import Member
from spinecare.learn.members.based import on_base
from spinecare.learn.members.forest import Forest

VIEWS = {"virtual": "virtual_resnet"}


def resnet_forest(start: str = "virtual", depth: str | int = "frozen", **options: Any) -> Member:
    """The bundle's ResNet, frozen, with a forest (options of `Forest`); or fine-tuned (of `Deep`) and then a forest."""
    forest = {} if depth == "frozen" else {"forest": True}
    return on_base("resnet_forest", "resnet", VIEWS, Forest, start, depth, forest | options)
