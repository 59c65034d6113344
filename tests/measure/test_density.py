"""Grey of levels that are known."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from answers import four_levels, some_prepared, some_scan
from spinecare.measure import measure
from spinecare.measure.density import grey_by_level
from spinecare.scan import Mapping


def test_grey_and_its_excess_over_the_soft_tissue_in_its_rows() -> None:
    found = grey_by_level(some_prepared())
    # Rows of 0.2 and 0.3 in turn: mean 0.25 and standard deviation 0.05, nearly (41 rows, not 40).
    assert found["grey_l1_of_white"] == pytest.approx(0.6, abs=1e-6)
    assert found["grey_above_soft_l1_of_white"] == pytest.approx(0.35, abs=0.002)
    assert found["contrast_l2_ratio"] == pytest.approx(0.35 / 0.85, abs=0.005)
    assert found["contrast_to_noise_l3_ratio"] == pytest.approx(7.0, abs=0.05)
    assert found["grey_l1_l4_of_white"] == pytest.approx(0.6, abs=1e-6)


def test_a_crop_at_another_scale_gives_the_same_grey() -> None:
    whole = some_prepared()
    half = Mapping(np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]))
    raw = whole.raw[::2, ::2].copy()
    found = grey_by_level(some_prepared(raw=raw, image=raw, mapping=half))
    assert found["grey_l1_l4_of_white"] == pytest.approx(0.6, abs=1e-6)


def test_unscanned_margins_are_carried_into_a_crop_at_another_scale_and_place() -> None:
    whole = some_prepared()
    # Rows at half their size from row 10 on, columns as they are from column 30 on.
    mapping = Mapping(np.array([[0.5, 0.0, -5.0], [0.0, 1.0, -30.0]]))
    raw, valid = whole.raw[10::2, 30:].copy(), whole.valid.copy()
    raw[:, 100:], valid[:, 130:] = 1.0, False
    found = grey_by_level(some_prepared(raw=raw, image=raw, mapping=mapping, valid=valid))
    assert found["grey_l1_of_white"] == pytest.approx(0.6, abs=1e-6)
    # Every second row has soft tissue of 0.3.
    assert found["grey_above_soft_l1_of_white"] == pytest.approx(0.3, abs=1e-6)


def test_of_an_operators_wide_box_the_spine_in_its_middle_is_measured() -> None:
    # A crop of 200 columns holds a spine of 100 in its middle; the box takes in all of it.
    raw = np.full((240, 200), 0.2, dtype=np.float32)
    raw[:, 50:150] = 0.6
    box = [np.float32([[t, -20], [t, 220], [t + 40, 220], [t + 40, -20]]) for t in (20, 60, 100, 140)]
    levels = tuple(replace(one, polygon=b) for one, b in zip(four_levels(), box, strict=True))
    found = grey_by_level(some_prepared(raw=raw, image=raw, levels=levels, valid=np.ones(raw.shape, dtype=bool)))
    assert found["grey_l1_of_white"] == pytest.approx(0.6, abs=0.01)
    assert found["grey_above_soft_l1_of_white"] == pytest.approx(0.4, abs=0.01)


def test_unscanned_margins_are_no_soft_tissue() -> None:
    whole = some_prepared()
    raw, valid = whole.raw.copy(), whole.valid.copy()
    raw[:, 130:], valid[:, 130:] = 1.0, False
    found = grey_by_level(some_prepared(raw=raw, valid=valid))
    assert found["grey_above_soft_l1_of_white"] == pytest.approx(0.35, abs=0.002)


def test_without_soft_tissue_beside_it_a_level_has_its_grey_alone() -> None:
    whole = some_prepared()
    valid = np.zeros_like(whole.valid)
    valid[:, 60:101] = True
    found = grey_by_level(some_prepared(valid=valid))
    assert {name.split("_l")[0] for name in found} == {"grey"}


def test_everything_is_finite_and_named_with_its_unit_even_on_a_flat_picture() -> None:
    flat = np.zeros((240, 160), dtype=np.float32)
    found = measure(some_prepared(raw=flat, image=flat), some_scan().spacing_mm)
    assert all(np.isfinite(v) for v in found.values())
    # A height ratio names its two levels last; every other name ends in its unit.
    units = ("_of_white", "_ratio", "_px", "_mm", "_deg")
    assert all(name.endswith(units) or name.startswith("height_ratio_") for name in found)


def test_it_takes_milliseconds() -> None:
    prepared = some_prepared()
    times = []
    for _ in range(15):
        start = time.perf_counter()
        measure(prepared, (0.5, 0.25))
        times.append(time.perf_counter() - start)
    # Meant to be under 3 ms; the best of many, with room for a busy machine.
    assert min(times) < 0.010
