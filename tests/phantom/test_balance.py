"""Balanced people: equal classes, and weights that lead back; with a cheap stand-in for the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from spinecare.errors import PhantomError
from spinecare.phantom import balance, population
from spinecare.phantom.balance import ESTIMATE, PERSON, Lot, normalised, of_class, prevalence
from spinecare.phantom.population import People
from spinecare.scan import LABELS, Label

N = 900


@dataclass(frozen=True)
class Read:
    person: People
    t_score: float

    @property
    def label(self) -> Label:
        return population.label_of(self.t_score)


def stand_in(person: People, lot: Lot) -> Read:
    """A scanner whose error is not the fitted one: twice its size, heavy tails."""
    rng = lot.rng(ESTIMATE)
    error = rng.laplace(0, 0.02) + 0.01 * rng.standard_normal(4)
    measured = balance.expected(person) + error
    return Read(person, float(population.t_score_of(balance.total(person, measured))[0]))


@pytest.fixture(scope="module")
def balanced() -> list[tuple[Read, float]]:
    found = [of_class(Lot(31, index), stand_in, lambda read: read.label) for index in range(N)]
    return [(read, weight) for read, _, weight in found]


def as_they_come(n: int) -> list[Read]:
    lots = [Lot(77, index) for index in range(n)]
    return [stand_in(population.draw_people(lot.rng(PERSON), 1), lot) for lot in lots]


def test_classes_take_turns(balanced: list[tuple[Read, float]]) -> None:
    assert [read.label for read, _ in balanced] == [LABELS[i % 3] for i in range(N)]


def test_weights_lead_back_to_people_as_they_come(balanced: list[tuple[Read, float]]) -> None:
    people = as_they_come(4000)
    weights = normalised([weight for _, weight in balanced], [read.label for read, _ in balanced])
    # Within each class, so that the prevalence (of the fitted error, not of the stand-in) plays no part.
    for label in LABELS:
        mine = [i for i, (read, _) in enumerate(balanced) if read.label == label]
        theirs = [read for read in people if read.label == label]
        for quantity in (
            lambda read: read.person.age_years[0],
            lambda read: read.person.bmd_total[0],
            lambda read: read.person.degeneration.mean(),
            lambda read: read.t_score,
            lambda read: float(read.person.sex[0] == "F"),
        ):
            x, w = np.array([quantity(balanced[i][0]) for i in mine], float), weights[mine]
            y = np.array([quantity(read) for read in theirs], float)
            mean = np.average(x, weights=w)
            error = np.sqrt((w**2 * (x - mean) ** 2).sum() / w.sum() ** 2 + y.var() / len(y))
            assert abs(mean - y.mean()) < 3.5 * error


def test_without_weights_a_balanced_cohort_is_not_the_population(balanced: list[tuple[Read, float]]) -> None:
    bmd = np.mean([read.person.bmd_total[0] for read, _ in balanced])
    people = population.draw_people(np.random.default_rng(5), 4000)
    assert bmd < people.bmd_total.mean() - 0.05


def test_weighted_means_are_those_of_the_population_when_the_fit_is_right() -> None:
    def scan(person: People, lot: Lot) -> Read:
        measured = balance.estimate(person, lot.rng(ESTIMATE))
        return Read(person, float(population.t_score_of(balance.total(person, measured))[0]))

    found = [of_class(Lot(8, index), scan, lambda read: read.label) for index in range(N)]
    weights = normalised([weight for *_, weight in found], [read.label for read, *_ in found])
    people = population.draw_people(np.random.default_rng(6), 40_000)
    for x, expected in (
        (np.array([read.person.age_years[0] for read, *_ in found]), people.age_years.mean()),
        (np.array([read.person.bmd_total[0] for read, *_ in found]), people.bmd_total.mean()),
    ):
        mean = np.average(x, weights=weights)
        error = np.sqrt((weights**2 * (x - mean) ** 2).sum()) / weights.sum()
        assert abs(mean - expected) < 3.5 * error


def test_few_scans_are_thrown_away() -> None:
    tried = []

    def scan(person: People, lot: Lot) -> Read:
        tried.append(lot)
        measured = balance.estimate(person, lot.rng(ESTIMATE))
        return Read(person, float(population.t_score_of(balance.total(person, measured))[0]))

    for index in range(150):
        of_class(Lot(9, index), scan, lambda read: read.label)
    assert len(tried) < 1.5 * 150
    # An attempt after a scan that was thrown away must not repeat its random numbers.
    assert len({lot.rng(ESTIMATE).random() for lot in tried}) == len(tried)


def test_each_class_weighs_its_prevalence() -> None:
    labels = [str(LABELS[i % 3]) for i in range(30)]
    weights = normalised(np.random.default_rng(0).uniform(1, 20, 30), labels)
    for label, share in prevalence().items():
        assert weights[[one == label for one in labels]].sum() == pytest.approx(30 * share)


def test_prevalence_is_that_of_drawn_people() -> None:
    people = population.draw_people(np.random.default_rng(44), 30_000)
    t_score = population.t_score_of(balance.total(people, balance.estimate(people, np.random.default_rng(45))))
    labels = [population.label_of(t) for t in t_score]
    for label, share in prevalence().items():
        drawn = np.mean([one == label for one in labels])
        assert drawn == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) * (1 / 30_000 + 1 / 40_000)))


def test_chances_of_the_classes_sum_to_one_and_move_with_bone() -> None:
    people = population.draw_people(np.random.default_rng(1), 500)
    chances = balance.chance(people)
    assert chances.min() >= 0
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-12)
    t_score = population.t_score_of(balance.total(people, balance.expected(people)))
    assert np.corrcoef(chances[:, 2], t_score)[0, 1] < 0 < np.corrcoef(chances[:, 0], t_score)[0, 1]


def test_the_first_attempt_uses_the_streams_of_an_unbalanced_person() -> None:
    assert Lot(3, 4).rng(2).random() == np.random.default_rng([3, 4, 2]).random()
    assert Lot(3, 4, 1).rng(2).random() != Lot(3, 4).rng(2).random()


def test_a_class_that_is_never_measured_is_said() -> None:
    with pytest.raises(PhantomError, match="fit_error"):
        of_class(Lot(1, 2), lambda person, lot: None, lambda read: Label.NORMAL)
