"""The stack against scikit-learn and a closed form."""

from __future__ import annotations

import numpy as np
import pytest

from spinecare.bundle.schema import StackSpec
from spinecare.runtime.stack import softmax, stack, stack_inputs


def test_softmax_in_closed_form_and_without_overflow() -> None:
    np.testing.assert_allclose(softmax([0.0, np.log(2.0), np.log(5.0)]), [1 / 8, 2 / 8, 5 / 8])
    np.testing.assert_allclose(softmax([[1e4, 1e4, -1e4]]), [[0.5, 0.5, 0.0]])


def test_inputs_are_log_probabilities_in_the_order_of_the_spec_with_zero_clipped() -> None:
    members = {"a": [0.5, 0.5, 0.0], "b": [0.25, 0.25, 0.5]}
    x = stack_inputs(members, ("b", "a"))
    np.testing.assert_allclose(x, np.log([0.25, 0.25, 0.5, 0.5, 0.5, 1e-6]))


def test_a_stack_of_thirds_is_the_geometric_mean_of_its_members() -> None:
    coef = np.hstack([np.eye(3) / 2] * 2)
    spec = StackSpec(("a", "b"), tuple(map(tuple, coef.tolist())), (0.0, 0.0, 0.0))
    a, b = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.5, 0.3])
    mean = np.sqrt(a * b)
    np.testing.assert_allclose(stack({"a": a, "b": b}, spec), mean / mean.sum())


def test_it_says_what_scikit_learn_says() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    members = {name: rng.dirichlet([1.0, 1.0, 1.0], size=90) for name in ("a", "b", "c")}
    x = stack_inputs(members, ("a", "b", "c"))
    model = linear.LogisticRegression(max_iter=500).fit(x, rng.integers(0, 3, 90))
    spec = StackSpec(("a", "b", "c"), tuple(map(tuple, model.coef_.tolist())), tuple(model.intercept_.tolist()))
    np.testing.assert_allclose(stack(members, spec), model.predict_proba(x), atol=1e-12)
