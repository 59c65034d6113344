"""What is projected holds exactly the bone that the population drew, and repeats at each visit."""

from __future__ import annotations

import numpy as np
import pytest

from spinecare.phantom import anatomy, population, skeleton
from spinecare.phantom.maps import PIXEL_MM, Plane, Projection, Visit
from spinecare.phantom.population import People
from spinecare.phantom.skeleton import FIRST

PLANE = Plane(420, 260, PIXEL_MM, 210.0, 130.0)


def draw(seed: int, visit: Visit | None = None) -> tuple[People, Projection]:
    person = population.draw_people(np.random.default_rng([seed, 0]), 1)
    bones = skeleton.build(person, np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 1, 1])
    return person, anatomy.project(bones, person, PLANE, visit or Visit(), rng)


@pytest.mark.parametrize("seed", range(6))
def test_each_mask_has_the_drawn_bmd_area_and_degeneration(seed: int) -> None:
    visit = Visit(3.0, -7.0, 1.5, 2.0, -3.0) if seed % 2 else Visit()
    person, seen = draw(seed, visit)
    for i, mask in enumerate(seen.masks):
        assert seen.bone[mask].mean(dtype=np.float64) == pytest.approx(person.bmd[0, i], abs=1e-5)
        assert seen.added[mask].mean(dtype=np.float64) == pytest.approx(person.degeneration[0, i], abs=1e-5)
        assert mask.sum() * PIXEL_MM**2 / 100 == pytest.approx(person.area[0, i], rel=1e-3)
    assert seen.bone.min() >= 0
    assert seen.added.min() >= 0
    assert np.isfinite(seen.bone).all()


def test_masks_lie_between_their_separators_and_make_up_the_parts() -> None:
    _, seen = draw(11)
    band = anatomy.level_bands(seen.separators, PLANE)
    for i, mask in enumerate(seen.masks):
        assert set(band[mask]) == {i + 1}
        np.testing.assert_array_equal(seen.parts == i + 1, mask)
        assert seen.column[mask].all()
    np.testing.assert_array_equal(seen.parts > 0, seen.column)
    rows = np.arange(PLANE.rows)[:, None] * np.ones((1, PLANE.cols))
    middle = [rows[seen.parts == part].mean() for part in (5, 1, 2, 3, 4, 6)]
    assert middle == sorted(middle)


def test_the_same_stream_gives_the_same_picture() -> None:
    np.testing.assert_array_equal(draw(4)[1].bone, draw(4)[1].bone)


def test_a_shift_moves_the_picture() -> None:
    here, there = draw(5)[1], draw(5, Visit(shift_x_mm=6.0, shift_y_mm=-9.0))[1]
    # 10 pixels to the right and 15 up.
    inner = (slice(60, 340), slice(40, 200))
    moved = there.bone[45:325, 50:210]
    assert np.corrcoef(here.bone[inner].ravel(), moved.ravel())[0, 1] > 0.999


def test_another_visit_shows_the_same_bones_not_quite_alike() -> None:
    here = draw(6)[1]
    inside = here.masks[1]
    rolled = draw(6, Visit(roll_deg=1.5, flexion_deg=1.0))[1]
    alike = np.corrcoef(here.bone[inside], rolled.bone[inside])[0, 1]
    assert 0.85 < alike < 0.9999


def test_discs_are_darker_than_bodies() -> None:
    dark = []
    for seed in range(8):
        person = population.draw_people(np.random.default_rng([seed, 0]), 1)
        bones = skeleton.build(person, np.random.default_rng([seed, 1]))
        seen = draw(seed)[1]
        for k in range(FIRST, FIRST + 3):
            body, below = bones.vertebrae[k], bones.vertebrae[k + 1]
            a, b = seen.separators[k - FIRST + 1]
            x = (body.centre[0] + below.centre[0]) / 2
            row, col = round(PLANE.row0 + (a + b * x) / PIXEL_MM), round(PLANE.col0 + x / PIXEL_MM)
            mean = seen.bone[seen.masks[k - FIRST]].mean()
            dark.append(seen.bone[row - 1 : row + 2, col - 25 : col + 26].mean() / mean)
    assert np.mean(dark) < 0.9


def test_bones_thicken_where_the_column_is() -> None:
    _, seen = draw(9)
    assert 2.0 < np.median(seen.thickness_cm[seen.masks.any(axis=0)]) < 8.0
    assert np.median(seen.thickness_cm[seen.parts == 0]) < 0.5
