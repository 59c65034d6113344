"""Which person sits at an index: as the population comes, or of a class, with the weight that leads back.

A class follows the T-score that the scanner reads, which is known only after the scan has been simulated. What it
will be is foreseen from the person (`expected`) up to an error whose size has been fitted to scans
(`tables/measured_error.json`). People are proposed by that and weighted for it:
docs/decisions/balance-by-importance.md has the derivation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import numpy as np
from scipy.special import ndtr

from spinecare.errors import PhantomError
from spinecare.phantom import densitometer, population
from spinecare.phantom.maps import Float
from spinecare.phantom.population import People
from spinecare.scan import LABELS, Label

# The streams of randomness of one index, so that none shifts another.
PERSON, SKELETON, BODY, POSITION, EXPOSURE, DISPLAY, OVERLAY, ESTIMATE = range(8)

# WHO Technical Report 843 (1994): osteoporosis at or below the first, normal at or above the second.
CUTS = (-2.5, -1.0)
# The smallest chance to be tried, as a share of the class's prevalence: a person who is foreseen in another class
# is tried now and then, and none of the weights is without bound. It costs this share of scans more.
FLOOR = 0.05
PROPOSALS = 64
ATTEMPTS = 400

T = TypeVar("T")


@dataclass(frozen=True)
class Lot:
    """What all randomness of one virtual patient comes from.

    `attempt` counts the people that were scanned for this index before its class was met (0 without balance).
    """

    seed: int
    index: int
    attempt: int = 0

    def rng(self, stream: int, visit: int = 0) -> np.random.Generator:
        """The generator of one stream; the first four words alone for attempt 0."""
        key = [self.seed, self.index, stream, visit]
        return np.random.default_rng([*key, self.attempt] if self.attempt else key)

    @property
    def label(self) -> Label:
        """The class whose turn it is at this index in a balanced cohort."""
        return LABELS[self.index % len(LABELS)]

    @property
    def key(self) -> str:
        """The pseudonym."""
        return f"v{self.seed}-{self.index:06d}"


@cache
def error_table() -> dict[str, Any]:
    """How far a scan is from what is expected of it, as fitted: see `tables/measured_error.json`."""
    text = (resources.files("spinecare.phantom") / "tables" / "measured_error.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def foreseen(people: People) -> Float:
    """What the physics says that a scanner reads, before its own error: float64 (n, 4), g/cm2.

    Bone as drawn, what degeneration adds, and the baseline's error where fat lies unevenly.
    """
    fat = densitometer.fat_error_g_cm2_per_mm() * people.fat_uneven_mm
    return np.asarray(people.bmd + people.degeneration + fat[:, None])


def design(people: People) -> Float:
    """float64 (n, k): what the mean of the scanner's error depends on. See `tables/measured_error.json`."""
    bmi = people.bmi - 27
    return np.stack([np.ones(len(people)), bmi, people.bmd_total - 1, people.fat_uneven_mm], axis=1)


def spread(people: People) -> Float:
    """float64 (n,): the factor on the error's SD that grows with BMI; 1 at 27 kg/m2."""
    return np.asarray(np.exp(error_table()["log_sd_per_bmi"] * (people.bmi - 27)))


def expected(people: People) -> Float:
    """The BMD that a scan is expected to read: float64 (n, 4), g/cm2."""
    return np.asarray(foreseen(people) + design(people) @ np.array(error_table()["mean"]))


def estimate(people: People, rng: np.random.Generator) -> Float:
    """BMD as a scanner might read it, drawn without a scan: float64 (n, 4), g/cm2."""
    factor = np.linalg.cholesky(np.array(error_table()["covariance"]))
    error = rng.standard_normal((len(people), 4)) @ factor.T
    return np.asarray(expected(people) + spread(people)[:, None] * error)


def total(people: People, per_level: Float) -> Float:
    """L1-L4 BMD, content over area: float64 (n,) of (n, 4), g/cm2."""
    return np.asarray((per_level * people.area).sum(1) / people.area.sum(1))


def t_sd(people: People) -> Float:
    """SD of the error of the expected T-score: float64 (n,)."""
    share = people.area / people.area.sum(1, keepdims=True)
    covariance = np.array(error_table()["covariance"])
    sd = np.sqrt(np.einsum("ni,ij,nj->n", share, covariance, share))
    return np.asarray(spread(people) * sd / population.t_reference()["sd_g_cm2"])


def chance(people: People) -> Float:
    """The chance of each class before the scan: float64 (n, 3) in the order of `LABELS`, rows sum to 1."""
    sd = t_sd(people)
    t = population.t_score_of(total(people, expected(people)))
    below = [ndtr((cut - t) / sd) for cut in CUTS]
    return np.stack([1 - below[1], below[1] - below[0], below[0]], axis=1)


@cache
def _prevalence(n: int) -> tuple[float, ...]:
    shares = chance(population.draw_people(np.random.default_rng(0), n)).mean(0)
    return tuple(float(share) for share in shares)


def prevalence(n: int = 40_000) -> dict[Label, float]:
    """The share of each class among people as they come, from n of them, always the same."""
    return dict(zip(LABELS, _prevalence(n), strict=True))


def acceptance(people: People, label: Label) -> Float:
    """float64 (n,): the chance with which each person is tried for a class, at least `FLOOR` x prevalence."""
    return np.asarray(np.maximum(chance(people)[:, LABELS.index(label)], FLOOR * prevalence()[label]))


def proposals(rng: np.random.Generator, label: Label) -> Iterator[tuple[People, float]]:
    """People worth trying for a class, each with the chance that it had of being tried; without end."""
    while True:
        people = population.draw_people(rng, PROPOSALS)
        chances = acceptance(people, label)
        for i in np.flatnonzero(rng.random(PROPOSALS) < chances):
            yield people.person(int(i)), float(chances[i])


def of_class(lot: Lot, scan: Callable[[People, Lot], T], label_of: Callable[[T], Label]) -> tuple[T, Lot, float]:
    """Scan people until one is of the class whose turn it is.

    Parameters
    ----------
    lot
        Seed and index.
    scan
        Makes the scan (or an estimate) of a person; all its randomness must come from the lot that it is given.
    label_of
        The measured class of what `scan` made.

    Returns
    -------
    scanned, lot, weight
        The scan that was kept, the lot with its attempt, and the raw weight (1 / its chance of being tried);
        `normalised` makes sampling weights of a cohort's raw ones.

    Raises
    ------
    PhantomError
        When no one of the class is found.
    """
    label = lot.label
    for attempt, (person, tried) in zip(range(ATTEMPTS), proposals(lot.rng(PERSON), label), strict=False):
        mine = Lot(lot.seed, lot.index, attempt)
        scanned = scan(person, mine)
        if label_of(scanned) == label:
            return scanned, mine, 1 / tried
    raise PhantomError(
        f"None of {ATTEMPTS} people foreseen as {label} was measured so: tables/measured_error.json does not "
        f"fit this scanner. Fit it anew with python -m spinecare.phantom.fit_error."
    )


def normalised(raw: Sequence[float], labels: Sequence[str]) -> Float:
    """Sampling weights of a balanced cohort: each class sums to n times its prevalence.

    Parameters
    ----------
    raw
        (n,) from `of_class`.
    labels
        (n,) measured classes.
    """
    weights = np.array(raw, dtype=float)
    for label, share in prevalence().items():
        mine = np.array([one == label for one in labels], dtype=bool)
        if mine.any():
            weights[mine] *= len(weights) * share / weights[mine].sum()
    return weights
