from __future__ import annotations

import numpy as np
import torch

from spinecare.learn.augment import augment
from spinecare.learn.recipe import AugmentSettings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pictures_keep_shape_and_range() -> None:
    images = torch.rand(8, 1, 64, 32, generator=generator(1))
    out = augment(images, AugmentSettings(gain=0.5, noise=0.3), generator())
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def test_no_strength_changes_nothing(no_change: AugmentSettings) -> None:
    images = torch.rand(4, 1, 64, 32, generator=generator(1))
    torch.testing.assert_close(augment(images, no_change, generator()), images, atol=1e-5, rtol=0)


def test_the_same_draws_give_the_same_pictures_and_others_do_not() -> None:
    images = torch.rand(4, 1, 64, 32, generator=generator(1))
    first = augment(images, AugmentSettings(), generator(3))
    assert torch.equal(first, augment(images, AugmentSettings(), generator(3)))
    assert not torch.equal(first, augment(images, AugmentSettings(), generator(4)))


def test_a_flip_is_a_mirror_image() -> None:
    images = torch.rand(2, 1, 64, 32, generator=generator(1))
    out = augment(images, AugmentSettings(0, 0, 0, 0, 0, 0, 0, 0, flip=1.0), generator())
    torch.testing.assert_close(out, images.flip(3), atol=1e-5, rtol=0)


def test_a_rotation_keeps_lengths_although_the_picture_is_not_square() -> None:
    # A disc stays a disc: its extent along rows and columns agree after any rotation.
    rows, cols = np.mgrid[0:96, 0:48]
    disc = ((rows - 47.5) ** 2 + (cols - 23.5) ** 2 < 15**2).astype(np.float32)
    turned = AugmentSettings(0, 45.0, 0, 0, 0, 0, 0, 0, 0)
    out = augment(torch.from_numpy(disc)[None, None].repeat(16, 1, 1, 1), turned, generator()).numpy()[:, 0]
    np.testing.assert_allclose((out > 0.5).any(axis=2).sum(axis=1), 30, atol=2)
    np.testing.assert_allclose((out > 0.5).any(axis=1).sum(axis=1), 30, atol=2)
