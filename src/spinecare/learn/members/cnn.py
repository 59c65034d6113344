"""The published design's first member: a small convolutional network."""

from __future__ import annotations

from typing import Any

from spinecare.learn.members.base import Member
from spinecare.learn.members.based import on_base
from spinecare.learn.members.logistic import Logistic

VIEWS = {"virtual": "virtual_cnn"}


def cnn(start: str = "virtual", depth: str | int = "frozen", **options: Any) -> Member:
    """The bundle's CNN, frozen, with a logistic head (options of `Logistic`); or fine-tuned (options of `Deep`)."""
    return on_base("cnn", "cnn", VIEWS, Logistic, start, depth, options)
