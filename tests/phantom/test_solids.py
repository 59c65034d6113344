import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.phantom import solids
from spinecare.phantom.maps import Plane

PLANE = Plane(200, 180, 0.6, 100.0, 90.0)
CM2 = (PLANE.mm / 10) ** 2


def straight(length: float, direction: tuple[float, float, float] = (0, 1, 0)) -> np.ndarray:
    at = np.arange(0, length + 0.25, 0.5)[:, None]
    return np.asarray(at * (np.array(direction) / np.linalg.norm(direction)))


@given(st.floats(3, 9), st.floats(3, 9), st.floats(0.3, 1.2), st.floats(0.0, 0.3))
@settings(max_examples=20, deadline=None)
def test_a_tube_weighs_what_its_walls_and_core_weigh(a: float, b: float, shell: float, spongy: float) -> None:
    length = 40.0
    cloud = solids.tube(straight(length), (1, 0, 0), a, b, shell, spongy, around=40, rings=4)
    whole, core = np.pi * a * b, np.pi * (a - shell) * (b - shell)
    expected = length * ((whole - core) * solids.CORTICAL_G_CM3 + core * spongy)
    assert cloud.mass_mg.sum() == pytest.approx(expected, rel=0.02)
    assert cloud.volume_mm3.sum() == pytest.approx(length * whole, rel=1e-3)


def test_caps_close_an_end_with_a_plate() -> None:
    open_, closed = (solids.tube(straight(20), (1, 0, 0), 10, 5, 0.5, 0.1, caps_mm=caps) for caps in ((0, 0), (0, 1.5)))
    plate = np.pi * 10 * 5 * 1.5 * solids.CORTICAL_G_CM3
    assert closed.mass_mg.sum() - open_.mass_mg.sum() == pytest.approx(plate, rel=1e-4)


def test_projection_keeps_mass_and_volume() -> None:
    cloud = solids.tube(straight(40), (1, 0, 0), 8, 6, 0.7, 0.1)
    bone, thickness = solids.project(cloud, PLANE)
    assert bone.dtype == thickness.dtype == np.float32
    assert bone.sum() * CM2 == pytest.approx(cloud.mass_mg.sum() / 1000, rel=1e-4)
    assert thickness.sum() * CM2 == pytest.approx(cloud.volume_mm3.sum() / 1000, rel=1e-4)


def test_projection_puts_a_point_where_it_is() -> None:
    point = solids.Cloud(np.array([[12.0, -18.0, 55.0]], np.float32), np.ones(1, np.float32), np.ones(1, np.float32))
    bone, _ = solids.project(point, PLANE)
    weight = bone / bone.sum()
    assert (weight.sum(0) @ PLANE.x, weight.sum(1) @ PLANE.y) == (
        pytest.approx(12, abs=1e-3),
        pytest.approx(-18, abs=1e-3),
    )


def test_what_lies_beside_the_plane_is_not_drawn() -> None:
    cloud = solids.tube(straight(40), (1, 0, 0), 5, 5, 0.7, 0.1)
    whole, _ = solids.project(cloud, PLANE)
    beyond, thickness = solids.project(cloud.moved(np.array([500.0, 0, 0]), np.eye(3)), PLANE)
    assert not beyond.any()
    assert not thickness.any()
    # A smaller plane shows the same pixels.
    part, _ = solids.project(cloud, Plane(80, 60, 0.6, 60.0, 30.0))
    np.testing.assert_allclose(part, whole[40:120, 60:120], atol=1e-5)


@pytest.mark.parametrize("slope_deg", [0, 40, 60])
def test_a_slanted_plate_is_brighter_by_its_slant(slope_deg: float) -> None:
    u, v = np.meshgrid(np.arange(-20, 20.1, 0.5), np.arange(-20, 20.1, 0.5), indexing="ij")
    tip = np.radians(slope_deg)
    surface = np.stack([v, u * np.cos(tip), u * np.sin(tip)], axis=2)
    bone, thickness = solids.project(solids.sheet(surface, 6.0, 2.0, 0.1), PLANE)
    flat = 0.2 * solids.CORTICAL_G_CM3 + 0.4 * 0.1
    assert bone[95:106, 85:96].mean() == pytest.approx(flat / np.cos(tip), rel=0.02)
    assert thickness[95:106, 85:96].mean() == pytest.approx(0.6 / np.cos(tip), rel=0.02)


def test_a_path_goes_through_its_knots() -> None:
    knots = np.array([[0, 0, 0], [10, 2, 1], [14, 12, -3]], float)
    path = solids.smooth_path(knots, 0.5)
    for knot in knots:
        assert np.linalg.norm(path - knot, axis=1).min() < 1e-9
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.9


def test_a_mirrored_cloud_lies_on_the_other_side() -> None:
    cloud = solids.tube(straight(10, (1, 1, 0)), (0, 0, 1), 2, 2, 0.5, 0.1)
    twice = solids.joined([cloud, solids.mirrored(cloud)])
    bone, _ = solids.project(twice, Plane(181, 181, 0.6, 90.0, 90.0))
    np.testing.assert_allclose(bone, bone[:, ::-1], atol=1e-5)
