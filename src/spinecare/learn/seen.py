"""Which virtual people a bundle's networks were trained on: what such a network says of them is no news."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spinecare.learn.material import Sources
from spinecare.learn.virtual import IDXA_SEED_OFFSET

if TYPE_CHECKING:
    import pandas as pd

# As `learn.virtual` words what a bundle was trained on, and as `phantom` names its people.
TRAINED_ON = re.compile(r"\(n=(\d+), seed=(\d+), ")
PERSON = re.compile(r"v(\d+)-(\d+)")


def seen_by_bundle(frame: pd.DataFrame, sources: Sources) -> np.ndarray:
    """Which rows are people of the cohort that the bundle of the frozen views comes from, bool (n,).

    Parameters
    ----------
    frame
        A manifest, as `io.dataset.read_manifest` returns it.
    sources
        Names the bundle; None there: the one in the package.
    """
    from spinecare.bundle.read import DEFAULT_FOLDER
    from spinecare.bundle.schema import SPEC_FILE

    file = (DEFAULT_FOLDER if sources.bundle is None else Path(sources.bundle)) / SPEC_FILE
    told = json.loads(file.read_text(encoding="utf-8")).get("trained_on", "") if file.is_file() else ""
    cohort = TRAINED_ON.search(told)
    if cohort is None:
        return np.zeros(len(frame), dtype=bool)
    n, seed = int(cohort[1]), int(cohort[2])
    people = [PERSON.fullmatch(str(key)) for key in frame["patient_id"]]
    return np.array(
        [one is not None and int(one[1]) in (seed, seed + IDXA_SEED_OFFSET) and int(one[2]) < n for one in people],
        dtype=bool,
    )
