"""The spine's band: paths against brute force, a drawn band against its drawing."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.prepare.spine import WORK_ROWS, best_paths, find_band, working_picture


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.sampled_from([0.0, 0.3]))
def test_best_path_is_the_best_of_all_paths(seed: int, max_step: int, smoothness: float) -> None:
    score = np.random.default_rng(seed).normal(size=(1, 5, 4)).astype(np.float32)

    def gain(path: tuple[int, ...]) -> float:
        steps = [b - a for a, b in pairwise(path)]
        if max(map(abs, steps)) > max_step:
            return -np.inf
        return sum(score[0, r, c] for r, c in enumerate(path)) - smoothness * sum(s * s for s in steps)

    best = max(product(range(4), repeat=5), key=gain)
    path, total = best_paths(score, max_step, smoothness)
    assert total[0] == pytest.approx(gain(best), abs=1e-5)
    assert tuple(path[0]) == best


@pytest.mark.parametrize(("half", "lean"), [(20, 0.0), (30, 0.15), (40, -0.1)])
def test_a_drawn_band_is_found(half: int, lean: float) -> None:
    row, col = np.mgrid[:WORK_ROWS, :224]
    centre = 112 + lean * (row - 112)
    rng = np.random.default_rng(1)
    picture = (0.2 + 0.5 * (np.abs(col - centre) < half) + rng.normal(0, 0.05, row.shape)).astype(np.float32)
    band = find_band(picture)
    inner = slice(10, -10)
    assert np.abs(band.centre - centre[:, 0])[inner].max() < 3
    assert np.median(np.abs(band.right - band.left - 2 * half)) < 3
    assert band.contrast > 0.4


def test_unscanned_margins_do_not_attract_the_band() -> None:
    col = np.mgrid[:300, :280][1]
    picture = (0.1 + 0.4 * (np.abs(col - 150) < 35)).astype(np.float32)
    picture[:, :40] = 1.0
    band = find_band(working_picture(picture, col >= 40))
    assert np.abs(band.centre * 300 / WORK_ROWS - 150).max() < 8
