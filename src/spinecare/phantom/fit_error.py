"""How far a scan reads from what is foreseen of it: fits `tables/measured_error.json` to scans.

`python -m spinecare.phantom.fit_error --n 600` after any change of the anatomy, the soft tissue or the densitometer.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spinecare.phantom import balance
from spinecare.phantom.balance import Lot
from spinecare.phantom.chain import draw_person, expose
from spinecare.phantom.cohort import processes
from spinecare.phantom.maps import Float
from spinecare.phantom.population import People

TABLE = Path(__file__).parent / "tables" / "measured_error.json"
SEED = 90_001


def _one(index: int, seed: int) -> tuple[People, Float]:
    lot = Lot(seed, index)
    person = draw_person(lot)
    return person, expose(person, lot).measured


def scanned(n: int, seed: int, workers: int | None = None) -> tuple[People, Float]:
    """n people as the population comes, and what the scanner reads of each: float64 (n, 4), g/cm2."""
    with processes(workers) as pool:
        made = list(pool.map(partial(_one, seed=seed), range(n), chunksize=4))
    names = People.__dataclass_fields__
    people = People(**{name: np.concatenate([getattr(one, name) for one, _ in made]) for name in names})
    return people, np.array([measured for _, measured in made])


def fit(people: People, measured: Float) -> dict[str, Any]:
    """The table: mean of the error by least squares on `balance.design`, SD growing with BMI, covariance at 27.

    Parameters
    ----------
    people
        n of them, as the population comes.
    measured
        float64 (n, 4), g/cm2.
    """
    error = measured - balance.foreseen(people)
    columns = balance.design(people)
    mean, *_ = np.linalg.lstsq(columns, error, rcond=None)
    rest = error - columns @ mean
    bmi = people.bmi - 27
    size = np.log(np.abs(balance.total(people, rest)) + 1e-6)
    slope = max(float(np.polyfit(bmi, size, 1)[0]), 0.0)
    scaled = rest * np.exp(-slope * bmi)[:, None]
    return {
        "what": "measured - (bmd + degeneration + fat error) of L1-L4, g/cm2, over scans of people as they come: mean "
        "= design @ mean (rows 1, BMI - 27, L1-L4 BMD - 1, uneven fat in mm), SD times exp(log_sd_per_bmi (BMI - 27))",
        "source": "python -m spinecare.phantom.fit_error",
        "n": len(people),
        "mean": mean.round(5).tolist(),
        "log_sd_per_bmi": round(slope, 4),
        "covariance": (scaled.T @ scaled / (len(people) - columns.shape[1])).round(7).tolist(),
    }


def main() -> None:
    """Scan people and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args()
    table = fit(*scanned(options.n, options.seed, options.workers))
    options.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
