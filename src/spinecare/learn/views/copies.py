"""Augmented copies of scans, the same ones for every view, and views of plain pixels made from them piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.recipe import AugmentSettings
from spinecare.scan import Float32

if TYPE_CHECKING:
    from spinecare.learn.material import Material

Of = Literal["images", "raws", "wholes"]

# Scans at a time: with eight copies each, 40 MB of prepared pictures.
CHUNK = 64


def copies_of(pixels: Float32, settings: AugmentSettings, copies: int, seed: int, first: int = 0) -> Float32:
    """Each picture and its augmented copies.

    All draws of a scan come from a generator of its own, seeded by `seed` and the scan's position. So the picture, the
    raw crop and the whole of one copy are moved, rewindowed and blurred by the same draws, and it does not matter in
    which pieces the scans are taken.

    Parameters
    ----------
    pixels
        float32 (n, height, width) in [0, 1].
    settings
        The largest change of each kind.
    copies
        Augmented copies of each; 0 gives the pictures alone.
    seed
        Of all draws.
    first
        Position of the first picture among the study's scans.

    Returns
    -------
    float32 (n, 1 + copies, height, width) in [0, 1]; copy 0 is the picture itself, untouched.
    """
    out = np.empty((len(pixels), 1 + copies, *pixels.shape[1:]), np.float32)
    out[:, 0] = pixels
    if not copies:
        return out
    import torch  # here, not above: workers that only read cached views need no torch

    from spinecare.learn.augment import augment

    for i, picture in enumerate(pixels):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + first + i)
        batch = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).expand(copies, 1, *picture.shape)
        out[i, 1:] = augment(batch, settings, generator)[:, 0].numpy()
    return out


def chunks(material: Material, of: Of, size: int = CHUNK) -> Iterator[Float32]:
    """The material's scans and copies in order, float32 (at most `size`, 1 + copies, height, width) at a time.

    Raises
    ------
    TrainingError
        When the material was loaded without those pixels.
    """
    pixels = getattr(material.pictures, of)
    if pixels is None:
        raise TrainingError(f"This view needs the scans' {of}. Load them with `load_pictures(..., more=True)`.")
    for start in range(0, len(pixels), size):
        yield copies_of(pixels[start : start + size], material.augment, material.copies, material.seed, start)


def pixel_view(function: Callable[[Float32], Float32], of: Of) -> Callable[[Material], Float32]:
    """A view's maker from a function of pixels.

    Parameters
    ----------
    function
        float32 (m, height, width) → (m, numbers), each picture by itself.
    of
        Which pixels it takes: prepared pictures, raw crops, or whole scans.
    """

    def make(material: Material) -> Float32:
        pieces = []
        for piece in chunks(material, of):
            numbers = function(piece.reshape(-1, *piece.shape[2:]))
            pieces.append(np.asarray(numbers, np.float32).reshape(*piece.shape[:2], -1))
        return np.concatenate(pieces)

    return make
