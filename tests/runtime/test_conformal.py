"""Prediction sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinecare.runtime.conformal import must_abstain, prediction_set
from spinecare.scan import LABELS, Label

NORMAL, LOW, OSTEOPOROSIS = LABELS


def likeliest(p: Sequence[float]) -> Label:
    return LABELS[int(np.argmax(p))]


@pytest.mark.parametrize(
    ("p", "threshold", "labels"),
    [
        ((0.7, 0.2, 0.1), 0.5, (NORMAL,)),
        ((0.5, 0.4, 0.1), 0.6, (NORMAL, LOW)),
        ((0.4, 0.2, 0.4), 0.6, (NORMAL, OSTEOPOROSIS)),
        ((0.34, 0.33, 0.33), 1.0, (NORMAL, LOW, OSTEOPOROSIS)),
        ((0.2, 0.5, 0.3), 0.0, (LOW,)),
    ],
)
def test_by_hand(p: tuple[float, ...], threshold: float, labels: tuple[Label, ...]) -> None:
    assert prediction_set(p, threshold, likeliest(p)) == labels


def test_the_answered_class_is_in_even_where_another_is_likelier() -> None:
    assert prediction_set((0.2, 0.5, 0.3), 0.0, OSTEOPOROSIS) == (LOW, OSTEOPOROSIS)


def test_abstains_only_when_both_ends_are_in() -> None:
    assert must_abstain((NORMAL, OSTEOPOROSIS))
    assert must_abstain((NORMAL, LOW, OSTEOPOROSIS))
    assert not must_abstain((NORMAL, LOW))
    assert not must_abstain((LOW, OSTEOPOROSIS))


@given(st.tuples(*[st.floats(0.0, 1.0)] * 3), st.floats(0.0, 1.0))
def test_never_empty_and_in_order(weights: tuple[float, ...], threshold: float) -> None:
    total = sum(weights) or 1.0
    p = [w / total for w in weights]
    labels = prediction_set(p, threshold, likeliest(p))
    assert labels
    assert list(labels) == [label for label in LABELS if label in labels]


def test_the_threshold_of_split_conformal_covers_what_it_says() -> None:
    # Labels drawn from the probabilities themselves; the quantile of 1 - p(true) on one half
    # must cover 90 % of the other: two standard errors on each side of 4,000 draws are 1 % each.
    rng = np.random.default_rng(3)
    p = rng.dirichlet([1.0, 1.0, 1.0], size=8000)
    truth = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
    scores = 1.0 - p[np.arange(len(p)), truth]
    threshold = float(np.quantile(scores[:4000], 0.9 * (1 + 1 / 4000)))
    covered = [
        LABELS[t] in prediction_set(q, threshold, likeliest(q)) for q, t in zip(p[4000:], truth[4000:], strict=True)
    ]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)
