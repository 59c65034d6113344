"""What is drawn holds exactly the bone that the population drew."""

from __future__ import annotations

import numpy as np
import pytest

from spinecare.phantom import anatomy
from spinecare.phantom.population import draw_people
from spinecare.phantom.scanner import frame


@pytest.mark.parametrize("seed", range(5))
def test_bmd_of_each_drawn_mask_is_the_target(seed: int) -> None:
    rng = np.random.default_rng(seed)
    person = draw_people(rng, 1)
    spine = anatomy.place(person, rng)
    drawn = anatomy.draw(person, spine, frame(spine, "hologic", rng).grid, rng)
    for i in range(4):
        assert drawn.bone[drawn.masks[i]].mean() == pytest.approx(person.bmd[0, i], rel=1e-4)
        assert drawn.added[drawn.masks[i]].mean() == pytest.approx(person.degeneration[0, i], abs=1e-4)
    assert (drawn.masks.sum(0) <= 1).all()


def test_drawn_areas_are_those_of_the_population_on_average() -> None:
    ratios = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        person = draw_people(rng, 1)
        spine = anatomy.place(person, rng)
        grid = frame(spine, "hologic", rng).grid
        area = anatomy.draw(person, spine, grid, rng).masks.sum((1, 2)) * grid.mm_row * grid.mm_col / 100
        ratios.append(area / person.area[0])
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)


def test_levels_grow_downwards() -> None:
    rng = np.random.default_rng(0)
    people = draw_people(rng, 50)
    sizes = np.array([[v.pitch for v in anatomy.place(people.person(i), rng).vertebrae] for i in range(50)])
    mean = sizes.mean(0)
    assert (np.diff(mean[:-1]) > 0).all()
    assert mean[-1] < mean[-2]  # L5 is shorter than L4


def test_a_fracture_lowers_its_level() -> None:
    rng = np.random.default_rng(11)
    people = draw_people(rng, 400)
    spines = [anatomy.place(people.person(i), rng) for i in range(400)]
    share = [
        v.pitch / np.mean([w.pitch for w in s.vertebrae]) for s in spines for v in s.vertebrae if v.fracture_grade == 3
    ]
    assert share
    assert np.mean(share) < 0.85
