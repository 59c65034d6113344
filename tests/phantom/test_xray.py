"""Attenuation against closed forms and published coefficients; the detector's noise against Poisson's."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_spine import PLANE
from spinecare.phantom import xray
from spinecare.phantom.xray import Exposure

masses = st.tuples(st.floats(0, 3), st.floats(5, 40), st.floats(0, 30))


@given(masses, st.floats(32, 90), st.floats(90, 135))
def test_two_sharp_energies_attenuate_linearly_in_the_masses(
    mass: tuple[float, float, float], e1: float, e2: float
) -> None:
    beam = xray.monoenergetic(e1, e2)
    low, high = xray.attenuate(*(np.array([m]) for m in mass), beam)
    np.testing.assert_allclose(low[0], np.dot(beam.materials[:, 0], mass), rtol=1e-9)
    np.testing.assert_allclose(high[0], np.dot(beam.materials[:, 1], mass), rtol=1e-9)


@given(masses)
def test_float32_loses_nothing_against_the_sum_over_energies(mass: tuple[float, float, float]) -> None:
    beam = xray.switched()
    through = np.exp(-np.dot(mass, beam.materials))
    low, high = xray.attenuate(*(np.array([m], np.float32) for m in mass))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low[0], -np.log(np.dot(beam.low, through)), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(high[0], -np.log(np.dot(beam.high, through)), rtol=2e-6, atol=2e-6)


def test_maps_longer_than_one_piece_keep_their_places() -> None:
    rng = np.random.default_rng(1)
    bone, lean, fat = (rng.uniform(0, 5, (190, 180)) for _ in range(3))
    low, _ = xray.attenuate(bone, lean, fat)
    for place in ((0, 0), (91, 7), (189, 179)):
        one, _ = xray.attenuate(*(m[place].reshape(1) for m in (bone, lean, fat)))
        assert low[place] == pytest.approx(one[0], rel=1e-12)


def test_thicker_tissue_hardens_the_beam() -> None:
    lean = np.array([1.0, 10, 20, 30, 40])
    for log in xray.attenuate(0 * lean, lean, 0 * lean):
        slope = np.diff(log) / np.diff(lean)
        assert (np.diff(slope) < 0).all()
        assert xray.switched().lean.min() < slope.min()


def test_mean_energies_behind_a_body_are_those_of_a_switched_densitometer() -> None:
    beam = xray.switched()
    assert beam.low.sum() == pytest.approx(1, abs=1e-6)
    assert beam.high.sum() == pytest.approx(1, abs=1e-6)
    through = np.exp(-20 * beam.lean)
    low, high = (np.dot(w * through, beam.energies_kev) / np.dot(w, through) for w in (beam.low, beam.high))
    assert 55 < low < 72
    assert 90 < high < 108


@pytest.mark.parametrize(
    ("material", "kev", "published"),
    # NIST, X-ray mass attenuation coefficients, tables 4: ICRU-44 skeletal muscle and adipose tissue, cm2/g.
    [("lean", 60, 0.2048), ("lean", 100, 0.1693), ("fat", 60, 0.1974), ("fat", 100, 0.1688)],
)
def test_attenuation_is_what_nist_lists(material: str, kev: float, published: float) -> None:
    beam = xray.monoenergetic(kev, kev)
    assert getattr(beam, material)[0] == pytest.approx(published, rel=0.012)


def test_the_table_is_what_spekpy_and_xraydb_give() -> None:
    pytest.importorskip("spekpy")
    pytest.importorskip("xraydb")
    from spinecare.phantom import spectra

    kept = json.loads((resources.files("spinecare.phantom") / "tables" / "spectra.json").read_text(encoding="utf-8"))
    made = spectra.make()
    assert made.keys() == kept.keys()
    for name in ("energies_kev", "low", "high", "bone", "lean", "fat"):
        np.testing.assert_allclose(made[name], kept[name], rtol=1e-3, atol=1e-6, err_msg=name)
    assert made["quanta_per_mm2_ugy"] == pytest.approx(kept["quanta_per_mm2_ugy"], rel=1e-3)


def _flat(value: float) -> np.ndarray:
    return np.full((PLANE.rows, PLANE.cols), value, np.float32)


def test_an_even_body_without_noise_comes_back_as_it_was() -> None:
    low, high = xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(0), None)
    np.testing.assert_allclose(low, 4.0, atol=1e-4)
    np.testing.assert_allclose(high, 3.4, atol=1e-4)


def test_scatter_fills_in_behind_a_dense_half() -> None:
    log = _flat(3.0)
    log[:, 110:] = 5.0
    low, _ = xray.expose(log, log, PLANE, np.random.default_rng(0), None)
    assert low[150, 20] == pytest.approx(3.0, abs=0.02)
    assert 4.8 < low[150, 125] < low[150, 200] < 5.0


def test_grain_is_poissons_seen_through_the_interpolation() -> None:
    exposure = Exposure(dose_ugy=100.0, line_sd=0.0)
    low, _ = xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(0), exposure)
    beam = xray.switched()
    quanta = beam.quanta[0] * 100 * xray.LOW_SHARE * xray.EFFICIENCY * PLANE.mm**2 * np.exp(-4.0) * (1 + xray.SCATTER)
    # White noise through a Gaussian of s pixels keeps 1 / (2 sqrt(pi) s) of its SD.
    kept = 1 / (2 * np.sqrt(np.pi) * np.sqrt(np.prod(xray.SAMPLING_MM)) / PLANE.mm)
    assert low.std() == pytest.approx(kept / np.sqrt(quanta), rel=0.05)
    assert low.mean() == pytest.approx(4.0, abs=0.003)


def test_a_bad_tube_writes_lines() -> None:
    def rows(sd: float) -> float:
        low, _ = xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(0), Exposure(1e6, sd))
        return float(low.mean(axis=1).std() / low.mean(axis=0).std())

    assert rows(0.01) > 2
    assert rows(0.0) < 2


def test_exposures_differ_and_a_few_are_bad() -> None:
    rng = np.random.default_rng(0)
    drawn = [Exposure.draw(rng) for _ in range(400)]
    assert 0.03 < np.mean([e.line_sd > 3 * xray.LINE_SD for e in drawn]) < 0.2
    assert np.median([e.dose_ugy for e in drawn]) == pytest.approx(xray.DOSE_UGY, rel=0.1)


def test_same_stream_same_noise() -> None:
    once, again = (
        xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(3), Exposure())[0] for _ in range(2)
    )
    other = xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(4), Exposure())[0]
    assert (once == again).all()
    assert (once != other).any()


def test_another_beam_can_be_asked_for() -> None:
    beam = replace(xray.switched(), quanta=(1.0, 1.0))
    _, few = xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(0), Exposure(1e5, 0.0), beam)
    _, many = xray.expose(_flat(4.0), _flat(3.4), PLANE, np.random.default_rng(0), Exposure(1e5, 0.0))
    assert few.std() > 10 * many.std()
