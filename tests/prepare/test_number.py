"""Numbering the levels: the cells around a chain, and the choice that the cues make."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinecare.prepare import number as numbering
from spinecare.prepare.number import CUES, cells, flanks, number
from spinecare.prepare.spine import WORK_ROWS, Band

STRAIGHT = Band(np.full(WORK_ROWS, 112.0), np.full(WORK_ROWS, 82.0), np.full(WORK_ROWS, 142.0), 0.4)


@given(st.integers(0, 60), st.lists(st.integers(22, 57), min_size=1, max_size=5))
def test_cells_lie_one_below_the_other_inside_the_picture(first: int, heights: list[int]) -> None:
    chain = first + np.concatenate([[0], np.cumsum(heights)])
    chain = chain[chain <= WORK_ROWS]
    if len(chain) < 2:
        return
    spans, above = cells(chain)
    assert spans[above : above + len(chain) - 1] == list(pairwise(chain))
    rows = [row for span in spans for row in span]
    assert rows == sorted(rows)
    assert rows[0] >= 0
    assert rows[-1] <= WORK_ROWS


@pytest.mark.parametrize("first", [1, 2])
def test_usual_cues_give_the_usual_number(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    """Seven levels whose cues are exactly the usual ones, with L1 at `first`; the place in the picture says nothing."""
    chain = np.arange(8) * 28 + 10
    usual = CUES[np.arange(7) - first + 3, :, 0]
    monkeypatch.setattr(numbering, "read_cues", lambda *_: (usual, 0))
    monkeypatch.setattr(numbering, "MIDDLE_SD", 10.0)
    strip = np.zeros((WORK_ROWS, 31), np.float32)
    found = number(np.zeros((WORK_ROWS, 224), np.float32), STRAIGHT, strip, np.full(224, 30.0), chain, np.zeros(7))
    assert found is not None
    assert found.first == first
    assert found.share > 0.5


def test_fewer_than_four_levels_get_no_number() -> None:
    strip = np.zeros((WORK_ROWS, 31), np.float32)
    work = np.zeros((WORK_ROWS, 224), np.float32)
    assert number(work, STRAIGHT, strip, np.full(224, 30.0), np.array([10, 50, 90, 130]), np.zeros(3)) is None


def test_flanks_are_read_where_the_picture_has_them() -> None:
    col = np.mgrid[:WORK_ROWS, :224][1]
    work = np.where(np.abs(col - 112) < 30, 0.8, np.where(col > 180, 0.5, 0.2)).astype(np.float32)
    beside = flanks(work, STRAIGHT, np.full(224, 30.0), bone=0.8)
    assert np.nanmedian(beside[:, :40]) == pytest.approx(0.0, abs=0.02)  # the left flank is the dark one
    assert np.nanmean(beside[:, 70:75]) == pytest.approx(0.5, abs=0.02)  # (0.5 - 0.2) / (0.8 - 0.2)
    near_border = flanks(work, STRAIGHT, np.full(224, 50.0), bone=0.8)
    assert np.isnan(near_border[:, 0]).all()
