"""Where vertebrae stand: frames, sizes, sagittal and coronal curves, visits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.phantom import population, skeleton
from spinecare.phantom.maps import Visit
from spinecare.phantom.skeleton import FIRST, Skeleton

ANGLE = st.floats(-0.6, 0.6)


def spines(n: int, seed: int = 3) -> list[Skeleton]:
    people = population.draw_people(np.random.default_rng(seed), n)
    return [skeleton.build(people.person(i), np.random.default_rng([seed, i, 1])) for i in range(n)]


@given(ANGLE, ANGLE, ANGLE)
def test_own_axes_are_square_and_right_handed(coronal: float, sagittal: float, axial: float) -> None:
    axes = skeleton.rotation(coronal, sagittal, axial)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_what_the_three_angles_do() -> None:
    right, down, back = skeleton.rotation(0.1, 0.0, 0.0)
    assert right[1] == pytest.approx(np.sin(0.1))  # its right side sinks
    assert down[0] == pytest.approx(-np.sin(0.1))  # its foot goes to the picture's left
    assert back[2] == 1
    front = -skeleton.rotation(0.0, 0.2, 0.0)[2]
    assert front[1] == pytest.approx(np.sin(0.2))  # the front goes down
    assert skeleton.rotation(0.0, 0.0, 0.2)[2][0] == pytest.approx(np.sin(0.2))  # the back goes right


def test_l5_is_tipped_forward_and_l1_back() -> None:
    tips = np.degrees(np.mean([[np.arcsin(b.axes[1, 2]) for b in s.vertebrae] for s in spines(60)], axis=0))
    assert 12 < tips[-1] < 24
    assert -14 < tips[FIRST] < -5
    assert (np.diff(tips[FIRST + 1 :]) > 3).all()


def test_levels_widen_downwards_and_the_sacrum_follows_l5() -> None:
    many = spines(60)
    width = np.mean([[b.half_width for b in s.vertebrae] for s in many], axis=0)
    assert (np.diff(width[:-1]) > 0).all()
    for s in many:
        assert [b.centre[1] for b in s.vertebrae] == sorted(b.centre[1] for b in s.vertebrae)
        assert s.sacrum.centre[1] > s["L5"].centre[1] + s["L5"].half_height


def test_separators_lie_between_the_bodies() -> None:
    for s in spines(40):
        for (a, b), upper, lower in zip(s.separators, s.vertebrae[FIRST - 1 :], s.vertebrae[FIRST:], strict=False):
            x = (upper.centre[0] + lower.centre[0]) / 2
            assert upper.centre[1] < a + b * x < lower.centre[1]


def test_about_one_in_ten_has_a_scoliosis() -> None:
    cobb = np.array([s.cobb_deg for s in spines(400)])
    assert 0.04 < (cobb > 10).mean() < 0.16


def test_fractures_are_lower_and_commoner_in_weak_bone() -> None:
    people = population.draw_people(np.random.default_rng(8), 600)
    many = [skeleton.build(people.person(i), np.random.default_rng([8, i, 1])) for i in range(600)]
    broken = np.array([any(b.fracture_grade for b in s.vertebrae) for s in many])
    weak = people.bmd_total < np.median(people.bmd_total)
    assert broken[weak].mean() > 2 * broken[~weak].mean() > 0
    low = [b.half_height / b.half_width for s in many for b in s.vertebrae if b.fracture_grade >= 2]
    sound = [b.half_height / b.half_width for s in many for b in s.vertebrae if not b.fracture_grade]
    assert np.mean(low) < 0.92 * np.mean(sound)


def test_a_visit_of_zeros_changes_nothing() -> None:
    s = spines(1)[0]
    lying = skeleton.posed(s, Visit())
    np.testing.assert_allclose(lying["L3"].axes, s["L3"].axes, atol=1e-12)
    np.testing.assert_allclose(lying["S1"].centre, s["S1"].centre, atol=1e-9)
    np.testing.assert_allclose(lying.separators, s.separators, atol=1e-9)


@settings(max_examples=30)
@given(st.floats(-8, 8), st.floats(-10, 10), st.floats(-20, 20))
def test_bodies_and_separators_move_together(turn: float, dx: float, dy: float) -> None:
    s = spines(1)[0]
    lying = skeleton.posed(s, Visit(shift_x_mm=dx, shift_y_mm=dy, turn_deg=turn))
    c, w = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    for old, new in zip(s.vertebrae, lying.vertebrae, strict=True):
        x, y, z = old.centre
        np.testing.assert_allclose(new.centre, [c * x - w * y + dx, w * x + c * y + dy, z], atol=1e-9)
    # Two points of each old line lie on the new one.
    for (a, b), (p, q) in zip(s.separators, lying.separators, strict=True):
        for x in (-20.0, 20.0):
            y = a + b * x
            assert w * x + c * y + dy == pytest.approx(p + q * (c * x - w * y + dx), abs=1e-6)


def test_roll_brings_the_spinous_processes_to_the_side_and_flexion_flattens() -> None:
    s = spines(1)[0]
    assert skeleton.posed(s, Visit(roll_deg=5.0))["L3"].axes[2, 0] > s["L3"].axes[2, 0] + 0.07
    flat = skeleton.posed(s, Visit(flexion_deg=10.0))

    def lordosis(one: Skeleton) -> float:
        return float(np.degrees(np.arcsin(one["S1"].axes[1, 2]) - np.arcsin(one["L1"].axes[1, 2])))

    assert lordosis(s) - lordosis(flat) == pytest.approx(10.0, abs=0.3)
