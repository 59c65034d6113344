"""Decomposition against its closed form; what is read against what is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_spine import PLANE, box_spine, somebody
from spinecare.phantom import baseline, body, densitometer, xray
from spinecare.phantom.densitometer import IDEAL, Settings
from spinecare.phantom.maps import BmdMap


@given(st.floats(0, 3), st.floats(5, 40), st.floats(0, 30))
def test_sharp_energies_decompose_as_two_equations_solve(bone: float, lean: float, fat: float) -> None:
    beam = xray.monoenergetic(60, 100)
    logs = xray.attenuate(np.array([bone]), np.array([lean]), np.array([fat]), beam)
    got = densitometer.decompose(*logs, _mono())
    wanted = np.linalg.solve(np.stack([beam.bone, beam.lean], axis=1), np.concatenate(logs))
    np.testing.assert_allclose(np.concatenate(got), wanted, rtol=1e-6, atol=1e-6)
    if fat == 0:
        np.testing.assert_allclose(np.concatenate(got), [bone, lean], rtol=1e-6, atol=1e-6)


def _mono() -> densitometer.Calibration:
    if not hasattr(_mono, "made"):
        _mono.made = densitometer.step_wedges(xray.monoenergetic(60, 100), 1)  # type: ignore[attr-defined]
    return _mono.made  # type: ignore[attr-defined,no-any-return]


@given(st.floats(0, 2.5), st.floats(8, 40))
def test_wedges_take_beam_hardening_away(bone: float, lean: float) -> None:
    logs = xray.attenuate(np.array([bone]), np.array([lean]), np.zeros(1))
    got, soft = densitometer.decompose(*logs, densitometer.step_wedges())
    assert got[0] == pytest.approx(bone, abs=0.002)
    assert soft[0] == pytest.approx(lean, abs=0.005)


def test_float32_decomposes_as_float64() -> None:
    rng = np.random.default_rng(0)
    bone, lean = rng.uniform(0, 2.5, 500), rng.uniform(8, 40, 500)
    low, high = xray.attenuate(bone, lean, 0 * lean)
    exact, _ = densitometer.decompose(low, high, densitometer.step_wedges())
    single, _ = densitometer.decompose(low.astype(np.float32), high.astype(np.float32), densitometer.step_wedges())
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, atol=1e-4)


def test_fat_over_bone_hides_bone_as_in_the_literature() -> None:
    per_mm = densitometer.fat_error_g_cm2_per_mm()
    assert -0.006 < per_mm < -0.003
    # Nearly the same for thin and thick, lean and fat.
    assert densitometer.fat_error_g_cm2_per_mm(30.0, 0.5) == pytest.approx(per_mm, rel=0.05)


@pytest.mark.parametrize("uneven", [-15.0, 15.0])
def test_a_scan_errs_by_uneven_fat_as_foretold(uneven: float) -> None:
    spine = box_spine(1.0)
    read = []
    for fat in (0.0, uneven):
        tissue = body.soft_tissue(somebody(fat_uneven_mm=fat), spine, PLANE, np.random.default_rng(1))
        read.append(densitometer.read_bmd(densitometer.scan_bmd(spine, tissue, PLANE, _rng(), IDEAL), spine.masks))
    error = read[1].mean() - read[0].mean()
    assert error == pytest.approx(uneven * densitometer.fat_error_g_cm2_per_mm(), rel=0.08)


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _read(
    bmd: float | tuple[float, ...], bmi: float = 26.0, settings: Settings = IDEAL, added: float = 0.0
) -> np.ndarray:
    spine = box_spine(bmd, added)  # type: ignore[arg-type]
    tissue = body.soft_tissue(somebody(bmi), spine, PLANE, np.random.default_rng(2), uniform=True)
    return densitometer.read_bmd(densitometer.scan_bmd(spine, tissue, PLANE, _rng(), settings), spine.masks)


def test_even_fat_reads_in_proportion_whatever_the_thickness() -> None:
    at = np.array([0.5, 0.8, 1.1, 1.4])
    for bmi in (19.0, 26.0, 38.0):
        slope, offset = np.polyfit(at, [_read(float(b), bmi).mean() for b in at], 1)
        assert slope == pytest.approx(1.0, abs=0.03)
        assert offset == pytest.approx(0.0, abs=0.02)


def test_levels_are_read_apart() -> None:
    read = _read((0.7, 0.9, 1.1, 1.3))
    np.testing.assert_allclose(read, [0.7, 0.9, 1.1, 1.3], atol=0.04)


def test_degeneration_is_read_as_bone_unless_left_out() -> None:
    plain, worn = _read(0.9), _read(0.9, added=0.2, settings=Settings(False, False, True, False))
    assert (worn - plain).mean() == pytest.approx(0.2, abs=0.02)
    # Left out of the beam it is not read; its calcified tissue still displaces soft tissue, which cancels.
    assert _read(0.9, added=0.2).mean() == pytest.approx(plain.mean(), abs=0.01)


def test_thick_people_are_grainier() -> None:
    grain = []
    for bmi in (20.0, 28.0, 38.0):
        spine = box_spine(1.0)
        tissue = body.soft_tissue(somebody(bmi), spine, PLANE, np.random.default_rng(2), uniform=True)
        scan = densitometer.scan_bmd(spine, tissue, PLANE, _rng(), Settings(day=False))
        grain.append(scan.bmd[100:200, 10:60].std())
    assert grain[0] < grain[1] < grain[2]
    assert 0.02 < grain[0] < 0.09


def test_the_baseline_lies_at_soft_tissue() -> None:
    spine = box_spine(1.0)
    tissue = body.soft_tissue(somebody(30.0, fat_uneven_mm=12.0), spine, PLANE, np.random.default_rng(2))
    scan = densitometer.scan_bmd(spine, tissue, PLANE, _rng())
    assert abs(scan.bmd[baseline.beside(spine, PLANE)].mean()) < 0.02


def test_no_soft_tissue_in_sight_still_gives_a_map() -> None:
    spine = box_spine(1.0)
    tissue = body.soft_tissue(somebody(), spine, PLANE, np.random.default_rng(2), uniform=True)
    everywhere = np.ones_like(spine.column)
    from dataclasses import replace

    blind = replace(spine, column=everywhere)
    assert np.isfinite(densitometer.scan_bmd(blind, tissue, PLANE, _rng()).bmd).all()


def test_reading_is_the_mean_inside_each_outline() -> None:
    bmd = np.arange(12, dtype=np.float32).reshape(3, 4)
    masks = np.zeros((4, 3, 4), np.bool_)
    for i in range(4):
        masks[i, :, i] = True
    np.testing.assert_allclose(densitometer.read_bmd(BmdMap(bmd, bmd, bmd), masks), [4, 5, 6, 7])
