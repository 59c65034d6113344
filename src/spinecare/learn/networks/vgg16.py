"""VGG16's thirteen convolutions, without batch normalisation, as its ImageNet weights want them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spinecare.errors import TrainingError
from spinecare.learn.networks.base import DeepMember

# Convolutions per stage and their channels: configuration D of Simonyan and Zisserman 2015 (arXiv:1409.1556).
STAGES: tuple[tuple[int, int], ...] = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)
FEATURE_SIZE = 8.0
ORIGIN = (
    "VGG16 convolution base trained on ImageNet, Visual Geometry Group, University of Oxford "
    "(Simonyan and Zisserman 2015, arXiv:1409.1556), CC BY 4.0"
)


class GreyToBgr(nn.Module):
    """Grey in [0, 1] to what the ImageNet weights were trained on: BGR, 0-255, minus the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_BGR_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Image (n, 1, height, width) → (n, 3, height, width)."""
        return image * 255.0 - self.mean


def vgg16(weights: str | Path | None = None, frozen: int = 0, width: int = 64, dropout: float = 0.3) -> DeepMember:
    """VGG16 with global average pooling.

    Parameters
    ----------
    weights
        A safetensors file with keys `features.N.weight|bias`, N as in torchvision's `vgg16().features`;
        without it the network starts from random weights (He initialisation, which VGG needs without BN).
    frozen
        Stages that keep their weights (only sensible with `weights`).
    width
        Channels of the first stage; 64 is VGG16, less is for tests.

    Raises
    ------
    TrainingError
        When the file is not there, or does not hold VGG16's thirteen convolutions.
    """
    stages: list[nn.Module] = []
    channels = 3
    for number, (convolutions, out) in enumerate(STAGES):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if number else [GreyToBgr()]
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, out * width // 64, 3, padding=1), nn.ReLU()]
            channels = out * width // 64
        stages.append(nn.Sequential(*layers))
    net = DeepMember(stages, channels, dropout, frozen)
    if weights is None:
        _random_start(net)
    else:
        _load(net, Path(weights))
    return net


def _convolutions(net: DeepMember) -> list[nn.Conv2d]:
    return [m for m in net.stages.modules() if isinstance(m, nn.Conv2d)]


def _random_start(net: DeepMember) -> None:
    for convolution in _convolutions(net):
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)
    # Inputs reach ±128 for the ImageNet weights; a random first layer wants them near 1.
    with torch.no_grad():
        _convolutions(net)[0].weight /= 64.0


def _load(net: DeepMember, weights: Path) -> None:
    if not weights.is_file():
        raise TrainingError(f"There is no file of VGG16 weights at {weights}. Give --vgg-weights its path.")
    tensors = load_file(weights)
    numbers = sorted({int(key.split(".")[1]) for key in tensors if key.startswith("features.")})
    convolutions = _convolutions(net)
    shapes = [tuple(c.weight.shape) for c in convolutions]
    if [tuple(tensors[f"features.{n}.weight"].shape) for n in numbers] != shapes:
        raise TrainingError(f"{weights.name} does not hold the thirteen convolutions of VGG16.")
    with torch.no_grad():
        for number, convolution in zip(numbers, convolutions, strict=True):
            convolution.weight.copy_(tensors[f"features.{number}.weight"])
            convolution.bias.copy_(tensors[f"features.{number}.bias"])
        # ImageNet's last features are of size 4; at that size Adam's first steps throw the head's logits about.
        # ReLU lets a positive factor through, so dividing the last layer only rescales the features.
        convolutions[-1].weight /= FEATURE_SIZE
        convolutions[-1].bias /= FEATURE_SIZE
        net.head.weight.zero_()
        net.head.bias.zero_()
