"""The map from scan to prepared picture, and the cut along it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinecare.prepare.crop import MARGIN, SpineBand, crop, crop_mapping, normalise, row_at
from spinecare.scan import LEVEL_NAMES, Level
from spinecare.settings import PrepareSettings

SETTINGS = PrepareSettings()


def levels_between(top: float, bottom: float, left: float, right: float, tilt: float = 0.0) -> tuple[Level, ...]:
    """Four equal levels; `tilt`: how much lower every right end lies than the left."""
    edges = np.linspace(top, bottom, 5)
    return tuple(
        Level(
            name,
            np.array(
                [[a - tilt / 2, left], [a + tilt / 2, right], [b + tilt / 2, right], [b - tilt / 2, left]], np.float32
            ),
            "simulated",
            1.0,
        )
        for name, a, b in zip(LEVEL_NAMES, edges[:-1], edges[1:], strict=True)
    )


@given(
    top=st.floats(-20, 300),
    height=st.floats(40, 900),
    centre=st.floats(20, 600),
    width=st.floats(10, 400),
    points=st.lists(st.tuples(st.floats(-100, 1500), st.floats(-100, 1500)), min_size=1, max_size=5),
)
def test_to_image_and_back(
    top: float, height: float, centre: float, width: float, points: list[tuple[float, float]]
) -> None:
    levels = levels_between(top, top + height, centre - width, centre + width)
    mapping = crop_mapping(levels, SpineBand(centre, width), SETTINGS)
    assert np.allclose(mapping.to_scan(mapping.to_image(points)), points, atol=0.02)


@given(tilt=st.floats(-60, 60))
def test_levels_fill_the_height_and_the_spine_half_the_width(tilt: float) -> None:
    levels = levels_between(40, 190, 10, 200, tilt)
    spine = SpineBand(105.0, 60.0)  # the middle of the box, where tilted lines cross at the given rows
    mapping = crop_mapping(levels, spine, SETTINGS)
    top, bottom = mapping.to_image([[40, 105], [190, 105]])[:, 0] + 0.5
    share = MARGIN / (1 + 2 * MARGIN)
    assert top == pytest.approx(share * SETTINGS.height, abs=0.01)
    assert bottom == pytest.approx((1 - share) * SETTINGS.height, abs=0.01)
    left, right = mapping.to_image([[100, 75], [100, 135]])[:, 1] + 0.5
    assert left == pytest.approx(SETTINGS.width / 4, abs=0.01)
    assert right == pytest.approx(3 * SETTINGS.width / 4, abs=0.01)


def test_width_of_the_operators_box_does_not_matter() -> None:
    spine = SpineBand(100.0, 50.0)
    narrow, wide = (crop_mapping(levels_between(40, 190, 100 - w, 100 + w), spine, SETTINGS) for w in (40, 95))
    assert np.array_equal(narrow.matrix, wide.matrix)


def test_crop_shows_what_the_mapping_says() -> None:
    grey = np.zeros((224, 224), np.float32)
    grey[100:111, 90:101] = 1.0
    mapping = crop_mapping(levels_between(40, 190, 10, 200), SpineBand(105, 60), SETTINGS)
    image = crop(grey, mapping, SETTINGS)
    assert image.shape == (192, 96)
    rows, cols = np.mgrid[:192, :96]
    found = np.array([(image * rows).sum(), (image * cols).sum()]) / image.sum()
    assert found == pytest.approx(mapping.to_image([[105, 95]])[0], abs=0.05)


def test_shrinking_averages_noise_instead_of_aliasing() -> None:
    grey = np.random.default_rng(0).normal(0.5, 0.1, (800, 800)).astype(np.float32)
    mapping = crop_mapping(levels_between(20, 780, 100, 700), SpineBand(400, 380), SETTINGS)
    assert crop(grey, mapping, SETTINGS).std() < 0.1 / 4  # a block mean of 4.2 x 7.9 pixels would have 0.1 / 5.8


def test_outside_and_unscanned_take_the_tone_of_soft_tissue() -> None:
    grey = np.full((100, 100), 0.2, np.float32)
    grey[:, 40:60] = 0.8
    valid = np.ones((100, 100), bool)
    grey[:, :30] = 1.0
    valid[:, :30] = False
    mapping = crop_mapping(levels_between(-20, 120, 10, 90), SpineBand(50, 25), SETTINGS)
    image = crop(grey, mapping, SETTINGS, valid)
    assert np.allclose(image[:5], 0.2, atol=1e-3)
    assert np.allclose(image[:, :5], 0.2, atol=1e-3)


@given(gain=st.floats(0.2, 5), offset=st.floats(-1, 1))
def test_normalising_undoes_any_window(gain: float, offset: float) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (64, 32)).astype(np.float32)
    assert np.allclose(normalise((gain * image + offset).astype(np.float32)), normalise(image), atol=1e-3)


def test_normalised_percentiles_and_flat_pictures() -> None:
    image = normalise(np.linspace(0.2, 0.4, 1001, dtype=np.float32).reshape(7, 143))
    assert (image == 0).mean() == pytest.approx(0.01, abs=0.002)
    assert (image == 1).mean() == pytest.approx(0.01, abs=0.002)
    assert not normalise(np.full((5, 5), 0.7, np.float32)).any()


def test_row_at_interpolates_and_survives_a_point() -> None:
    a, b = np.array([10, 0], np.float32), np.array([20, 100], np.float32)
    assert row_at(a, b, 25) == pytest.approx(12.5)
    assert row_at(a, a, 25) == pytest.approx(10)
