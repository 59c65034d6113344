"""Train, validation and test: by patient, stratified, seeded."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from spinecare.errors import DatasetError
from spinecare.io.links import Links
from spinecare.io.manifest import SPLITS, keys_of
from spinecare.scan import LABELS

if TYPE_CHECKING:
    import pandas as pd

FRACTIONS = (0.7, 0.1, 0.2)


def split_manifest(
    frame: pd.DataFrame, fractions: tuple[float, float, float] = FRACTIONS, seed: int = 0
) -> pd.DataFrame:
    """Divide a manifest into train, val and test.

    Whole units are divided: all rows of one patient, and of one scan group, stay together (a group that spans two
    patients joins them). Each class is divided for itself, by its units; a unit with several labels counts as the
    most frequent, on a tie the most severe. Within a class the order is by a hash of seed and unit, so it depends
    neither on the order of the rows nor on chance, and every part gets a unit as soon as there are three.

    Parameters
    ----------
    frame
        With `path`, `label`, `patient_id`, `group`, as `read_manifest` returns it.
    fractions
        Shares of train, val and test; they add up to 1.
    seed
        Another seed gives another split.

    Returns
    -------
    pandas.DataFrame
        A copy in the same order with `split`. `attrs["notes"]` holds sentences for every report: whether
        groups or single pictures stood in for patients.

    Raises
    ------
    DatasetError
        When the fractions are none.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DatasetError(f"The shares {fractions} of train, val and test must be three that add up to 1.")
    units = units_of(frame)
    labels: dict[str, Counter[str]] = {}
    for unit, label in zip(units, frame["label"], strict=True):
        labels.setdefault(unit, Counter())[str(label)] += 1
    severity = {str(label): i for i, label in enumerate(LABELS)}
    strata: dict[str, list[str]] = {}
    for unit, counts in labels.items():
        main = max(counts, key=lambda label: (counts[label], severity.get(label, -1)))
        strata.setdefault(main, []).append(unit)
    part_of: dict[str, str] = {}
    for members in strata.values():
        ordered = sorted(members, key=lambda unit: hashlib.sha256(f"{seed}:{unit}".encode()).digest())
        parts = [p for p, n in zip(SPLITS, _counts(len(ordered), fractions), strict=True) for _ in range(n)]
        part_of |= dict(zip(ordered, parts, strict=True))
    out = frame.copy()
    out["split"] = [part_of[unit] for unit in units]
    out.attrs = dict(frame.attrs) | {"notes": split_notes(frame)}
    return out


def units_of(frame: pd.DataFrame) -> list[str]:
    """The name of each row's unit: the smallest key of all rows that share a patient or a group with it."""
    keys = keys_of(frame)
    links = Links(len(frame))
    first: dict[str, int] = {}
    groups = list(frame["group"]) if "group" in frame.columns else [""] * len(frame)
    for i, (key, group) in enumerate(zip(keys, groups, strict=True)):
        links.join(first.setdefault(key, i), i)
        if group:
            links.join(first.setdefault(f"group:{group}", i), i)
    names: dict[int, str] = {}
    for i, key in enumerate(keys):
        root = links.root(i)
        names[root] = min(names.get(root, key), key)
    return [names[links.root(i)] for i in range(len(frame))]


def split_notes(frame: pd.DataFrame) -> list[str]:
    """Sentences on what stood in for patients; none when every row names one."""
    kinds = Counter(key.partition(":")[0] for key in keys_of(frame))
    notes = []
    if kinds["group"]:
        notes.append(f"{kinds['group']} of {len(frame)} pictures name no patient; their scan group stands in.")
    if kinds["picture"]:
        notes.append(
            f"{kinds['picture']} of {len(frame)} pictures name neither patient nor group; each stands for itself, "
            "so two pictures of one person may be on both sides of the split."
        )
    return notes


def _counts(n: int, fractions: tuple[float, float, float]) -> list[int]:
    """How many of `n` units each part gets: largest remainders, and none empty that should not be from 3 units on."""
    exact = [n * f for f in fractions]
    counts = [int(e + 1e-9) for e in exact]
    by_remainder = sorted(range(3), key=lambda k: (counts[k] - exact[k], k))
    for k in by_remainder[: n - sum(counts)]:
        counts[k] += 1
    for k in range(3):
        if n >= 3 and fractions[k] > 0 and counts[k] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[k] = 1
    return counts
