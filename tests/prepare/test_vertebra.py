"""The chain of vertebrae: drawn from the template, found again where it was drawn."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from spinecare.prepare.vertebra import (
    HEIGHTS,
    LUMBAR_GROWTH,
    WORK_ROWS,
    best_chain,
    level_out,
    place_four,
    responses,
    template,
)


def _spine(boundaries: list[int], noise: float) -> np.ndarray:
    strip = np.zeros((WORK_ROWS, 31), np.float32)
    for top, bottom in pairwise(boundaries):
        strip[top:bottom] = template(bottom - top, 0.0)
    return strip + np.random.default_rng(3).normal(0, noise, strip.shape).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_chain_is_found_where_it_was_drawn(noise: float) -> None:
    drawn = [12, 46, 81, 117, 154, 192]
    rows, fits, _ = best_chain(responses(level_out(_spine(drawn, noise))))
    nearest = [np.abs(rows - b).min() for b in drawn[1:-1]]
    assert max(nearest) <= 2
    assert np.sort(fits)[-4:].min() > 0.5


def test_upright_pattern_does_not_fit_an_inverted_spine_as_well() -> None:
    strip = _spine([12, 46, 81, 117, 154, 192], 0.2)
    upright = best_chain(responses(level_out(strip)))[2]
    inverted = best_chain(responses(level_out(np.ascontiguousarray(strip[::-1]))))[2]
    assert upright > inverted


def test_placing_four_is_exact() -> None:
    """Against all combinations of offsets, reach 2."""
    fit = np.random.default_rng(5).normal(size=(len(HEIGHTS), WORK_ROWS + 1)).astype(np.float32)
    start = np.array([30, 62, 96, 131, 168])

    def gain(rows: np.ndarray) -> float:
        heights = np.diff(rows)
        logs = np.diff(np.log(heights))
        fits = sum(fit[h - HEIGHTS[0], r] * h / 35 for h, r in zip(heights, rows[:-1], strict=True))
        return float(fits - 100 * ((logs - LUMBAR_GROWTH) ** 2).sum())

    best = max((start + np.array(o) for o in product(range(-2, 3), repeat=5)), key=gain)
    np.testing.assert_array_equal(place_four(fit, start, reach=2), best)
