from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spinecare.errors import TrainingError
from spinecare.learn.networks import NETWORKS, build
from spinecare.learn.networks.vgg16 import FEATURE_SIZE, vgg16

SMALL = {"cnn": {"width": 4}, "vgg16": {"width": 4}, "resnet": {"width": 8, "blocks": (1, 1, 1, 1)}}
FULL_CHANNELS = {"cnn": 192, "vgg16": 512, "resnet": 512}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_member_gives_logits_and_the_map_that_they_come_from(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, SMALL[name]).eval()
    with torch.no_grad():
        logits, features = net(torch.rand(3, 1, 64, 32))
        by_hand = features.numpy().mean(axis=(2, 3)) @ net.head.weight.numpy().T + net.head.bias.numpy()
    assert logits.shape == (3, 3)
    assert features.shape[0] == 3
    assert features.ndim == 4
    np.testing.assert_allclose(logits.numpy(), by_hand, atol=1e-5)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_full_size_members_take_the_prepared_picture(name: str) -> None:
    net = build(name, {}).eval()
    with torch.no_grad():
        _, features = net(torch.rand(1, 1, 192, 96))
    assert features.shape[1] == FULL_CHANNELS[name] == net.head.in_features


def test_vgg16_is_thirteen_convolutions_without_normalisation() -> None:
    kinds = [type(m).__name__ for m in vgg16(width=4).modules()]
    assert kinds.count("Conv2d") == 13
    assert "BatchNorm2d" not in kinds


def test_vgg16_sees_what_the_imagenet_weights_expect() -> None:
    inside = vgg16(width=4).stages[0][0](torch.ones(1, 1, 2, 2))
    np.testing.assert_allclose(inside[0, :, 0, 0].numpy(), [255 - 103.939, 255 - 116.779, 255 - 123.68], rtol=1e-6)


def test_vgg16_loads_the_imagenet_base(shared_data: Path) -> None:
    from safetensors.torch import load_file

    path = shared_data / "weights" / "vgg16_imagenet_conv.safetensors"
    stored = load_file(path)
    net = vgg16(weights=path, frozen=2)
    convolutions = [m for m in net.stages.modules() if isinstance(m, torch.nn.Conv2d)]
    assert torch.equal(convolutions[0].weight, stored["features.0.weight"].float())
    assert torch.equal(convolutions[12].bias * FEATURE_SIZE, stored["features.28.bias"].float())
    assert [p.requires_grad for p in net.parameters()].count(False) == 8  # two stages of two convolutions


def test_frozen_stages_get_no_gradient() -> None:
    net = vgg16(width=4, frozen=2)
    net(torch.rand(2, 1, 64, 32))[0].sum().backward()
    assert all(p.grad is None for p in net.stages[:2].parameters())
    assert all(p.grad is not None for p in net.stages[2:].parameters())


def test_vgg16_says_which_weights_are_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no file of VGG16 weights"):
        vgg16(weights=tmp_path / "nothing.safetensors")
    save_file({"features.0.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match="thirteen convolutions"):
        vgg16(weights=tmp_path / "other.safetensors")
