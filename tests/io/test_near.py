"""One scan twice is found, two similar scans are not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from spinecare.io.near import THUMBNAIL, find_near_identical, thumbnail
from spinecare.scan import Patient, Scan, Source


def spine(seed: int, noise: float = 12.0) -> np.ndarray:
    """A column of blocks with a texture of its own: float32 (240, 220) in 0 ... 255."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:240, 0:220]
    body = 90.0 * np.exp(-(((cols - 110 - rng.normal(0, 3)) / 35.0) ** 4))
    discs = 1.0 - 0.4 * np.exp(-(((((rows + rng.uniform(0, 40)) % 42) - 21) / 4.0) ** 2))
    texture = cv2.GaussianBlur(rng.normal(0, 1, body.shape), (0, 0), 2.0)
    return np.clip(30 + body * discs + 60 * texture + rng.normal(0, noise, body.shape), 0, 255).astype(np.float32)


def thumb(pixels: np.ndarray) -> np.ndarray:
    """Of a grey picture, or of one in colour as `io` reads it."""
    colour = pixels.astype(np.uint8) if pixels.ndim == 3 else None
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    scan = Scan(np.float32(grey), 255.0, Source("x", "0" * 64, "image/png"), Patient("0" * 12), colour=colour)
    return thumbnail(scan)


def moved(pixels: np.ndarray, scale: float, shift: tuple[float, float]) -> np.ndarray:
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE))


def drawn_on(pixels: np.ndarray) -> np.ndarray:
    """Yellow level lines and a box."""
    out = np.repeat(pixels[..., None], 3, axis=2)
    for row in (40, 80, 120, 160, 200):
        out[row, 40:180] = (230, 220, 90)
    out[40:200, [40, 179]] = (230, 220, 90)
    return out


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nothing": lambda p: p,
    "gamma": lambda p: 255 * (p / 255) ** 0.7,
    "window": lambda p: np.clip(1.3 * p - 20, 0, 255),
    "lines drawn on it": drawn_on,
    "another size": lambda p: cv2.resize(p, (300, 260), interpolation=cv2.INTER_AREA),
    "a shift of 3 pixels": lambda p: moved(p, 1.0, (3, -2)),
    "one percent larger": lambda p: moved(p, 1.01, (0, 0)),
    "half a pixel": lambda p: moved(p, 1.0, (0.5, 0.5)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_scan_exported_twice_is_found_among_others(change: str) -> None:
    originals = [thumb(spine(seed)) for seed in range(12)]
    twin = thumb(CHANGES[change](spine(4)))
    found = find_near_identical(np.stack([*originals, twin]))
    assert [(p.first, p.second) for p in found] == [(4, 12)]


def test_spines_of_one_shape_with_another_grain_are_not_one_scan() -> None:
    shape = spine(1, noise=0.0)
    rng = np.random.default_rng(0)
    texture = [60 * cv2.GaussianBlur(rng.normal(0, 1, shape.shape), (0, 0), 2.0) for _ in range(6)]
    smooth = cv2.GaussianBlur(shape, (0, 0), 8)
    assert find_near_identical(np.stack([thumb(np.clip(smooth + t, 0, 255)) for t in texture])) == []


def test_many_copies_are_all_linked() -> None:
    found = find_near_identical(np.stack([thumb(spine(4) * (1 - 0.01 * k)) for k in range(5)]))
    assert len(found) == 10


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_blank_pictures_are_nobodys_twin(n: int) -> None:
    assert find_near_identical(np.full((n, THUMBNAIL, THUMBNAIL), 40, np.uint8)) == []


def test_the_order_of_the_pictures_does_not_matter() -> None:
    pictures = [thumb(spine(seed)) for seed in range(8)]
    pictures += [thumb(moved(spine(k), 1.0, (2, 1))) for k in (1, 5)]
    order = np.random.default_rng(3).permutation(len(pictures))
    straight = {(p.first, p.second) for p in find_near_identical(np.stack(pictures))}
    mixed = find_near_identical(np.stack([pictures[k] for k in order]))
    assert {tuple(sorted((int(order[p.first]), int(order[p.second])))) for p in mixed} == straight == {(1, 8), (5, 9)}
