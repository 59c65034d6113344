"""The arithmetic of the levels study: a wrong ruler would make every locator look good."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import binomtest

from spinecare.prepare.locate import Located
from spinecare.scan import Level


@pytest.fixture
def levels(benchmarks: None) -> ModuleType:
    return importlib.import_module("levels")


def boxes(shift: float = 0.0, slant: float = 0.0) -> tuple[Level, ...]:
    """Four boxes of 40 rows between columns 80 and 140; `slant` lowers every right corner."""

    def box(i: int) -> np.ndarray:
        top, bottom = 30 + 40 * i + shift, 70 + 40 * i + shift
        return np.array([[top, 80], [top + slant, 140], [bottom + slant, 140], [bottom, 80]], dtype=np.float32)

    return tuple(Level(f"L{i + 1}", box(i), "operator_roi", 1.0) for i in range(4))


def test_boundaries_of_upright_and_slanted_boxes(levels: ModuleType) -> None:
    columns = levels.middle_columns(boxes())
    np.testing.assert_allclose(columns, 110)
    np.testing.assert_allclose(levels.boundaries(boxes(), columns), [30, 70, 110, 150, 190])
    np.testing.assert_allclose(levels.boundaries(boxes(slant=10), columns), [35, 75, 115, 155, 195], atol=1e-3)
    np.testing.assert_allclose(levels.boundaries(boxes(), columns + 500), [30, 70, 110, 150, 190])


def test_a_shift_by_one_level_is_a_misnumbering_and_not_found_is_a_miss(levels: ModuleType) -> None:
    truth = levels.boundaries(boxes(), np.full(5, 110.0))

    def row(errors: np.ndarray) -> object:
        return levels.Row("x", False, errors, 40.0, 1.0, truth, truth, truth)

    rows = [row(np.full(5, e)) for e in (0.0, 0.149, 0.151, 1.0, -1.0)] + [row(np.full(5, np.nan))]
    figures = levels.summarise(rows)
    assert figures["found"]["hits"] == 5
    assert figures["all_five_within"]["hits"] == 2
    assert figures["boundaries_within"]["hits"] == 10
    assert figures["boundaries_within"]["n"] == 30
    assert figures["misnumbered"]["hits"] == 2
    assert (figures["one_too_low"], figures["one_too_high"]) == (1, 1)
    # Of those that were told, refusals do not count.
    assert figures["told_all_five_within"]["n"] == 5
    assert figures["told_all_five_within"]["share"] == pytest.approx(2 / 5)
    assert figures["told_boundaries_within"]["share"] == pytest.approx(10 / 25)
    assert figures["told_misnumbered"]["share"] == pytest.approx(2 / 5)


def test_dice_and_its_mean(levels: ModuleType) -> None:
    a, b = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    a[:4], b[2:6] = True, True
    assert levels.dice(a, b) == pytest.approx(0.5)
    assert levels.dice(a, a) == 1.0
    assert np.isnan(levels.dice(~a & a, ~a & a))
    figures = levels.mean_and_interval(np.array([0.8, 0.9, 1.0, np.nan]))
    assert figures["mean"] == pytest.approx(0.9)
    assert figures["n"] == 3
    assert figures["at_least_085"] == pytest.approx(2 / 3)
    assert figures["interval"][0] <= 0.9 <= figures["interval"][1]
    assert np.isnan(levels.mean_and_interval(np.array([np.nan]))["mean"])


def test_bone_without_a_network_is_the_band_between_the_boundaries(levels: ModuleType) -> None:
    line = np.ones(224, np.float32)
    located = Located(
        boxes(), 110 * line, 90 * line, 130 * line, np.array([30, 70, 110, 150, 190], np.float32),
        np.empty(0, np.float32), np.empty(0, np.float32), 0.5, 0.9,
    )  # fmt: skip
    outline = np.zeros((224, 224), bool)
    outline[30:191, 90:131] = True
    assert levels.overlap(located, outline) == 1.0
    assert levels.overlap(replace(located, bone=np.roll(outline, 20, axis=1)), outline) == pytest.approx(21 / 41)
    assert np.isnan(levels.overlap(located, None))
    assert np.isnan(levels.overlap(replace(located, levels=()), outline))


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (7, 10), (64, 64), (100, 128)])
def test_wilson_equals_scipy(levels: ModuleType, hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert levels.wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-6)
