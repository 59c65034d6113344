"""Virtual people scanned a second time: the same bones, laid down anew, as the densitometer then reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spinecare.errors import DatasetError
from spinecare.learn.recipe import Progress, Step
from spinecare.phantom.chain import exposed
from spinecare.phantom.cohort import GENERATOR
from spinecare.scan import LABELS
from spinecare.study.pool import each

if TYPE_CHECKING:
    import pandas as pd

FILE = "second.jsonl"
# The manifest rounds its T-scores to this.
ROUNDED = 6e-5


@dataclass(frozen=True, eq=False)
class Second:
    """What two scans of the same people said, (n,): class by the first; T-score and class by the second."""

    first: np.ndarray
    t_score: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class _Person:
    """Where a virtual person comes from, and what the manifest says of the first scan."""

    key: str
    seed: int
    index: int
    balance: bool
    t_score: float


def second_scans(frame: pd.DataFrame, out: Path, workers: int, progress: Progress) -> Second:
    """Scan the people of a cohort's manifest rows again, without a picture; those of an earlier call are kept.

    Raises
    ------
    DatasetError
        When the rows are not those of a cohort that this simulator makes.
    """
    people = list(_people(frame))
    out.mkdir(parents=True, exist_ok=True)
    kept = _read(out / FILE)
    missing = [one for one in people if one.key not in kept]
    with (out / FILE).open("a", encoding="utf-8") as file:
        for number, (_, told) in enumerate(each(_again, missing, workers)):
            kept[told[0]] = told[1:]
            file.write(json.dumps(told) + "\n")
            file.flush()
            progress(Step("second scans", len(people) - len(missing) + number + 1, len(people)))
    order = {str(name): i for i, name in enumerate(LABELS)}
    seen = [kept[one.key] for one in people]
    return Second(
        first=np.array([order[label] for label in frame["label"]], dtype=np.int64),
        t_score=np.array([t for t, _ in seen], dtype=np.float64),
        label=np.array([order[label] for _, label in seen], dtype=np.int64),
    )


def _people(frame: pd.DataFrame) -> Iterator[_Person]:
    cohorts: dict[Path, dict[str, object]] = {}
    for key, path, t_score in zip(frame["patient_id"], frame["file"], frame["t_score"], strict=True):
        folder = Path(path).parent.parent
        if folder not in cohorts:
            cohorts[folder] = _cohort(folder)
        seed, _, index = str(key).removeprefix("v").partition("-")
        yield _Person(str(key), int(seed), int(index), bool(cohorts[folder]["balance"]), float(t_score))


def _cohort(folder: Path) -> dict[str, object]:
    file = folder / "cohort.json"
    told: dict[str, object] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if told.get("generator") != GENERATOR:
        raise DatasetError(
            f"{folder} is no cohort of {GENERATOR}, so its people cannot be scanned again. Make one with `spinecare "
            "phantom make`, or leave the second scans out."
        )
    return told


def _again(one: _Person) -> tuple[str, float, str]:
    first, _ = exposed(one.seed, one.index, one.balance)
    if abs(first.t_score - one.t_score) > ROUNDED:
        raise DatasetError(
            f"{one.key} has T-score {first.t_score:.4f} by this simulator and {one.t_score:.4f} in the manifest: "
            "another version made the cohort. Make it anew."
        )
    second, _ = exposed(one.seed, one.index, one.balance, visit=1)
    return one.key, second.t_score, str(second.label)


def _read(file: Path) -> dict[str, tuple[float, str]]:
    kept = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            key, t_score, label = json.loads(line)
        except ValueError:  # torn by a crash: that person is scanned again
            continue
        kept[key] = (t_score, label)
    return kept
