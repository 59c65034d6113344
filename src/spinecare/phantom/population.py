"""Who the virtual patients are: sex, age, body, bone, as NHANES measured them.

Logarithms of height, weight, four BMD and four areas are jointly normal about a mean that bends with
age (knots) and shifts with ethnicity, one covariance a sex. The numbers stand in
`tables/population.json`, made by `fit_nhanes`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import PhantomError
from spinecare.scan import LABELS, Label

Float = npt.NDArray[np.float64]

FEATURES: tuple[str, ...] = (
    "height_cm", "weight_kg",
    "bmd_l1", "bmd_l2", "bmd_l3", "bmd_l4", "area_l1", "area_l2", "area_l3", "area_l4",
)  # fmt: skip
ETHNICITIES: dict[int, str] = {
    1: "mexican_american", 2: "other_hispanic", 3: "white", 4: "black", 6: "asian", 7: "other",
}  # fmt: skip

# A clinic's mix, not the country's: who is sent to a densitometer.
SHARE_OF_WOMEN = 0.72
AGE_GROUPS: tuple[tuple[float, float, float], ...] = ((0.10, 20, 50), (0.85, 50, 85), (0.05, 80, 90))

# What the scanner adds to bone: fat that is not the same over and beside the spine shifts the whole baseline
# (Tothill and Pye 1992, Br J Radiol 65:807: about 0.03-0.06 g/cm2 in vivo), and each level has its own
# positioning error (ISCD: short-term precision of 1-2 %).
BASELINE_SD_G_CM2 = 0.025
LEVEL_ERROR_SHARE = 0.012


@dataclass(frozen=True, eq=False)
class People:
    """Virtual patients as columns; every array has one row a person.

    sex
        "F" or "M". `ethnicity` is one of `ETHNICITIES`.
    age_years, height_cm, weight_kg
        float64 (n,).
    bmd, area, degeneration
        float64 (n, 4), L1 first: bone as drawn (g/cm2, Hologic scale), projected area (cm2), and what
        degeneration adds (g/cm2).
    measured
        float64 (n, 4): BMD as the simulated scanner reads it, g/cm2.
    baseline
        float64 (n,): the part of `measured` that is the scanner's error of the soft-tissue baseline, g/cm2.
    texture
        float64 (n,), standard normal: trabecular coarseness that BMD does not explain.
    """

    sex: npt.NDArray[np.str_]
    ethnicity: npt.NDArray[np.str_]
    age_years: Float
    height_cm: Float
    weight_kg: Float
    bmd: Float
    area: Float
    degeneration: Float
    measured: Float
    baseline: Float
    texture: Float

    def __len__(self) -> int:
        return len(self.age_years)

    @property
    def bmd_total(self) -> Float:
        """float64 (n,): L1-L4 BMD as drawn, content over area, g/cm2."""
        return np.asarray((self.bmd * self.area).sum(1) / self.area.sum(1))

    @property
    def bmd_measured_total(self) -> Float:
        """float64 (n,): L1-L4 BMD as measured, g/cm2."""
        return np.asarray((self.measured * self.area).sum(1) / self.area.sum(1))

    @property
    def t_score(self) -> Float:
        """float64 (n,): from the measured L1-L4 BMD."""
        reference = t_reference()
        return np.asarray((self.bmd_measured_total - reference["mean_g_cm2"]) / reference["sd_g_cm2"])

    @property
    def label(self) -> npt.NDArray[np.str_]:
        """The class of each person, from the measured T-score."""
        return np.array([str(label_of(t)) for t in self.t_score])

    def person(self, i: int) -> People:
        """The i-th person alone, as a table of one row."""
        return People(**{name: getattr(self, name)[i : i + 1] for name in self.__dataclass_fields__})


def label_of(t_score: float) -> Label:
    """The WHO class of a T-score (WHO Technical Report 843, 1994): at most -2.5, below -1.0, else normal."""
    if t_score <= -2.5:
        return Label.OSTEOPOROSIS
    return Label.LOW_BONE_MASS if t_score < -1.0 else Label.NORMAL


@cache
def _table(name: str) -> dict[str, Any]:
    text = (resources.files("spinecare.phantom") / "tables" / f"{name}.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def t_reference() -> dict[str, Any]:
    """The young-adult reference of the T-score with its source (mean_g_cm2, sd_g_cm2)."""
    return _table("t_reference")


def population_table() -> dict[str, Any]:
    """The fitted population with its source, as `fit_nhanes` made it."""
    return _table("population")


def draw_people(rng: np.random.Generator, n: int) -> People:
    """Draw n people.

    Parameters
    ----------
    rng
        Where the randomness comes from; the same state gives the same people.
    n
        How many, at least 1.

    Raises
    ------
    PhantomError
        When n is below 1.
    """
    if n < 1:
        raise PhantomError(f"Cannot draw {n} people. Ask for at least one.")
    table = population_table()
    women = rng.random(n) < SHARE_OF_WOMEN
    share, low, high = (np.array(column) for column in zip(*AGE_GROUPS, strict=True))
    group = rng.choice(len(share), size=n, p=share)
    age = rng.uniform(low[group], high[group])
    names = list(table["ethnicity_share"])
    ethnicity = rng.choice(len(names), size=n, p=list(table["ethnicity_share"].values()))
    normal = rng.standard_normal((n, len(FEATURES)))
    values = np.empty((n, len(FEATURES)))
    for sex, chosen in (("F", women), ("M", ~women)):
        fitted = table["sex"][sex]
        means = np.array([np.interp(age[chosen], table["age_knots"], column) for column in fitted["log_mean"]]).T
        shift = np.array([fitted["ethnicity_shift"][name] for name in names])[ethnicity[chosen]]
        factor = np.linalg.cholesky(np.array(fitted["log_covariance"]))
        residual = normal[chosen] @ factor.T
        residual[:, 2:6] *= np.interp(age[chosen], table["age_knots"], fitted["bmd_spread"])[:, None]
        values[chosen] = np.exp(means + shift + residual)
    bmd = values[:, 2:6]
    degeneration = _degeneration(rng, age, women)
    baseline = BASELINE_SD_G_CM2 * rng.standard_normal(n)
    error = LEVEL_ERROR_SHARE * bmd * rng.standard_normal((n, 4))
    return People(
        sex=np.where(women, "F", "M"),
        ethnicity=np.array(names)[ethnicity],
        age_years=age,
        height_cm=values[:, 0],
        weight_kg=values[:, 1],
        bmd=bmd,
        area=values[:, 6:],
        degeneration=degeneration,
        measured=np.maximum(bmd + degeneration + baseline[:, None] + error, 0.15),
        baseline=baseline,
        texture=rng.standard_normal(n),
    )


def _degeneration(rng: np.random.Generator, age: Float, women: npt.NDArray[np.bool_]) -> Float:
    # Grows from about 45, more in men and downwards, and unevenly: most people have little, few much. Levels
    # that NHANES' readers excluded for it (code 6) are not in the fitted means, so it is added here.
    risk = np.clip((age - 45) / 35, 0.0, 1.2) * np.where(women, 0.8, 1.2)
    burden = rng.gamma(0.8, 1.0, len(age)) * risk
    spread = rng.gamma(1.0, 1.0, (len(age), 4)) * np.array([0.6, 0.8, 1.1, 1.4])
    return np.asarray(np.minimum(0.035 * burden[:, None] * spread, 0.45))


def draw_of_class(rng: np.random.Generator, label: Label) -> People:
    """Draw one person of the class, by drawing people until one belongs to it (a table of one row)."""
    for _ in range(200):
        people = draw_people(rng, 128)
        found = np.flatnonzero(people.label == str(label))
        if len(found):
            return people.person(int(found[0]))
    raise PhantomError(f"No person of class {label} among 25,600: the population table is not what it should be.")


@cache
def prevalence(n: int = 40_000) -> dict[Label, float]:
    """The share of each class among the people that `draw_people` draws, from n of them, always the same."""
    labels = draw_people(np.random.default_rng(0), n).label
    return {label: float(np.mean(labels == str(label))) for label in LABELS}


# Young adults, whom NHANES 2017-2020 did not scan: mean and SD of total L1-L4 BMD by decade (NHANES,
# PMC12995607, table 3), at the decades' middle ages, g/cm2.
YOUNG_AGES: tuple[float, ...] = (25.0, 35.0, 45.0)
YOUNG_TOTAL_BMD: dict[str, tuple[float, ...]] = {"F": (1.064, 1.065, 1.056), "M": (1.057, 1.042, 1.051)}
YOUNG_SD_BMD: dict[str, tuple[float, ...]] = {"F": (0.106, 0.110, 0.134), "M": (0.110, 0.117, 0.129)}


def fit_nhanes(folder: Path) -> dict[str, Any]:
    """Fit the population table from the SAS transport files of NHANES 2017-March 2020.

    `python -m spinecare.phantom.population FOLDER OUT.json` writes what this returns.

    Parameters
    ----------
    folder
        Holds P_DXXSPN.XPT, P_DEMO.XPT and P_BMX.XPT.

    Returns
    -------
    dict
        As in `tables/population.json`: unweighted complete cases (four valid levels).

    Raises
    ------
    PhantomError
        When a file is missing.
    """
    import pandas as pd

    files = [folder / f"P_{name}.XPT" for name in ("DXXSPN", "DEMO", "BMX")]
    if missing := [file.name for file in files if not file.is_file()]:
        raise PhantomError(f"{', '.join(missing)} not in {folder}. Fetch it from the NHANES 2017-March 2020 pages.")
    spine, people, body = (pd.read_sas(file).round(4) for file in files)  # SAS transport zeros read as 5.4e-79
    frame = spine.merge(people, on="SEQN").merge(body, on="SEQN")
    columns = ["BMXHT", "BMXWT", *(f"DXXL{i}BMD" for i in range(1, 5)), *(f"DXXL{i}A" for i in range(1, 5))]
    frame = frame[frame["DXXOSBCC"] == 0].dropna(subset=columns)
    frame = frame[(frame[columns] > 0).all(axis=1)]
    log = np.log(frame[columns].to_numpy(float))
    age = frame["RIDAGEYR"].to_numpy(float)
    ethnicity = frame["RIDRETH3"].to_numpy(int)
    knots = np.array([52.0, 58.0, 65.0, 73.0, 80.0])
    out: dict[str, Any] = {
        "source": "NHANES 2017-March 2020 (CDC/NCHS, US public domain): P_DXXSPN, P_DEMO, P_BMX; unweighted "
        "complete cases, ages 50+; ages 20-49: total BMD by decade from PMC12995607 table 3, levels in the "
        "proportions at 52",
        "version": "1",
        "features": list(FEATURES),
        "age_knots": [*YOUNG_AGES, *knots.tolist()],
        "ethnicity_share": {name: round(float(np.mean(ethnicity == code)), 4) for code, name in ETHNICITIES.items()},
        "sex": {},
    }
    total = sum(out["ethnicity_share"].values())
    out["ethnicity_share"] = {k: v / total for k, v in out["ethnicity_share"].items()}
    for sex, code in (("F", 2), ("M", 1)):
        chosen = frame["RIAGENDR"].to_numpy(int) == code
        y, a, e = log[chosen], age[chosen], ethnicity[chosen]
        hats = np.array([np.interp(a, knots, row) for row in np.eye(len(knots))]).T
        groups = np.array([e == k for k in ETHNICITIES], float).T
        design = np.hstack([hats, groups - groups.mean(0)])
        beta, *_ = np.linalg.lstsq(design, y, rcond=None)
        old, shift = beta[: len(knots)], beta[len(knots) :]
        residual = y - design @ beta
        areas = np.exp(old[0, 6:])
        total_52 = float((np.exp(old[0, 2:6]) * areas).sum() / areas.sum())
        young_cv = np.array(YOUNG_SD_BMD[sex]) / np.array(YOUNG_TOTAL_BMD[sex])
        young = np.repeat(old[:1], len(YOUNG_AGES), axis=0)
        # The published mean of a lognormal is its median times exp(cv^2 / 2).
        young[:, 2:6] += np.log(np.array(YOUNG_TOTAL_BMD[sex]) / total_52 / np.exp(young_cv**2 / 2))[:, None]
        scale = young_cv / residual[:, 2:6].mean(1).std()
        out["sex"][sex] = {
            "n": int(chosen.sum()),
            "log_mean": np.vstack([young, old]).T.round(4).tolist(),
            "ethnicity_shift": dict(zip(ETHNICITIES.values(), shift.round(4).tolist(), strict=True)),
            "bmd_spread": [*scale.round(3).tolist(), *[1.0] * len(knots)],
            "log_covariance": np.cov(residual.T).round(6).tolist(),
        }
    return out


if __name__ == "__main__":
    import sys

    Path(sys.argv[2]).write_text(json.dumps(fit_nhanes(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
