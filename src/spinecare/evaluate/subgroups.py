"""The same figures for women and men, by age, device and view, where the manifest says which scan is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import EvaluationError
from spinecare.evaluate.bootstrap import group_numbers
from spinecare.evaluate.predictions import Figure
from spinecare.evaluate.repeats import evaluate_repeats

# Where a band ends, and what it is called; WHO categories are for women after menopause and men from 50.
AGE_ENDS = (50, 60, 70, 80)
AGE_NAMES = ("under 50", "50 to 59", "60 to 69", "70 to 79", "80 and over")
COLUMNS = ("age_years", "sex", "device", "view")
MIN_PATIENTS = 20


@dataclass(frozen=True, eq=False)
class Subgroup:
    """One model's figures (as `predictions.FIGURES`) on the scans whose `column` is `value`."""

    column: str
    value: str
    model: str
    n: int
    patients: int
    class_counts: dict[str, int]
    figures: dict[str, Figure]


@dataclass(frozen=True, eq=False)
class Subgroups:
    """The subgroups, and in sentences what was left out and, when there are none, why."""

    rows: tuple[Subgroup, ...]
    left_out: tuple[str, ...]
    why: str


def age_bands(ages: Sequence[object] | npt.NDArray[Any]) -> list[str | None]:
    """Ages in years as bands of ten from 50, None where unknown."""
    return [
        None if _unknown(age) else AGE_NAMES[int(np.searchsorted(AGE_ENDS, float(str(age)), side="right"))]
        for age in ages
    ]


def subgroup_columns(rows: Mapping[str, Sequence[object]]) -> dict[str, list[str | None]]:
    """The columns of a manifest that subgroups are made of; `rows` is its table (columns by name) or a data frame."""
    columns: dict[str, list[str | None]] = {}
    for name in COLUMNS:
        if name not in rows:
            continue
        if name == "age_years":
            columns["age"] = age_bands(rows[name])
        else:
            columns[name] = [None if _unknown(value) else str(value) for value in rows[name]]
    return columns


def evaluate_subgroups(
    labels: npt.ArrayLike,
    groups: Sequence[object] | npt.NDArray[Any],
    columns: Mapping[str, Sequence[object]],
    probabilities: Mapping[str, npt.ArrayLike],
    categories: Mapping[str, npt.ArrayLike] | None = None,
    yes: Mapping[str, npt.ArrayLike] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    *,
    min_patients: int = MIN_PATIENTS,
    level: float = 0.95,
) -> Subgroups:
    """Figures within each value of each column, for each model, with intervals over that value's patients.

    Parameters
    ----------
    columns
        (n,) values by name, as `subgroup_columns` makes them; None, nan or "" where unknown.
    min_patients
        Fewer than this many patients (or groups) of a value get no figures, which would be noise.

    The others as `repeats.evaluate_repeats`.

    Returns
    -------
    Subgroups; without rows when no column tells at least two values apart, and then `why` says so.

    Raises
    ------
    EvaluationError
        For a column that has not one value a scan, and as `evaluate_repeats`.
    """
    y = np.asarray(labels)
    patients = group_numbers(groups, len(y))
    rows: list[Subgroup] = []
    left_out: list[str] = []
    for column, given in columns.items():
        values = ["" if _unknown(value) else str(value) for value in given]
        if len(values) != len(y):
            raise EvaluationError(f"Column {column} has {len(values)} values for {len(y)} scans; each needs one.")
        at = np.array(values)
        known = sorted(set(values) - {""}, key=lambda v: (AGE_NAMES.index(v) if v in AGE_NAMES else 0, v))
        if "" in values:
            left_out.append(f"{column} is unknown for {values.count('')} of {len(y)} scans.")
        if len(known) < 2:
            if known:
                left_out.append(f"{column} is {known[0]} for every scan where it is known: nothing to compare.")
            continue
        for value in known:
            here = at == value
            count = len(np.unique(patients[here]))
            if count < min_patients:
                left_out.append(f"{column} {value}: {count} patients, fewer than {min_patients}.")
                continue
            rows += _one(column, value, here, y, patients, probabilities, categories, yes, n_boot, seed, level)
    why = ""
    if not rows:
        why = (
            "No figures by subgroup: no column of the manifest (" + ", ".join(COLUMNS) + ") tells apart groups of at "
            f"least {min_patients} patients, so nothing can be said about how the models do on kinds of people."
        )
    return Subgroups(tuple(rows), tuple(left_out), why)


def _one(
    column: str,
    value: str,
    here: npt.NDArray[np.bool_],
    y: npt.NDArray[Any],
    patients: npt.NDArray[np.int64],
    probabilities: Mapping[str, npt.ArrayLike],
    categories: Mapping[str, npt.ArrayLike] | None,
    yes: Mapping[str, npt.ArrayLike] | None,
    n_boot: int,
    seed: int,
    level: float,
) -> list[Subgroup]:
    """Every model on the scans that are `here`."""

    def cut(answers: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[Any]]:
        arrays = {name: np.asarray(values) for name, values in answers.items()}
        for name, array in arrays.items():
            if array.ndim < 2 or array.shape[1] != len(y):
                raise EvaluationError(f"Answers of {name} must be (repeats, {len(y)}, ...); shape {array.shape}.")
        return {name: array[:, here] for name, array in arrays.items()}

    found = evaluate_repeats(
        y[here],
        patients[here],
        cut(probabilities),
        None if categories is None else cut(categories),
        None if yes is None else cut(yes),
        n_boot,
        seed,
        level=level,
    )
    return [
        Subgroup(column, value, name, found.n, found.patients, found.class_counts, model.figures)
        for name, model in found.models.items()
    ]


def _unknown(value: object) -> bool:
    """Whether a cell of a table is empty."""
    return value is None or value != value or not str(value).strip() or str(value) in ("nan", "<NA>", "None")
