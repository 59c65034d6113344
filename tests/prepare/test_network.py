"""Levels by the bundle's network: how it is asked, what becomes of its answer, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spinecare.bundle.read import LevelNetwork
from spinecare.bundle.schema import LevelsSpec
from spinecare.prepare import network as way
from spinecare.prepare.decode import DOWN
from spinecare.prepare.locate import locate_levels
from spinecare.prepare.network import COPIES, NO_SPINE, UNEVEN, UNSURE, ask, locate_by_network, locator, network_picture
from spinecare.prepare.spine import WORK_ROWS
from spinecare.scan import Float32

SPEC = LevelsSpec("levels.onnx", 160, 128, least_agreement=0.5, surest=0.9, trained_on="nothing: for tests")
# Boundaries as shares of the picture's rows, and the half width of the spine as a share of its columns.
CUT = np.array([0.18, 0.34, 0.5, 0.67, 0.85])
HALF = 0.16


def answering(answer: Callable[[np.ndarray], np.ndarray]) -> LevelNetwork:
    """A network whose session gives `answer` of the batch (n, 1, rows, cols)."""
    session = SimpleNamespace(run=lambda _, fed: [answer(fed["image"]).astype(np.float32)])
    return LevelNetwork(SPEC, session)


def scan(rows: int = 224, cols: int = 224, cut: np.ndarray = CUT) -> Float32:
    """Four grey steps down a bright column: brightness tells the fake network which level it is."""
    r, c = (np.mgrid[:rows, :cols] + 0.5) / np.array([rows, cols])[:, None, None]
    place = np.searchsorted(cut, r, side="right")
    inside = np.abs(c - 0.5) < HALF
    return np.where(inside, 0.4 + 0.1 * place, 0.05).astype(np.float32)


def by_grey(batch: np.ndarray, sure: float = 1.0) -> np.ndarray:
    """The fake network: reads the place in the spine from the grey."""
    small = batch[:, 0, ::2, ::2]
    lowest, highest = batch.min(), batch.max()
    grey = 0.05 + (small - lowest) / (highest - lowest) * 0.85
    place = np.clip(np.rint((grey - 0.4) / 0.1), 0, 5).astype(int)
    bone = grey > 0.3
    parts = np.zeros((len(small), 7, *small.shape[1:]))
    for k, klass in enumerate(DOWN):
        parts[:, klass] = np.where(place == k, sure, (1 - sure) / 5) * bone
    parts[:, 0] = ~bone
    return parts


@pytest.mark.parametrize("shape", [(224, 224), (780, 716), (300, 200)])
def test_levels_lie_where_the_network_sees_them_in_pixels_of_the_scan(shape: tuple[int, int]) -> None:
    rows, cols = shape
    grey = scan(rows, cols)
    located = locate_by_network(answering(by_grey), grey, np.ones(shape, bool))
    assert [level.name for level in located.levels] == ["L1", "L2", "L3", "L4"]
    assert {level.source for level in located.levels} == {"network"}
    height = np.diff(CUT).mean() * rows
    # The pattern of a vertebra pulls boundaries about a little: the fake scan has no discs.
    assert np.abs(located.boundaries - (CUT * rows - 0.5)).max() < 0.25 * height
    np.testing.assert_allclose(np.median(located.centre), cols / 2 - 0.5, atol=0.02 * cols)
    np.testing.assert_allclose(np.median(located.right - located.left), 2 * HALF * cols, rtol=0.1)
    assert located.centre.shape == (rows,)
    first = located.levels[0].polygon
    assert first[0, 0] < first[3, 0]
    assert first[0, 1] < first[1, 1]
    np.testing.assert_array_equal(located.levels[0].polygon[3], located.levels[1].polygon[0])


def test_copies_are_put_back_where_they_came_from() -> None:
    """A network that answers with the picture itself: every copy gives the picture again."""

    def echo(batch: np.ndarray) -> np.ndarray:
        return np.repeat(batch[:, :, ::2, ::2], 7, axis=1)

    c = np.linspace(0, 1, SPEC.cols)[None, :] * np.linspace(0.2, 1, SPEC.rows)[:, None]
    said = ask(answering(echo), c.astype(np.float32))
    inner = slice(8, -8)
    # Half a pixel is lost by taking every second one, mirrored or not.
    for one in said:
        np.testing.assert_allclose(one[0][inner], c[::2, ::2][inner], atol=0.02)
    assert (False, 0.0) in COPIES


def test_an_unsure_number_gives_no_levels_and_says_why() -> None:
    located = locate_by_network(answering(lambda batch: by_grey(batch, sure=0.45)), scan(), np.ones((224, 224), bool))
    assert located.levels == ()
    assert located.boundaries.size == 0
    assert located.confidence == 0
    assert located.notes == (UNSURE,)
    assert np.isfinite(located.centre).all()


def test_copies_that_count_differently_give_no_levels() -> None:
    """The moved copies are numbered one level lower: no number survives."""

    def moody(batch: np.ndarray) -> np.ndarray:
        said = by_grey(batch)
        for one, (mirrored, by) in zip(said, COPIES, strict=True):
            if mirrored or by:
                one[[5, 1, 2, 3, 4, 6]] = one[[6, 5, 1, 2, 3, 4]] + 0.0
        return said

    assert locate_by_network(answering(moody), scan(), np.ones((224, 224), bool)).notes in ((UNSURE,), (UNEVEN,))


def test_confidence_is_never_above_the_surest() -> None:
    sure = locate_by_network(answering(by_grey), scan(), np.ones((224, 224), bool))
    less = locate_by_network(answering(lambda b: by_grey(b, sure=0.7)), scan(), np.ones((224, 224), bool))
    assert less.confidence < sure.confidence <= SPEC.surest
    assert {level.confidence for level in sure.levels} == {sure.confidence}


def test_heights_that_no_spine_has_give_no_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "MOST_UNEVEN", 1.05)
    cut = np.array([0.15, 0.28, 0.45, 0.6, 0.8])
    located = locate_by_network(answering(by_grey), scan(cut=cut), np.ones((224, 224), bool))
    assert located.levels == ()
    assert located.notes == (UNEVEN,)


@pytest.mark.parametrize("picture", ["black", "noise"])
def test_no_spine_gives_no_levels_and_a_finite_band(picture: str) -> None:
    grey = np.zeros((200, 150), np.float32)
    if picture == "noise":
        grey = np.random.default_rng(0).random((200, 150), dtype=np.float32)

    def nothing(batch: np.ndarray) -> np.ndarray:
        parts = np.zeros((len(batch), 7, 80, 64))
        parts[:, 0] = 1
        return parts

    located = locate_by_network(answering(nothing), grey, np.ones(grey.shape, bool))
    assert located.levels == ()
    assert located.notes == (NO_SPINE,)
    assert located.centre.shape == (200,)
    assert np.isfinite(located.left).all()


def test_without_a_network_image_processing_looks() -> None:
    assert locator(None) is locate_levels
    found: Any = locator(answering(by_grey))(scan(), np.ones((224, 224), bool))
    assert found.levels[0].source == "network"


def test_the_networks_picture_does_not_depend_on_window_or_margins() -> None:
    grey = scan() + 0.02 * np.random.default_rng(1).random((224, 224), dtype=np.float32)
    whole = np.ones(grey.shape, bool)
    picture = network_picture(grey, whole, 160, 128)
    np.testing.assert_allclose(network_picture(0.3 * grey + 0.2, whole, 160, 128), picture, atol=1e-5)
    margin = grey.copy()
    margin[:, :20] = 1.0
    valid = whole.copy()
    valid[:, :20] = False
    seen = network_picture(margin, valid, 160, 128)
    assert seen[:, :10].max() < 0.15
    np.testing.assert_allclose(seen[:, 14:], picture[:, 14:], atol=0.02)
    assert (network_picture(grey, np.zeros(grey.shape, bool), 160, 128) == 0).all()
    assert WORK_ROWS == 224
