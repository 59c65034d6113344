"""A small convolutional network of our own: fast, and a check on what the large ones add."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from spinecare.learn.networks.base import DeepMember


class Centre(nn.Module):
    """Grey levels in [0, 1] to about [-2, 2], inside the network so that nobody can forget it."""

    def forward(self, image: Tensor) -> Tensor:
        """Image (n, 1, height, width) → the same shape."""
        return (image - 0.5) * 4.0


def _convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    ]


def cnn(width: int = 24, dropout: float = 0.3) -> DeepMember:
    """Five stages (one, then twice two convolutions each), channels doubling from `width` to 8 `width`."""
    channels = [width, 2 * width, 4 * width, 8 * width, 8 * width]
    stages: list[nn.Module] = [
        nn.Sequential(
            Centre(), nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
    ]
    for before, after in pairwise(channels):
        stages.append(nn.Sequential(nn.MaxPool2d(2), *_convolution(before, after), *_convolution(after, after)))
    return DeepMember(stages, channels[-1], dropout)
