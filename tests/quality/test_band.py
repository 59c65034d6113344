"""The band and its signs, against pictures whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest

import pictures
from spinecare.quality.band import (
    SIZE,
    correlation,
    find_band,
    signs,
    small_copy,
    straighten,
    widths,
)
from spinecare.scan import Float32


def copy_of(picture: Float32) -> Float32:
    return small_copy(picture, np.ones(picture.shape, dtype=np.bool_))


def test_the_band_follows_a_leaning_bar() -> None:
    rows, cols = np.mgrid[:SIZE, :SIZE]
    centre = 50.0 + 0.2 * rows[:, 0]
    picture = (np.abs(cols - centre[:, None]) < 12).astype(np.float32)
    band = find_band(copy_of(picture))
    assert np.abs(band.centre - centre)[8:-8].max() < 3.0
    strip, across = straighten(copy_of(picture), band)
    assert signs(copy_of(picture), band, strip, across)["lean"] == pytest.approx(0.2, abs=0.03)


def test_widths_of_a_wedge_are_measured() -> None:
    rows, cols = np.mgrid[:SIZE, :SIZE]
    half = 12.0 + 8.0 * rows / SIZE  # log(20 / 12) from the first row to the last
    picture = (np.abs(cols - 64.0) < half).astype(np.float32)
    small = copy_of(picture)
    band = find_band(small)
    strip, across = straighten(small, band)
    measured = widths(strip, across) * band.half_width
    expected = 2.0 * (12.0 + 8.0 * (np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(measured, expected, atol=1.5)
    growth = signs(small, band, strip, across)["growth"]
    assert growth == pytest.approx(np.log(expected[-1] / expected[0]), abs=0.05)


def test_the_distance_between_vertebrae_is_found() -> None:
    rows, cols = np.mgrid[:SIZE, :SIZE]
    bar = np.abs(cols - 64.0) < 16
    picture = (0.1 + bar * (0.5 + 0.2 * np.cos(2 * np.pi * rows / 21.0))).astype(np.float32)
    small = copy_of(picture)
    band = find_band(small)
    found = signs(small, band, *straighten(small, band))
    assert found["spacing"] == pytest.approx(21.0, abs=1.0)
    assert found["repeat"] > 0.9
    assert found["even"] > 0.7


def test_a_mirror_image_has_the_same_signs() -> None:
    picture = pictures.spine(3)
    one, other = (copy_of(p) for p in (picture, np.ascontiguousarray(picture[:, ::-1])))
    ours, theirs = (
        signs(small, band, *straighten(small, band)) for small in (one, other) for band in [find_band(small)]
    )
    for name, value in ours.items():
        assert theirs[name] == pytest.approx(value, abs=0.05), name


def test_margins_that_were_not_scanned_change_nothing() -> None:
    picture = pictures.spine(0)
    framed = np.ones((picture.shape[0] + 40, picture.shape[1] + 40), dtype=np.float32)
    framed[20:-20, 20:-20] = picture
    valid = np.zeros(framed.shape, dtype=np.bool_)
    valid[20:-20, 20:-20] = True
    np.testing.assert_array_equal(small_copy(framed, valid), copy_of(picture))


def test_correlation_is_pearsons_and_zero_for_flat_things() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=100), rng.normal(size=100)
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert correlation(a, np.ones(100)) == 0.0
