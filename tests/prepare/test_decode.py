"""From probabilities to boundaries: known spines, drawn as the network would see them, come back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.prepare import decode
from spinecare.prepare.decode import along, best_cut, find_column, read_parts
from spinecare.prepare.spine import WORK_ROWS
from spinecare.prepare.vertebra import HEIGHTS
from spinecare.scan import Float32

ROWS, COLS = 80, 64


def drawn(
    rows: np.ndarray, sure: float = 1.0, lean: float = 0.0, tilt: float = 0.0, half: float = 10.0, sacrum: float = 0.0
) -> Float32:
    """Probabilities (7, ROWS, COLS) of a spine whose boundaries lie at `rows` (5,).

    `lean` of its centre line (columns per row), `tilt` of its boundaries (rows per column), `half` its half width;
    `sacrum`: how much wider it grows below L4, in columns. The rest of `sure` is shared among the other bone classes.
    """
    r, c = np.mgrid[:ROWS, :COLS].astype(float)
    middle = COLS / 2 - 0.5 + lean * (r - ROWS / 2)
    level = sum((r > row + tilt * (c - middle)).astype(int) for row in rows)
    inside = np.abs(c - middle) <= half + sacrum * (level == 5)
    parts = np.zeros((7, ROWS, COLS), np.float32)
    for place, klass in enumerate(decode.DOWN):
        parts[klass] = np.where(level == place, sure, (1 - sure) / 5) * inside
    parts[0] = ~inside
    return parts


def in_net(cut: np.ndarray) -> np.ndarray:
    """Rows of WORK_ROWS as rows of the network's picture."""
    return (cut + 0.5) * ROWS / WORK_ROWS - 0.5


EVEN = np.array([12.5, 24.5, 37.5, 50.5, 63.5])


@pytest.mark.parametrize("lean", [0.0, 0.15, -0.2])
@pytest.mark.parametrize("sacrum", [0.0, 15.0])
def test_a_drawn_spine_is_read_where_it_was_drawn(lean: float, sacrum: float) -> None:
    reading = read_parts(drawn(EVEN, lean=lean, sacrum=sacrum))
    assert reading is not None
    np.testing.assert_allclose(in_net(reading.cut), EVEN, atol=0.6)
    assert (reading.agree > 0.9).all()
    middle = COLS / 2 - 0.5 + lean * (np.arange(ROWS) - ROWS / 2)
    np.testing.assert_allclose(reading.column.centre[6:52], middle[6:52], atol=0.7)
    np.testing.assert_allclose(reading.column.half_width[6:60], 10.5, atol=0.7)


@pytest.mark.parametrize("tilt", [0.0, 0.25, -0.35])
def test_the_tilt_of_boundaries_is_read(tilt: float) -> None:
    reading = read_parts(drawn(EVEN, tilt=tilt))
    assert reading is not None
    np.testing.assert_allclose(reading.slope, tilt, atol=0.06)


def test_doubt_lowers_the_agreement_and_moves_nothing() -> None:
    sure, unsure = read_parts(drawn(EVEN)), read_parts(drawn(EVEN, sure=0.5))
    assert sure is not None
    assert unsure is not None
    np.testing.assert_allclose(unsure.cut, sure.cut)
    np.testing.assert_allclose(unsure.agree, 0.5, atol=0.05)


def test_two_numberings_at_once_agree_with_neither() -> None:
    """Half of the copies count from one level lower: the probability of every level is split between two numbers."""
    height = 12.75
    shifted = EVEN + height
    mixed = (drawn(EVEN) + drawn(shifted)) / 2
    reading = read_parts(mixed)
    assert reading is not None
    assert reading.agree.max() < 0.7


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(int(HEIGHTS[0]), int(HEIGHTS[-1])), min_size=4, max_size=4), st.integers(0, 40))
def test_sure_shares_move_no_further_than_evenness_pays(heights: list[int], first: int) -> None:
    """The best cut scores at least as the true one does: rows that it gives away cost no more than evenness saves.

    With certain shares a row in the wrong class costs log((1 + EPSILON) / EPSILON) / USUAL, and the true cut pays the
    price of its own heights: heights that grow as usual are found to the row.
    """
    cut = first + np.concatenate([[0], np.cumsum(heights)])
    if cut[-1] > WORK_ROWS:
        return
    place = np.searchsorted(cut, np.arange(WORK_ROWS), side="right")
    found = best_cut(np.eye(6)[place])
    assert found is not None
    wrong_row = np.log((1 + decode.EPSILON) / decode.EPSILON) / decode.USUAL
    price = decode.EVENNESS * ((np.diff(np.log(heights)) - decode.GROWTH) ** 2).sum()
    assert (np.searchsorted(found, np.arange(WORK_ROWS), side="right") != place).sum() <= price / wrong_row + 1e-3
    assert np.abs(found - cut).max() <= price / wrong_row + 1e-3


