"""Temperature and prior shift: closed forms and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinecare.runtime.calibrate import prior_shift, temperature_scale
from spinecare.runtime.stack import Float64


def shares(least: float = 1e-3) -> st.SearchStrategy[Float64]:
    weights = st.tuples(*[st.floats(least, 1.0)] * 3)
    return weights.map(lambda w: np.array(w) / np.sum(w))


def test_temperature_in_closed_form() -> None:
    # softmax(log p / 2) is the square roots, made to add up to 1: 0.8, 0.4, 0.4 over 1.6.
    np.testing.assert_allclose(temperature_scale([0.64, 0.16, 0.16], 2.0), [0.5, 0.25, 0.25])


def test_a_class_ruled_out_stays_ruled_out() -> None:
    np.testing.assert_allclose(temperature_scale([1.0, 0.0, 0.0], 1.5), [1.0, 0.0, 0.0], atol=1e-100)


@given(shares(), st.floats(0.05, 20.0))
def test_temperature_keeps_a_probability_and_its_order(p: Float64, temperature: float) -> None:
    scaled = temperature_scale(p, temperature)
    assert scaled.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(temperature_scale(p, 1.0), p, atol=1e-12)
    assert scaled[np.argmax(p)] == pytest.approx(scaled.max())


def test_prior_shift_in_closed_form() -> None:
    # Odds 1/2, 1, 2 on thirds: 1/7, 2/7, 4/7.
    shifted = prior_shift([1 / 3, 1 / 3, 1 / 3], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4])
    np.testing.assert_allclose(shifted, [1 / 7, 2 / 7, 4 / 7])


@given(shares(), shares(0.05))
def test_prior_shift_to_the_same_shares_changes_nothing(p: Float64, prevalence: Float64) -> None:
    np.testing.assert_allclose(prior_shift(p, prevalence, prevalence), p, atol=1e-12)


@given(shares(), shares(0.05), shares(0.05))
def test_prior_shift_there_and_back_is_where_it_was(p: Float64, a: Float64, b: Float64) -> None:
    shifted = prior_shift(p, a, b)
    assert shifted.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(prior_shift(shifted, b, a), p, atol=1e-12)


@given(shares(), shares(0.05))
def test_probabilities_of_everybody_shift_to_the_assumed_shares(p: Float64, assumed: Float64) -> None:
    # A classifier that knows nothing says the prevalence, and after the shift the assumed one.
    np.testing.assert_allclose(prior_shift(p, p, assumed), assumed, atol=1e-12)
