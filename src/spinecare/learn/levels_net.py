"""The network that tells L1-L4 from each other, from what lies above and from what lies below."""

from __future__ import annotations

import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn
from torch.nn import functional

# Side of the blocks whose mean and spread the local contrast is measured in, in pixels of the network's picture.
BLOCK = 8
# Grey (of 1) that counts as no contrast at all: below it differences are noise, and stay small.
FLOOR = 0.05


class LocalContrast(nn.Module):
    """Grey against the mean and spread around it, so that the window of a display does not matter.

    The neighbourhood is about five blocks wide: wider than a vertebra, narrower than the spine is long.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Image (n, 1, rows, cols) in [0, 1] → the same shape, about [-2, 2]."""
        size = [int(image.shape[2]), int(image.shape[3])]

        def around(x: Tensor) -> Tensor:
            coarse = functional.avg_pool2d(x, BLOCK)
            wide = functional.avg_pool2d(coarse, 5, stride=1, padding=2, count_include_pad=False)
            return functional.interpolate(wide, size=size, mode="bilinear", align_corners=False)

        mean = around(image)
        variance = (around(image * image) - mean * mean).clamp_min(0.0)
        return ((image - mean) / torch.sqrt(variance + FLOOR**2)).clamp(-3.0, 3.0)


class LevelNet(nn.Module):
    """A U-Net that sees the whole scan: seven classes for each pixel of half its size (`prepare.network.PARTS`).

    It is not told where in the picture a pixel lies: with that, half of what it knew of real scans was where operators
    usually put L1.

    Parameters
    ----------
    features
        Channels of its five stages (from half the size to one thirty-second) and of its last layer.
    """

    def __init__(self, features: tuple[int, ...], classes: int = 7) -> None:
        super().__init__()
        self.contrast = LocalContrast()
        self.stem = nn.Sequential(
            nn.Conv2d(2, features[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(features[0]),
            nn.LeakyReLU(0.1),
        )
        self.net = BasicUNet(2, features[0], classes, features=features, norm="batch")

    def forward(self, image: Tensor) -> Tensor:
        """Image (n, 1, rows, cols) in [0, 1] → logits (n, 7, rows / 2, cols / 2)."""
        seen = torch.cat([self.contrast(image), (image - 0.5) * 2.0], dim=1)
        out: Tensor = self.net(self.stem(seen))
        return out


class Answering(nn.Module):
    """What is exported: probabilities in the place of logits."""

    def __init__(self, net: LevelNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Image (n, 1, rows, cols) in [0, 1] → probabilities (n, 7, rows / 2, cols / 2)."""
        return torch.softmax(self.net(image), dim=1)
