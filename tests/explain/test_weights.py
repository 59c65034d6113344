"""What each member contributed: Shapley's axioms on the shipped stack."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.bundle.read import open_bundle
from spinecare.bundle.schema import CLASSES
from spinecare.explain.weights import member_weights
from spinecare.runtime.predict import combine
from spinecare.scan import LABELS, Label

SPEC = open_bundle().spec
YES = LABELS.index(Label.OSTEOPOROSIS)
NAMES = ("cnn", "vgg16", "resnet")

probabilities = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda p: [x / sum(p) for x in p])


def log_odds(said: dict[str, list[float]]) -> float:
    p = combine(said, SPEC)
    return float(np.log(p[YES] / (1 - p[YES])))


@given(st.tuples(probabilities, probabilities, probabilities))
@settings(max_examples=50, deadline=None)
def test_pulls_add_up_and_equal_the_mean_over_all_orders(said: tuple[list[float], ...]) -> None:
    prevalence = [SPEC.prevalence[c] for c in CLASSES]
    told = dict(zip(NAMES, said, strict=True))
    weights = member_weights({n: dict(zip(CLASSES, p, strict=True)) for n, p in told.items()}, SPEC)
    nothing = dict.fromkeys(NAMES, prevalence)
    total = sum(w.pull for w in weights.values())
    assert total == pytest.approx(log_odds(told) - log_odds(nothing), abs=1e-9)
    # Shapley's own definition: a member's mean gain over every order of arrival.
    for name in NAMES:
        gains = []
        for order in permutations(NAMES):
            before = {n: told[n] if n in order[: order.index(name)] else prevalence for n in NAMES}
            gains.append(log_odds({**before, name: told[name]}) - log_odds(before))
        assert weights[name].pull == pytest.approx(np.mean(gains), abs=1e-9)
    assert sum(w.share for w in weights.values()) == pytest.approx(1)


def test_a_member_that_says_nothing_new_has_no_weight() -> None:
    said = {n: dict(SPEC.prevalence) for n in NAMES} | {"cnn": dict(zip(CLASSES, (0.1, 0.2, 0.7), strict=True))}
    weights = member_weights(said, SPEC)
    assert weights["vgg16"].pull == pytest.approx(0, abs=1e-12)
    assert weights["cnn"].share == pytest.approx(1)


def test_where_nobody_says_anything_all_weigh_alike() -> None:
    weights = member_weights({n: dict(SPEC.prevalence) for n in NAMES}, SPEC)
    assert {round(w.share, 6) for w in weights.values()} == {round(1 / 3, 6)}
