"""Heights, ratios and tilt of boxes that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from answers import four_levels
from spinecare.measure.shape import lengths_and_tilt
from spinecare.scan import Level


def test_heights_in_pixels_and_millimetres() -> None:
    found = lengths_and_tilt(four_levels(height_px=40.0), (0.5, 0.25))
    assert found["height_l1_px"] == pytest.approx(40.0)
    assert found["height_l4_mm"] == pytest.approx(20.0)
    assert found["height_l1_l4_mm"] == pytest.approx(80.0)
    assert found["height_ratio_l2_l3"] == pytest.approx(1.0)


def test_without_spacing_there_are_no_millimetres() -> None:
    assert not [name for name in lengths_and_tilt(four_levels()) if name.endswith("_mm")]


def test_a_collapsed_level_shows_in_its_ratios() -> None:
    l1, l2, l3, l4 = four_levels(height_px=40.0)
    flat = Level("L2", np.float32([[60, 60], [60, 100], [80, 100], [80, 60]]), l2.source, 0.9)
    found = lengths_and_tilt((l1, flat, l3, l4))
    assert found["height_ratio_l1_l2"] == pytest.approx(2.0)
    assert found["height_ratio_l2_l3"] == pytest.approx(0.5)


@pytest.mark.parametrize(("lean", "degrees"), [(0.0, 0.0), (40.0, 45.0), (-40.0, -45.0)])
def test_tilt_is_above_zero_to_the_right_going_down(lean: float, degrees: float) -> None:
    assert lengths_and_tilt(four_levels(lean_px=lean))["tilt_deg"] == pytest.approx(degrees, abs=1e-4)


def test_tilt_counts_millimetres_and_not_pixels_where_they_are_known() -> None:
    # 10 columns of 0.25 mm on 40 rows of 0.5 mm: atan(2.5 / 20).
    found = lengths_and_tilt(four_levels(lean_px=10.0), (0.5, 0.25))
    assert found["tilt_deg"] == pytest.approx(math.degrees(math.atan(2.5 / 20.0)), abs=1e-4)


def test_no_levels_no_numbers() -> None:
    assert lengths_and_tilt(()) == {}