@pytest.mark.parametrize("heights", [[36, 36, 36, 36], [30, 32, 34, 36], [44, 44, 46, 46], [40, 38, 42, 41]])
def test_the_cut_of_sure_shares_of_usual_heights_is_right_within_three_rows(heights: list[int]) -> None:
    cut = 20 + np.concatenate([[0], np.cumsum(heights)])
    found = best_cut(np.eye(6)[np.searchsorted(cut, np.arange(WORK_ROWS), side="right")])
    assert found is not None
    assert np.abs(found - cut).max() <= 3


def test_the_cut_is_the_best_of_all_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against every cut of a small problem, tried one by one."""
    heights = np.array([3, 4, 5])
    monkeypatch.setattr(decode, "HEIGHTS", heights)
    rng = np.random.default_rng(5)
    rows = 20
    for _ in range(5):
        shares = rng.dirichlet(np.ones(6) * 0.5, rows)
        fit = rng.uniform(-1, 1, (3, rows + 1)).astype(np.float32)
        logs = np.log(shares + decode.EPSILON)

        def score(cut: tuple[int, ...], logs: np.ndarray = logs, fit: np.ndarray = fit) -> float:
            total = 0.0
            for place, (a, b) in enumerate(zip((0, *cut), (*cut, rows), strict=True)):
                total += float(logs[a:b, place].sum()) / decode.USUAL
            tall = np.diff(cut)
            total += sum(
                decode.PATTERN * float(fit[h - 3, a]) * h / decode.USUAL for h, a in zip(tall, cut[:-1], strict=True)
            )
            return total - decode.EVENNESS * float(((np.diff(np.log(tall)) - decode.GROWTH) ** 2).sum())

        cuts = [
            (a, a + i, a + i + j, a + i + j + k, a + i + j + k + m)
            for a in range(rows)
            for i in heights
            for j in heights
            for k in heights
            for m in heights
            if a + i + j + k + m <= rows
        ]
        found = best_cut(shares, fit)
        assert found is not None
        assert score(tuple(int(r) for r in found)) == pytest.approx(max(score(c) for c in cuts), abs=1e-9)


def test_the_pattern_decides_where_the_network_is_vague() -> None:
    """Shares that blur over ten rows, and a pattern that fits at one place alone."""
    cut = np.array([30, 66, 103, 141, 180])
    place = np.searchsorted(cut, np.arange(WORK_ROWS), side="right")
    shares = np.eye(6)[place]
    kernel = np.ones(21) / 21
    shares = np.stack([np.convolve(np.pad(s, 10, mode="edge"), kernel, "valid") for s in shares.T], axis=1)
    shares = np.roll(shares, 6, axis=0)
    fit = np.zeros((len(HEIGHTS), WORK_ROWS + 1), np.float32)
    for a, b in pairwise(cut):
        fit[b - a - HEIGHTS[0], a] = 1.0
    found = best_cut(shares, fit)
    np.testing.assert_array_equal(found, cut)


@pytest.mark.parametrize("bone", [0.0, 0.3])
def test_no_spine_gives_no_reading(bone: float) -> None:
    parts = np.zeros((7, ROWS, COLS), np.float32)
    parts[0] = 1 - bone
    parts[1] = bone
    assert find_column(parts) is None
    assert read_parts(parts) is None


def test_a_blob_is_no_spine() -> None:
    parts = np.zeros((7, ROWS, COLS), np.float32)
    parts[0] = 1
    parts[0, 30:50, 20:40], parts[2, 30:50, 20:40] = 0, 1
    assert read_parts(parts) is None


def test_shares_along_the_spine_are_probabilities() -> None:
    parts = drawn(EVEN, sure=0.7, lean=0.1)
    column = find_column(parts)
    assert column is not None
    shares = along(parts, column)
    assert shares.shape == (WORK_ROWS, 6)
    assert (shares >= 0).all()
    assert shares.sum(axis=1).max() <= 1
    assert np.median(shares.sum(axis=1)) == pytest.approx(1, abs=0.01)
