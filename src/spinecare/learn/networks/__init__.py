"""The networks behind the deep members, as a plain dict: name → kind and how to build the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from spinecare.learn.networks.base import DeepMember
from spinecare.learn.networks.cnn import cnn
from spinecare.learn.networks.resnet import resnet
from spinecare.learn.networks.vgg16 import vgg16


@dataclass(frozen=True)
class Network:
    """A kind of network: `deep` speaks through its head, `deep_forest` through a forest on its features."""

    kind: Literal["deep", "deep_forest"]
    build: Callable[..., DeepMember]


NETWORKS: dict[str, Network] = {
    "cnn": Network("deep", cnn),
    "vgg16": Network("deep", vgg16),
    "resnet": Network("deep_forest", resnet),
}


def build(name: str, options: dict[str, Any]) -> DeepMember:
    """A fresh network of the member `name`; `options` go to its builder."""
    return NETWORKS[name].build(**options)
