"""The peer is the published design: its size is that of the papers."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="the published design needs the `train` extra")


@pytest.fixture
def published(benchmarks: None) -> ModuleType:
    return importlib.import_module("published")


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_vgg16_has_the_published_number_of_parameters(published: ModuleType) -> None:
    with torch.device("meta"):
        network = published.vgg16()
    # 138,357,544 with 1,000 classes (Simonyan and Zisserman 2015, as every library counts it).
    assert parameters(network) == 138_357_544 - (4096 + 1) * (1000 - 3)


def test_resnet50_has_the_published_number_of_parameters_and_halves_the_picture_five_times(
    published: ModuleType,
) -> None:
    with torch.device("meta"):
        network = published.resnet50_features().eval()
        shapes: list[torch.Size] = []
        network.layer4.register_forward_hook(lambda module, given, result: shapes.append(result.shape))
        features = network(torch.zeros(1, 3, 224, 224))
    assert parameters(network) == 25_557_032 - (2048 + 1) * 1000
    assert features.shape == (1, 2048)
    assert shapes == [(1, 2048, 7, 7)]
