"""The shared types: the few that compute something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers import four_levels, some_scan
from spinecare.scan import LABELS, Label, Level, Mapping

numbers = st.floats(-1000.0, 1000.0)


def test_labels_stand_in_the_order_of_the_contract() -> None:
    assert [label.value for label in LABELS] == ["normal", "low_bone_mass", "osteoporosis"]
    assert Label("osteoporosis") is Label.OSTEOPOROSIS


def test_grey_is_white_at_one_and_clipped() -> None:
    pixels = np.float32([[-5.0, 0.0], [127.5, 300.0]])
    grey = some_scan(pixels=pixels, white=255.0).grey
    np.testing.assert_allclose(grey, [[0.0, 0.0], [0.5, 1.0]])
    assert grey.dtype == np.float32


@given(
    scale=st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)),
    shear=st.floats(-0.05, 0.05),
    shift=st.tuples(numbers, numbers),
    point=st.tuples(numbers, numbers),
)
def test_a_mapping_takes_points_there_and_back(
    scale: tuple[float, float], shear: float, shift: tuple[float, float], point: tuple[float, float]
) -> None:
    mapping = Mapping(np.array([[scale[0], shear, shift[0]], [shear, scale[1], shift[1]]]))
    # float32 on the way: about a thousand units away, a hundredth of a pixel after the smallest scale.
    np.testing.assert_allclose(mapping.to_scan(mapping.to_image([point])), [point], atol=0.05)


def test_a_mapping_in_numbers() -> None:
    mapping = Mapping(np.array([[2.0, 0.0, 1.0], [0.0, 3.0, -1.0]]))
    np.testing.assert_allclose(mapping.to_image([[10.0, 20.0]]), [[21.0, 59.0]])


def test_rows_of_a_level_do_not_depend_on_where_its_polygon_starts() -> None:
    level = four_levels()[1]
    rolled = Level("L2", np.roll(level.polygon, 1, axis=0), level.source, level.confidence)
    assert (level.top_row, level.bottom_row) == (rolled.top_row, rolled.bottom_row) == (60.0, 100.0)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        some_scan().white = 1.0  # type: ignore[misc]
