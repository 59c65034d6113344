"""How much soft tissue there is, where its fat lies, and what changes from day to day."""

from __future__ import annotations

import numpy as np
import pytest

from box_spine import PLANE, box_spine, somebody
from spinecare.phantom import baseline, body
from spinecare.phantom.body import FAT_G_CM3, LEAN_G_CM3
from spinecare.phantom.maps import SoftTissue


def _tissue(seed: int = 0, uniform: bool = False, **who: float | str) -> SoftTissue:
    return body.soft_tissue(somebody(**who), box_spine(), PLANE, np.random.default_rng(seed), uniform=uniform)  # type: ignore[arg-type]


def _cm(tissue: SoftTissue) -> np.ndarray:
    return tissue.fat / FAT_G_CM3 + tissue.lean / LEAN_G_CM3


def test_thickness_follows_bmi_as_published() -> None:
    # Kahn 2014: 22.4 cm at BMI 28.7, 0.6 cm per kg/m2.
    for bmi in (20.0, 28.7, 40.0):
        made = [body.build(somebody(bmi), np.random.default_rng(i)).thickness_cm for i in range(300)]
        assert np.mean(made) == pytest.approx(22.4 + 0.6 * (bmi - 28.7), abs=0.4)
        assert np.std(made) == pytest.approx(body.THICKNESS_SD, rel=0.15)


def test_the_trunk_is_deepest_in_its_middle() -> None:
    depth = _cm(_tissue(uniform=True))
    assert depth[150, 60] > depth[150, 5] > 0.8 * depth[150, 60]


def test_share_of_fat_is_the_persons() -> None:
    tissue = _tissue(uniform=True, fat_share=0.4)
    beside = baseline.beside(box_spine(), PLANE)
    assert (tissue.fat / (tissue.fat + tissue.lean))[beside].mean() == pytest.approx(0.4, abs=0.005)
    shares = []
    for seed in range(12):
        real = _tissue(seed, fat_share=0.4)
        shares.append((real.fat / (real.fat + real.lean))[beside].mean())
    assert np.mean(shares) == pytest.approx(0.4, abs=0.04)


def test_bone_takes_the_place_of_soft_tissue() -> None:
    bare = np.zeros_like(box_spine().bone)
    from dataclasses import replace

    spine = box_spine(1.2)
    without = replace(spine, bone=bare, thickness_cm=bare)
    who = somebody()
    with_bone, plain = (
        _cm(body.soft_tissue(who, p, PLANE, np.random.default_rng(0), uniform=True)) for p in (spine, without)
    )
    over = spine.masks.any(axis=0)
    # All of bone but its mineral (1.2 g/cm2 at 3.16 g/cm3) is marrow and matrix.
    np.testing.assert_allclose((plain - with_bone)[over], 1.2 / 3.16, atol=0.01)
    np.testing.assert_allclose(plain[~spine.column], with_bone[~spine.column], atol=1e-4)


@pytest.mark.parametrize("uneven", [-12.0, 0.0, 18.0])
def test_fat_over_the_spine_is_as_uneven_as_drawn(uneven: float) -> None:
    spine = box_spine()
    tissue = _tissue(5, fat_uneven_mm=uneven)
    over, near = spine.masks.any(axis=0), baseline.beside(spine, PLANE)
    fat, lean = tissue.fat / FAT_G_CM3, tissue.lean / LEAN_G_CM3
    # In units of lean swapped for fat, which is what a densitometer feels.
    ratio = fat[near].mean() / lean[near].mean()
    excess = (fat[over].mean() - ratio * lean[over].mean()) / (1 + ratio)
    assert 10 * excess == pytest.approx(uneven, abs=1.5)


@pytest.mark.parametrize("bmi", [17.0, 26.0, 48.0])
def test_masses_are_never_negative(bmi: float) -> None:
    for seed in range(6):
        who = somebody(bmi, fat_share=0.12 if bmi < 20 else 0.45, fat_uneven_mm=25.0)
        tissue = body.soft_tissue(who, box_spine(), PLANE, np.random.default_rng(seed))
        tissue = body.settle(tissue, box_spine(), PLANE, np.random.default_rng(seed))
        for tissue_map in (tissue.lean, tissue.fat):
            assert tissue_map.dtype == np.float32
            assert tissue_map.shape == (PLANE.rows, PLANE.cols)
            assert np.isfinite(tissue_map).all()
            assert tissue_map.min() >= 0


def test_the_liver_lies_at_the_pictures_left_above() -> None:
    above = PLANE.y < -70
    left, right = PLANE.x < -30, PLANE.x > 30
    leaner = []
    for seed in range(40):
        tissue = _tissue(seed)
        share = tissue.fat / (tissue.fat + tissue.lean)
        leaner.append(share[np.ix_(above, left)].mean() < share[np.ix_(above, right)].mean())
    assert 0.6 < np.mean(leaner) < 0.98


def test_same_stream_same_body_and_another_day_another_bowel() -> None:
    once, again, other = _tissue(3), _tissue(3), _tissue(4)
    assert (once.fat == again.fat).all()
    assert (once.fat != other.fat).any()
    days = [body.settle(once, box_spine(), PLANE, np.random.default_rng(day)) for day in (1, 1, 2)]
    assert (days[0].lean == days[1].lean).all()
    assert (days[0].lean != days[2].lean).any()


def test_gas_takes_lean_away_and_puts_nothing_there() -> None:
    before = _tissue(3)
    lost = [_cm(before) - _cm(body.settle(before, box_spine(), PLANE, np.random.default_rng(day))) for day in range(8)]
    assert min(loss.min() for loss in lost) > -1e-3
    assert max(loss.max() for loss in lost) > 0.8


def test_days_differ_more_in_big_people() -> None:
    def spread(bmi: float) -> float:
        spine = box_spine()
        tissue = body.soft_tissue(somebody(bmi), spine, PLANE, np.random.default_rng(0))
        over, near = spine.masks.any(axis=0), baseline.beside(spine, PLANE)
        found = []
        for day in range(24):
            moved = body.settle(tissue, spine, PLANE, np.random.default_rng(day))
            share = moved.fat / (moved.fat + moved.lean)
            found.append((share[over].mean() - share[near].mean()) * _cm(moved)[near].mean())
        return float(np.std(found))

    assert 0.1 < spread(20.0) < spread(38.0) < 0.8
