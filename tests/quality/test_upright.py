"""Which end is up: the signs must turn with the picture, and follow geometry that is known."""

from __future__ import annotations

import numpy as np
import pytest

import pictures
from spinecare.quality.band import STRIP, find_band, signs, small_copy, straighten
from spinecare.quality.upright import WEIGHTS, upright_score, upright_signs
from spinecare.scan import Float32

ACROSS = np.linspace(-2.0, 2.0, STRIP)


def score_of(picture: Float32) -> float:
    small = small_copy(picture, np.ones(picture.shape, dtype=np.bool_))
    band = find_band(small)
    strip, across = straighten(small, band)
    return upright_score(upright_signs(strip, across, signs(small, band, strip, across)["growth"]))


@pytest.mark.parametrize("seed", range(3))
def test_the_score_changes_its_sign_when_the_picture_is_turned(seed: int) -> None:
    picture = pictures.spine(seed)
    upright = score_of(picture)
    assert upright > 0.4
    assert score_of(pictures.upside_down(picture)) == pytest.approx(-upright, abs=0.1)
    assert score_of(np.ascontiguousarray(picture[:, ::-1])) == pytest.approx(upright, abs=0.1)


def test_lines_that_run_outward_and_down_speak_for_upright() -> None:
    rows = np.arange(128.0)[:, None]
    ribs = np.cos(2 * np.pi * (rows - 12.0 * np.abs(ACROSS)) / 16.0).astype(np.float32)
    down, up = upright_signs(ribs, ACROSS, 0.0), upright_signs(ribs[::-1].copy(), ACROSS, 0.0)
    for name in ("rims", "flanks", "roof"):
        assert down[name] > 0.5, name
        assert up[name] == pytest.approx(-down[name], abs=0.05), name


def test_a_flat_strip_says_nothing() -> None:
    assert upright_score(upright_signs(np.zeros((128, STRIP), np.float32), ACROSS, 0.0)) == 0.0


def test_the_weights_make_a_mean() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
