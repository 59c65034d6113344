"""Plain pictures, told apart by measures with known values."""

from __future__ import annotations

import numpy as np
import pytest

import pictures
from spinecare.quality.plain import NOISE_CORRELATION, coloured_area, is_text, neighbour_correlation


def test_white_noise_has_no_correlation_and_its_blur_has() -> None:
    noise = pictures.white_noise(1)
    assert abs(neighbour_correlation(noise)) < 0.05
    # The mean of two neighbours: a correlation of one half.
    assert neighbour_correlation(0.5 * (noise[1:] + noise[:-1])) == pytest.approx(0.5, abs=0.03)
    assert neighbour_correlation(pictures.spine(0)) > 2 * NOISE_CORRELATION


def test_thin_coloured_lines_are_no_coloured_area_and_patches_are() -> None:
    colour = np.full((224, 224, 3), 90, dtype=np.uint8)
    colour[::20] = (255, 255, 0)
    colour[:, ::40] = (255, 255, 0)
    assert coloured_area(colour) < 0.01
    colour[:112] = (200, 120, 40)
    assert coloured_area(colour) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", sorted(pictures.NOT_SPINES))
def test_only_text_is_text(name: str) -> None:
    assert not is_text(pictures.NOT_SPINES[name](0))


def test_text_is_text_on_any_ground() -> None:
    assert is_text(pictures.text_screen(5))
    assert is_text(pictures.text_screen(5, dark=False))
    assert not is_text(pictures.spine(0))
