from dataclasses import replace

import numpy as np
import pytest

from spinecare.phantom import population, ribs, skeleton
from spinecare.phantom.maps import Plane, Visit
from spinecare.phantom.population import People
from spinecare.phantom.skeleton import Skeleton
from spinecare.scan import Float32

PLANE = Plane(420, 300, 0.6, 220.0, 150.0)


def people(n: int) -> list[tuple[People, Skeleton]]:
    drawn = population.draw_people(np.random.default_rng(5), n)
    return [(drawn.person(i), skeleton.build(drawn.person(i), np.random.default_rng([5, i, 1]))) for i in range(n)]


def bone(one: tuple[People, Skeleton], visit: Visit | None = None, seed: int = 1) -> Float32:
    person, spine = one
    return ribs.project_ribs(spine, person, PLANE, visit or Visit(), np.random.default_rng(seed))[0]


def test_the_same_person_has_the_same_ribs() -> None:
    one = people(1)[0]
    np.testing.assert_array_equal(bone(one), bone(one))
    assert not np.array_equal(bone(one), bone(one, seed=2))


def test_ribs_move_with_the_visit() -> None:
    one = people(1)[0]
    moved = bone(one, Visit(shift_x_mm=6.0, shift_y_mm=-9.0))
    # 10 pixels to the right and 15 up.
    np.testing.assert_allclose(moved[30:350, 40:260], bone(one)[45:365, 30:250], atol=2e-3)


def test_ribs_run_outwards_and_down() -> None:
    seen = np.mean([bone(one) for one in people(12)], axis=0)
    rows = np.arange(PLANE.rows)[:, None]
    # T11's and T12's streak: centre of mass in the rows that they cross, nearer and further from the spine.
    for sign in (-1, 1):
        near, far = (
            (seen[80:230, cols] * rows[80:230]).sum() / seen[80:230, cols].sum()
            for cols in (
                slice(*sorted((150 + sign * 45, 150 + sign * 60))),
                slice(*sorted((150 + sign * 80, 150 + sign * 100))),
            )
        )
        assert far > near + 6


def test_ribs_are_faint_and_leave_the_lower_lumbar_spine_alone() -> None:
    for one in people(12):
        seen, density = bone(one), float(one[0].bmd[0].mean())
        assert 0.08 * density < np.quantile(seen[seen > 0.03], 0.5) < 0.45 * density
        low = int(PLANE.row0 + one[1]["L3"].centre[1] / PLANE.mm)
        assert not seen[low:, 110:190].any()


def test_weak_bone_has_weaker_ribs() -> None:
    person, spine = people(1)[0]
    weak = bone((replace(person, bmd=person.bmd * 0.5), spine))
    assert weak.sum() == pytest.approx(0.5**0.8 * bone((person, spine)).sum(), rel=1e-3)


def test_the_twelfth_rib_varies_and_a_few_have_none() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([[length for length, _ in ribs._lengths("T12", ribs.COURSES["T12"], rng)] for _ in range(2000)])
    assert (drawn == 0).all(1).mean() == pytest.approx(ribs.NO_TWELFTH, abs=0.015)
    usual = drawn[drawn[:, 0] > 0]
    assert usual[:, 0].std() > 25
    assert usual.max() < 170
    # Both sides of a person are more alike than two people.
    assert np.abs(np.diff(usual, axis=1)).mean() < 0.7 * np.abs(usual[1:, 0] - usual[:-1, 0]).mean()


def test_a_lumbar_rib_is_rare() -> None:
    rng = np.random.default_rng(0)
    some = [any(length > 0 for length, _ in ribs._lengths("L1", ribs.COURSES["L1"], rng)) for _ in range(4000)]
    assert 0.007 < np.mean(some) < 0.022
