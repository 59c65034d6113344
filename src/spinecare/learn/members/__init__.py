"""The deep members, as a plain dict: name → kind, how to build the network, how it is trained by default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from spinecare.learn.members.base import DeepMember
from spinecare.learn.members.cnn import cnn
from spinecare.learn.members.resnet import resnet
from spinecare.learn.members.vgg16 import vgg16


@dataclass(frozen=True)
class Member:
    """A kind of member: `deep` speaks through its head, `deep_forest` through a forest on its features."""

    kind: Literal["deep", "deep_forest"]
    build: Callable[..., DeepMember]


MEMBERS: dict[str, Member] = {
    "cnn": Member("deep", cnn),
    "vgg16": Member("deep", vgg16),
    "resnet": Member("deep_forest", resnet),
}


def build(name: str, options: dict[str, Any]) -> DeepMember:
    """A fresh network of the member `name`; `options` go to its builder."""
    return MEMBERS[name].build(**options)
