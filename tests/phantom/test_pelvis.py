from dataclasses import replace

import numpy as np
import pytest

from spinecare.phantom import pelvis, population, skeleton
from spinecare.phantom.maps import Plane, Visit
from spinecare.phantom.population import People
from spinecare.phantom.skeleton import Skeleton
from spinecare.scan import Bool, Float32

PLANE = Plane(420, 340, 0.6, 150.0, 170.0)


def people(n: int) -> list[tuple[People, Skeleton]]:
    drawn = population.draw_people(np.random.default_rng(6), n)
    return [(drawn.person(i), skeleton.build(drawn.person(i), np.random.default_rng([6, i, 1]))) for i in range(n)]


def seen(one: tuple[People, Skeleton], visit: Visit | None = None, seed: int = 1) -> tuple[Float32, Float32, Bool]:
    person, spine = one
    return pelvis.project_pelvis(spine, person, PLANE, visit or Visit(), np.random.default_rng(seed))


def test_the_same_person_has_the_same_pelvis() -> None:
    one = people(1)[0]
    for a, b in zip(seen(one), seen(one), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(seen(one)[0], seen(one, seed=2)[0])


def test_the_pelvis_moves_with_the_visit() -> None:
    one = people(1)[0]
    still, moved = seen(one)[0], seen(one, Visit(shift_x_mm=-12.0, shift_y_mm=6.0))[0]
    # 20 pixels to the left and 10 down.
    np.testing.assert_allclose(moved[110:400, 30:290], still[100:390, 50:310], atol=2e-3)
    # Rolled, one wing turns its edge to the beam, the other its face: the sides part.
    rolled = seen(one, Visit(roll_deg=8.0))[0]
    assert np.abs(rolled - still).max() > 0.1


def test_the_sacrum_begins_at_its_endplate_and_widens_below() -> None:
    for one in people(8):
        bone, thickness, sacrum = seen(one)
        s1 = one[1].sacrum
        x, y = PLANE.col0 + s1.centre[0] / PLANE.mm, PLANE.row0 + s1.centre[1] / PLANE.mm
        rows = np.flatnonzero(sacrum[:, int(x)])
        assert y - 45 < rows[0] < y + 2  # its arch stands up behind the endplate
        widths = sacrum.sum(1) * PLANE.mm
        assert widths[int(y) + 25] > 1.6 * 2 * s1.half_width
        assert not sacrum[: int(y) - 60].any()
        assert (thickness[sacrum] > 0.5).all()
        assert bone.dtype == thickness.dtype == np.float32


def test_density_of_the_sacrum_and_the_wings_against_the_lumbar_spine() -> None:
    core, wings = [], []
    for one in people(30):
        bone, _, sacrum = seen(one)
        s1, density = one[1].sacrum, float(one[0].bmd[0].mean())
        x, y = (int(v) for v in (PLANE.col0 + s1.centre[0] / 0.6, PLANE.row0 + s1.centre[1] / 0.6))
        core.append(bone[y + 5 : y + 30, x - 30 : x + 30].mean() / density)
        beside = bone[y : y + 40] * ~sacrum[y : y + 40]
        wings.append(beside[beside > 0.1].mean() / density)
    assert 0.75 < np.mean(core) < 1.15
    assert 0.05 < np.std(core) < 0.3
    assert 0.4 < np.mean(wings) < 0.9
    assert 0.05 < np.std(wings) < 0.3


def test_the_crests_top_is_where_anatomy_has_it() -> None:
    # Chakraverty et al. 2007: the line between the crests crosses L4 or L4/L5 in 87 %; else L5 or L3/L4.
    tops = []
    for one in people(60):
        bone, spine = seen(one)[0], one[1]
        row = np.flatnonzero((bone[:, 20:60].max(1) > 0.25) | (bone[:, 280:320].max(1) > 0.25))[0]
        pitch = (spine["L5"].centre[1] - spine["L4"].centre[1]) / PLANE.mm
        tops.append((row - PLANE.row0 - spine["L4"].centre[1] / PLANE.mm) / pitch)
    # In levels below the middle of L4: -0.5 is L3/L4, 0.5 is L4/L5.
    assert 0.0 < np.median(tops) < 0.7
    assert 0.15 < np.std(tops) < 0.5


def test_weak_bone_has_a_weaker_pelvis() -> None:
    person, spine = people(1)[0]
    full = seen((person, spine))[0].sum()
    weak = seen((replace(person, bmd=person.bmd * 0.5), spine))[0].sum()
    assert weak == pytest.approx(0.5 * full, rel=0.04)
