"""Combiners in their limits, and what holds for each of them."""

from __future__ import annotations

import numpy as np
import pytest

from spinecare.errors import TrainingError
from spinecare.learn.combine import COMBINERS, build_combiner
from spinecare.learn.combine.stack import score
from spinecare.learn.decide import cross_fit
from spinecare.learn.members.proportional import ProportionalOdds

kinds = pytest.mark.parametrize("kind", COMBINERS)


def told(n: int = 240, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Three members, one good, one fair, one that guesses; labels; groups of two."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    said = {}
    for name, noise in (("good", 0.4), ("fair", 1.2), ("guess", 30.0)):
        seen = (labels - 1 + noise * rng.normal(size=n)) / noise**2
        said[name] = ProportionalOdds(np.ones(1), np.array([-1.0, 1.0]), np.arange(3))(4 * np.tanh(seen / 4)[:, None])
    return said, labels, np.array([f"g{i // 2}" for i in range(n)])


def loss(p: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(labels)), labels]).mean())


@kinds
def test_joined_answers_are_probabilities_and_better_than_the_worst_member(kind: str) -> None:
    said, labels, groups = told()
    p = cross_fit(build_combiner(kind, {}), said, labels, groups, 0)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p.min() >= 0
    assert loss(p, labels) < loss(said["guess"], labels)


@kinds
def test_the_order_of_members_changes_nothing(kind: str) -> None:
    said, labels, groups = told()
    one = build_combiner(kind, {}).fit(said, labels, groups, 0)
    other = build_combiner(kind, {}).fit(dict(reversed(said.items())), labels, groups, 0)
    np.testing.assert_array_equal(one(said), other(dict(reversed(said.items()))))
    assert one.weights == other.weights


@kinds
def test_the_same_seed_gives_the_same_answers_and_each_scan_is_answered_by_itself(kind: str) -> None:
    said, labels, groups = told()
    rule = build_combiner(kind, {}).fit(said, labels, groups, 4)
    np.testing.assert_array_equal(rule(said), build_combiner(kind, {}).fit(said, labels, groups, 4)(said))
    one = rule({name: p[5:6] for name, p in said.items()})
    np.testing.assert_allclose(one, rule(said)[5:6], atol=1e-12)


@kinds
def test_one_member_keeps_its_order_of_scans(kind: str) -> None:
    said, labels, groups = told()
    rule = build_combiner(kind, {}).fit({"good": said["good"]}, labels, groups, 0)
    p = rule({"good": said["good"]})
    ranks = np.argsort(np.argsort(said["good"][:, 2])), np.argsort(np.argsort(p[:, 2]))
    assert np.corrcoef(*ranks)[0, 1] > 0.97
    assert rule.weights in ({"good": 1.0}, {})


@kinds
def test_no_member_and_a_member_that_is_missing_are_errors(kind: str) -> None:
    said, labels, groups = told()
    with pytest.raises(TrainingError, match="no member"):
        build_combiner(kind, {}).fit({}, labels, groups, 0)
    rule = build_combiner(kind, {}).fit(said, labels, groups, 0)
    with pytest.raises(TrainingError, match="guess"):
        rule({name: said[name] for name in ("good", "fair")})


def test_voting_is_the_mean_and_of_one_member_the_member() -> None:
    said, labels, groups = told()
    rule = build_combiner("voting", {}).fit(said, labels, groups, 0)
    np.testing.assert_allclose(rule(said), (said["good"] + said["fair"] + said["guess"]) / 3)
    alone = build_combiner("voting", {}).fit({"fair": said["fair"]}, labels, groups, 0)
    np.testing.assert_allclose(alone(said), said["fair"])


@pytest.mark.parametrize(("kind", "options"), [("stack", {"strength": 1e-9}), ("stack_net", {"decay": 1e7})])
def test_a_stack_without_strength_gives_everyone_the_class_shares(kind: str, options: dict[str, float]) -> None:
    said, labels, groups = told()
    p = build_combiner(kind, options).fit(said, labels, groups, 0)(said)
    np.testing.assert_allclose(p, np.tile(np.bincount(labels) / len(labels), (len(p), 1)), atol=2e-2)


def test_an_ordinal_stack_without_strength_weighs_its_members_alike() -> None:
    said, labels, groups = told()
    rule = build_combiner("stack_ordinal", {"strength": 1e-7}).fit(said, labels, groups, 0)
    for weight in rule.weights.values():
        assert weight == pytest.approx(1 / 3, abs=1e-3)


def test_an_ordinal_stack_with_strength_listens_to_the_better_member_and_never_against_one() -> None:
    said, labels, groups = told()
    said["liar"] = said["good"][:, ::-1]
    weights = build_combiner("stack_ordinal", {"strength": 100.0}).fit(said, labels, groups, 0).weights
    assert weights["good"] > 0.6
    assert weights["liar"] == pytest.approx(0, abs=1e-6)
    assert sum(weights.values()) == pytest.approx(1)


def test_a_proportional_odds_member_gets_its_own_score_back() -> None:
    scores = np.linspace(-2, 2, 9)
    p = ProportionalOdds(np.ones(1), np.array([-0.5, 1.5]), np.arange(3))(scores[:, None])
    np.testing.assert_allclose(score(p), scores - 0.5, atol=1e-9)


def test_the_stack_is_the_bundles() -> None:
    from spinecare.learn.stack import fit_stack
    from spinecare.runtime.stack import stack

    said, labels, groups = told()
    ordered = {name: said[name] for name in sorted(said)}
    wanted = stack(ordered, fit_stack(ordered, labels, 0.3))
    np.testing.assert_allclose(build_combiner("stack", {"strength": 0.3}).fit(said, labels, groups, 0)(said), wanted)


def test_cross_fitting_asks_only_rules_that_never_saw_the_group() -> None:
    said, labels, groups = told()
    seen: list[set[str]] = []

    class Spy:
        about = "spy"

        def fit(self, said: object, labels: np.ndarray, groups: np.ndarray, seed: int) -> object:
            learnt = set(groups)

            def rule(asked: dict[str, np.ndarray]) -> np.ndarray:
                rows = [int(np.flatnonzero((all_good == row).all(axis=1))[0]) for row in asked["good"]]
                assert not learnt & set(all_groups[rows])
                seen.append(set(all_groups[rows]))
                return asked["good"]

            return rule

    all_good, all_groups = said["good"], groups
    np.testing.assert_array_equal(cross_fit(Spy(), said, labels, groups, 0), said["good"])
    assert set().union(*seen) == set(groups)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("oracle", {}, "no combiner"),
        ("voting", {"strength": 1}, "no option strength"),
        ("stack", {"strength": 0}, "strength"),
        ("stack_net", {"nets": "many"}, "nets"),
    ],
)
def test_what_cannot_be_built_says_why(kind: str, options: dict[str, object], why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        build_combiner(kind, options)


def test_a_stack_needs_all_three_classes() -> None:
    said, labels, groups = told()
    with pytest.raises(TrainingError, match="lack a class"):
        build_combiner("stack", {}).fit(said, np.minimum(labels, 1), groups, 0)
