"""Training pictures varied: batched torch operations on (n, 1, height, width) in [0, 1], training only."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from spinecare.learn.recipe import AugmentSettings


def augment(images: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Each picture of a batch moved, turned, scaled, rewindowed, blurred and made noisy, each by its own draw.

    Parameters
    ----------
    images
        float32 (n, 1, height, width) in [0, 1].
    settings
        The largest change of each kind.
    generator
        All draws come from it: the same generator state gives the same pictures.

    Returns
    -------
    float32, the same shape, in [0, 1].
    """
    moved = _move(images, settings, generator)
    windowed = _window(moved, settings, generator)
    return _degrade(windowed, settings, generator).clamp(0.0, 1.0)


def _uniform(n: int, largest: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=generator) * 2 - 1) * largest


def _move(images: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    n, _, height, width = images.shape
    angle = _uniform(n, math.radians(settings.rotation_deg), generator)
    scale = 1 + _uniform(n, settings.scale, generator)
    mirror = torch.where(torch.rand(n, generator=generator) < settings.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    # affine_grid counts each side from -1 to 1, so a rotation needs the aspect ratio.
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = cos * mirror
    theta[:, 0, 1] = -sin * height / width
    theta[:, 1, 0] = sin * mirror * width / height
    theta[:, 1, 1] = cos
    theta[:, 0, 2] = _uniform(n, 2 * settings.shift, generator)
    theta[:, 1, 2] = _uniform(n, 2 * settings.shift, generator)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _window(images: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    n = len(images)
    gamma = torch.exp(_uniform(n, settings.gamma, generator)).view(n, 1, 1, 1)
    gain = (1 + _uniform(n, settings.gain, generator)).view(n, 1, 1, 1)
    return images.clamp(0.0, 1.0) ** gamma * gain


def _degrade(images: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    n, _, height, width = images.shape
    kernel = torch.tensor([1.0, 2.0, 1.0])
    kernel = (kernel[:, None] * kernel[None, :] / 16).view(1, 1, 3, 3)
    blurred = functional.conv2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), kernel)
    share = torch.rand(n, 1, 1, 1, generator=generator) * settings.blur
    noise = torch.rand(n, 1, 1, 1, generator=generator) * settings.noise
    lines = torch.rand(n, 1, 1, 1, generator=generator) * settings.line_noise
    return (
        torch.lerp(images, blurred, share)
        + noise * torch.randn(n, 1, height, width, generator=generator)
        + lines * torch.randn(n, 1, height, 1, generator=generator)
    )
