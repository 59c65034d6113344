"""One vertebra: its solids hold the mineral that geometry says, and its parts show where anatomy puts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from spinecare.phantom import arch, centrum, degeneration, rods, skeleton, vertebra
from spinecare.phantom.look import COMPACT_G_CM3, Look
from spinecare.phantom.maps import PIXEL_MM, Plane
from spinecare.phantom.skeleton import Vertebra

PLANE = Plane(160, 240, PIXEL_MM, 80.0, 120.0)
PIXEL_CM2 = (PIXEL_MM / 10) ** 2


def look(bmd: float = 1.0, seed: int = 0) -> Look:
    return Look.draw(bmd, 0.0, np.random.default_rng(seed))


def bone(name: str = "L3", sagittal: float = 0.0, axial: float = 0.0) -> Vertebra:
    return Vertebra(name, np.zeros(3), skeleton.rotation(0.0, sagittal, axial), 22.0, 13.5, 16.5)


def shadow(one: Vertebra, seed: int = 1, how: Look | None = None) -> vertebra.Shadow:
    cast = vertebra.project(one, how or look(), PLANE, np.random.default_rng(seed))
    assert cast is not None
    return cast


def axis(n: int) -> npt.NDArray[np.float32]:
    return ((np.arange(n) - (n - 1) / 2) * PIXEL_MM).astype(np.float32)


@pytest.mark.parametrize("tip", [0.0, 0.35])
def test_a_rod_holds_the_mineral_of_its_cylinder(tip: float) -> None:
    box = rods.Box.empty(axis(101), axis(101), (np.arange(90) * 1.2 - 54).astype(np.float32))
    a, b, long = 6.0, 9.0, 60.0
    rod = rods.Rod((0, 0, -long / 2), (0, 0, long / 2), (1, 0, 0), a, b, 30.0, 0.2)
    rods.add(box, rod, skeleton.rotation(0.0, tip, 0.0))
    mass = box.density.sum(dtype=np.float64) * PIXEL_CM2 * 0.12
    # An elliptic cylinder and two half ellipsoids as caps, all compact, for the wall is thicker than the rod.
    volume = (np.pi * a * b * long + 4 / 3 * np.pi * a * b * min(a, b)) / 1000
    assert mass == pytest.approx(COMPACT_G_CM3 * volume, rel=0.03)


def test_a_rod_end_on_is_a_ring() -> None:
    box = rods.Box.empty(axis(61), axis(61), (np.arange(30) * 1.2 - 18).astype(np.float32))
    rods.add(box, rods.Rod((0, 0, -12), (0, 0, 12), (1, 0, 0), 6.0, 6.0, 1.2, 0.1), np.eye(3))
    row = box.density.sum(axis=0)[30]
    assert row[30] < 0.3 * row[22:30].max()
    assert row[:18].max() == 0


def test_rods_that_overlap_do_not_add_up() -> None:
    box = rods.Box.empty(axis(61), axis(61), (np.arange(30) * 1.2 - 18).astype(np.float32))
    rod = rods.Rod((-5, 0, 0), (5, 0, 0), (0, 1, 0), 5.0, 5.0, 20.0, 0.1)
    for _ in range(2):
        rods.add(box, rod, np.eye(3))
    assert box.density.max() == pytest.approx(COMPACT_G_CM3, rel=1e-5)


def test_a_body_of_core_alone_holds_core_times_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centrum, "RIM_MM", 0.01)
    form = centrum.Centrum(22.0, 13.5, 16.5, 0.0, 0.0, 0.0, 2.0, (0.0, 0.0), (0.0, 0.0), 0.0, 0.15)
    layers = centrum.layers_of(16.5)
    for sagittal in (0.0, 0.3):
        axes = skeleton.rotation(0.0, sagittal, 0.0)
        none = np.zeros((layers, 51, 91), np.float32)
        mineral, tissue = centrum.project(form, axes, axis(91), axis(81), none, 0.5)
        volume = np.pi * 22.0 * 16.5 * 27.0 / 1000
        assert tissue.sum(dtype=np.float64) * PIXEL_CM2 == pytest.approx(volume, rel=0.02)
        assert mineral.sum(dtype=np.float64) == pytest.approx(0.15 * tissue.sum(dtype=np.float64), rel=1e-4)


def test_texture_changes_the_pattern_and_not_the_amount() -> None:
    still = shadow(bone(), how=replace(look(), contrast=0.0)).body
    rough = shadow(bone(), how=replace(look(), contrast=0.4)).body
    assert rough.sum() == pytest.approx(still.sum(), rel=0.03)
    assert np.abs(rough - still).std() > 0.01 * still.max()


def test_texture_repeats_when_the_body_turns_a_little() -> None:
    def texture(axial: float, seed: int) -> npt.NDArray[np.float32]:
        out = np.zeros((PLANE.rows, PLANE.cols), np.float32)
        for contrast, sign in ((0.4, 1), (0.0, -1)):
            s = shadow(bone(axial=axial), seed, replace(look(), contrast=contrast))
            out[s.rows, s.cols] += sign * s.body
        return out[64:96, 95:145].ravel()

    here = texture(0.0, 1)
    assert np.corrcoef(here, texture(0.02, 1))[0, 1] > 0.7
    assert abs(np.corrcoef(here, texture(0.0, 2))[0, 1]) < 0.3


def mean_shadow(one: Vertebra) -> npt.NDArray[np.float32]:
    sums = np.zeros((PLANE.rows, PLANE.cols), np.float32)
    for seed in range(6):
        s = shadow(one, seed, look(seed=seed))
        sums[s.rows, s.cols] += s.body + s.arch
    return sums / 6


def test_pedicles_are_bright_beside_a_dark_window_over_a_bright_drop() -> None:
    picture = mean_shadow(bone())
    rows = slice(80 - 12, 80 - 6)  # 4-7 mm above the middle
    window, left, right = (picture[rows, c].mean() for c in (slice(114, 127), slice(88, 98), slice(143, 153)))
    assert window < 0.75 * min(left, right)
    drop = picture[80 + 12 : 80 + 20, 117:124].mean()
    beside = picture[80 + 12 : 80 + 20, [104, 105, 135, 136]].mean()
    assert drop > 1.15 * beside
    assert drop > 1.3 * window


def test_the_arch_of_a_tipped_vertebra_shows_higher() -> None:
    def height(sagittal: float) -> float:
        s = shadow(bone("L5", sagittal))
        return float((s.arch * s.own_y).sum() / s.arch.sum())

    assert height(0.35) < height(0.0) - 5


def test_axial_turn_brings_the_spinous_process_to_the_side() -> None:
    def side(axial: float) -> float:
        s = shadow(bone(axial=axial))
        return float((s.arch * s.own_x).sum() / s.arch.sum())

    assert side(0.2) > side(0.0) + 3


def test_l5_has_broader_and_shorter_transverse_processes_than_l3() -> None:
    def process(name: str) -> tuple[float, float]:
        rod = arch.plan(bone(name), look(), np.random.default_rng(0)).right[0]
        return rod.half_across, rod.end[0] - rod.start[0]

    (high3, _), (high5, _) = process("L3"), process("L5")
    assert high5 > 1.5 * high3


def test_weak_bone_loses_its_core_before_its_arch() -> None:
    strong, weak = (shadow(bone(), how=look(bmd)) for bmd in (1.1, 0.65))
    assert weak.body.sum() / strong.body.sum() < 0.9 * weak.arch.sum() / strong.arch.sum()


def test_off_the_plane_there_is_no_shadow() -> None:
    away = replace(bone(), centre=np.array([0.0, 900.0, 0.0]))
    assert vertebra.project(away, look(), PLANE, np.random.default_rng(0)) is None


def test_half_off_the_plane_the_rest_is_the_same() -> None:
    near = replace(bone(), centre=np.array([0.0, -45.0, 0.0]))
    cut = shadow(near)
    tall = Plane(240, 240, PIXEL_MM, 160.0, 120.0)
    whole = vertebra.project(near, look(), tall, np.random.default_rng(1))
    assert whole is not None
    assert cut.rows.start == 0
    n = cut.body.shape[0]
    np.testing.assert_allclose(cut.body + cut.arch, (whole.body + whole.arch)[-n:], atol=2e-3)


def test_degeneration_is_uneven_and_reaches_beyond_the_rim() -> None:
    one = bone()
    sides = []
    for seed in range(20):
        s = shadow(one)
        extra = degeneration.added(s, one, 0.12, np.random.default_rng(seed))
        assert extra.min() >= 0
        left, right = extra[s.own_x < 0].sum(), extra[s.own_x > 0].sum()
        sides.append(abs(left - right) / (left + right))
        assert extra[np.abs(s.own_x) > one.half_width + 1].sum() > 0
    assert np.mean(sides) > 0.15
