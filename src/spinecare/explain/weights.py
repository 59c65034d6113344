"""How much each member moved the answer: exact Shapley values of the stack.

Shapley, A value for n-person games (1953), doi:10.1515/9781400881970-018. With three members there are eight
coalitions, so nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from spinecare.bundle.schema import CLASSES, BundleSpec
from spinecare.runtime.predict import combine
from spinecare.scan import LABELS, Label


@dataclass(frozen=True)
class Weight:
    """One member's part in an answer.

    share
        Its part of all pulls, without their signs, in [0, 1].
    pull
        By how much it moved the log-odds of osteoporosis as shown: above 0 towards, below 0 away.
    """

    share: float
    pull: float


def member_weights(members: Mapping[str, Mapping[str, float]], spec: BundleSpec) -> dict[str, Weight]:
    """What each member contributed to the answer.

    A member that is left out says what it would know without the picture: the prevalence in training. The
    pulls add up to the log-odds of the answer less those of an answer in which every member says that.

    Parameters
    ----------
    members
        Member -> class -> probability, as in `Assessment.members`; every member of the bundle.
    """
    names = tuple(members)
    of: dict[frozenset[str], float] = {}
    for size in range(len(names) + 1):
        for inside in combinations(names, size):
            of[frozenset(inside)] = _log_odds(frozenset(inside), members, spec)
    pulls = {name: _shapley(name, names, of) for name in names}
    total = sum(abs(pull) for pull in pulls.values())
    return {
        name: Weight(share=abs(pull) / total if total > 0 else 1 / len(names), pull=pull)
        for name, pull in pulls.items()
    }


def _log_odds(inside: frozenset[str], members: Mapping[str, Mapping[str, float]], spec: BundleSpec) -> float:
    heard = {
        name: [said[label] if name in inside else spec.prevalence[label] for label in CLASSES]
        for name, said in members.items()
    }
    p = np.clip(combine(heard, spec), np.finfo(np.float64).tiny, None)
    yes = LABELS.index(Label.OSTEOPOROSIS)
    return float(np.log(p[yes]) - np.log(np.delete(p, yes).sum()))


def _shapley(name: str, names: tuple[str, ...], of: Mapping[frozenset[str], float]) -> float:
    others = [other for other in names if other != name]
    n = len(names)
    value = 0.0
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for inside in combinations(others, size):
            before = frozenset(inside)
            value += weight * (of[before | {name}] - of[before])
    return value
