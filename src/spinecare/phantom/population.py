"""Who the virtual patients are: sex, age, body, bone, fat, degeneration, as NHANES measured them.

Height, weight, four BMD and four areas are tied by a Gaussian copula, one correlation a sex. The logarithm of each is
a mean and a spread that bend with age (knots), shifted by ethnicity, times a standard sinh-arcsinh variate (Jones and
Pewsey 2009, Biometrika 96:761, doi 10.1093/biomet/asp053) that keeps its skew and tails. What NHANES' readers threw
out for degeneration is a multivariate probit by sex, age and level. The numbers stand in `tables/population.json`,
made by `spinecare.phantom.nhanes`.

`bmd` follows people whose four levels NHANES' readers accepted; `degeneration` comes on top. In a clinic levels with
degeneration are not always excluded, so here they stay in the scan and in its T-score.

What NHANES measured holds its own scanners' errors and the mild degeneration of accepted levels; both are in `bmd`'s
spread and not taken out, so what the simulated scanner adds makes measured BMD a little wider than in NHANES.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from spinecare.errors import PhantomError
from spinecare.scan import Label

Float = npt.NDArray[np.float64]

FEATURES: tuple[str, ...] = (
    "height_cm", "weight_kg",
    "bmd_l1", "bmd_l2", "bmd_l3", "bmd_l4", "area_l1", "area_l2", "area_l3", "area_l4",
)  # fmt: skip
ETHNICITIES: tuple[str, ...] = ("mexican_american", "other_hispanic", "white", "black", "asian", "other")

# A clinic's mix, not the country's: who is sent to a densitometer (share, from age, to age).
SHARE_OF_WOMEN = 0.72
AGE_GROUPS: tuple[tuple[float, float, float], ...] = ((0.10, 20, 50), (0.85, 50, 85), (0.05, 80, 90))

# NHANES' complete cases: 14.2 to 64.7 kg/m2.
BMI_RANGE = (14.0, 65.0)

# What a level's degeneration adds to its BMD, g/cm2. A level that a reader would throw out has at least REJECTED_FROM.
# Osteophytes and osteochondrosis: up to +14 % (Rand 1997, Calcif Tissue Int 60:430, doi 10.1007/s002239900258); facet
# sclerosis, grades 2 and 3: +0.03 to +0.28 and +0.25 to +0.47 g/cm2 in elderly men (Drinka 1992, Calcif Tissue Int
# 50:507). So here: 0.07 at the reader's threshold, twice that one SD of severity above it, a tenth one SD below.
REJECTED_FROM_G_CM2 = 0.07
GROWTH_ABOVE, GROWTH_BELOW = 0.7, 2.3  # per SD of severity
SEVERITY_NOISE = 0.25
MOST_ADDED_G_CM2 = 0.60
# NHANES 2017-2020 scanned nobody under 50. Degeneration begins earlier and is rare at 20 (assumed): the threshold
# rises by this many SD for each year under 50, on top of its own slope.
YOUNG_THRESHOLD_PER_YEAR = 0.03

# Whole-body fat from BMI, age and sex, white and black adults (Gallagher 2000, Am J Clin Nutr 72:694; standard error
# of estimate 2.8-5.4 %): 64.5 - 848/BMI + 0.079 age - 16.4 m + 0.05 m age + 39.0 m/BMI, m = 1 in men. The trunk's
# fraction is taken as the body's; bone mineral, 4 % of the mass, is not soft tissue.
FAT_SHARE_SD = 0.045
SOFT_SHARE_OF_MASS = 0.96

# How much thicker fat is over the spine than beside it: SD 8 mm at BMI 22, growing by 0.55 mm per kg/m2. With ICRU-44
# adipose and muscle, xraydb's mass attenuation and hydroxyapatite, 1 mm of fat instead of muscle reads as -0.0040 g/cm2
# (for 38/70 to 50/85 keV within 1 %), so the SD is about 0.05 g/cm2: published uncertainties from CT and cadavers are
# around 0.06 (Tothill and Pye 1992, Br J Radiol 65:807; Tothill 2014, J Clin Densitom 17:91,
# doi 10.1016/j.jocd.2013.02.008). The mean is 0: NHANES' BMD already holds the average person's fat.
FAT_UNEVEN_SD_MM, FAT_UNEVEN_PER_BMI_MM, FAT_UNEVEN_BMI, FAT_UNEVEN_LEAST_MM = 8.0, 0.55, 22.0, 4.0


@dataclass(frozen=True, eq=False)
class People:
    """Virtual patients as columns; every array has one row a person.

    sex
        "F" or "M". `ethnicity` is one of `ETHNICITIES`.
    age_years, height_cm, weight_kg
        float64 (n,).
    bmd, area, degeneration
        float64 (n, 4), L1 first: bone as drawn (g/cm2, Hologic scale), projected area (cm2), and what degeneration
        adds to the apparent BMD (g/cm2).
    texture
        float64 (n,), standard normal: trabecular coarseness that BMD does not explain.
    fat_share
        float64 (n,): fraction by mass of the trunk's soft tissue that is fat.
    fat_uneven_mm
        float64 (n,), signed: how much thicker fat is over the spine than beside it.
    """

    sex: npt.NDArray[np.str_]
    ethnicity: npt.NDArray[np.str_]
    age_years: Float
    height_cm: Float
    weight_kg: Float
    bmd: Float
    area: Float
    degeneration: Float
    texture: Float
    fat_share: Float
    fat_uneven_mm: Float

    def __len__(self) -> int:
        return len(self.age_years)

    @property
    def bmi(self) -> Float:
        """float64 (n,): body mass index, kg/m2."""
        return np.asarray(self.weight_kg / (self.height_cm / 100) ** 2)

    @property
    def bmd_total(self) -> Float:
        """float64 (n,): L1-L4 BMD as drawn, content over area, g/cm2."""
        return np.asarray((self.bmd * self.area).sum(1) / self.area.sum(1))

    def person(self, i: int) -> People:
        """The i-th person alone, as a table of one row."""
        return People(**{name: getattr(self, name)[i : i + 1] for name in self.__dataclass_fields__})


def label_of(t_score: float) -> Label:
    """The WHO class of a T-score (WHO Technical Report 843, 1994): at most -2.5, below -1.0, else normal."""
    if t_score <= -2.5:
        return Label.OSTEOPOROSIS
    return Label.LOW_BONE_MASS if t_score < -1.0 else Label.NORMAL


def t_score_of(bmd_total: npt.ArrayLike) -> Float:
    """The T-score of total L1-L4 BMD by the one young-adult reference for both sexes (`t_reference`).

    Parameters
    ----------
    bmd_total
        L1-L4 BMD in g/cm2 on the Hologic scale, any shape.

    Returns
    -------
    ndarray
        float64, the same shape: SDs from the young-adult mean.
    """
    reference = t_reference()
    return np.asarray((np.asarray(bmd_total, float) - reference["mean_g_cm2"]) / reference["sd_g_cm2"])


@cache
def _table(name: str) -> dict[str, Any]:
    text = (resources.files("spinecare.phantom") / "tables" / f"{name}.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def t_reference() -> dict[str, Any]:
    """The young-adult reference of the T-score with its name, version and source (mean_g_cm2, sd_g_cm2)."""
    return _table("t_reference")


def population_table() -> dict[str, Any]:
    """The fitted population with its source and version, as `spinecare.phantom.nhanes` made it."""
    return _table("population")


@dataclass(frozen=True, eq=False)
class Margins:
    """One sex's part of the population table as arrays (f = 10 features, k = age knots, e = ethnicities)."""

    knots: Float  # (k,) years
    log_mean: Float  # (f, k)
    spread: Float  # (f, k)
    shape: Float  # (2, f): skew and tail of the sinh-arcsinh variate
    shape_mean: Float  # (f,): of that variate
    shape_sd: Float  # (f,)
    ethnicity_shift: Float  # (e, f)
    decades: Float  # (d,): first year of each decade that has its own ethnic mix
    ethnicity_share: Float  # (d, e)
    root: Float  # (f, f): root @ root.T is the copula's correlation
    threshold_65: Float  # (4,): SD of liability above which a reader throws the level out, at 65
    threshold_per_decade: Float  # (4,)
    liability_root: Float  # (4, 4)

    def values(self, z: Float, age: Float, ethnicity: npt.NDArray[np.intp]) -> Float:
        """float64 (n, f): the features of people with copula scores z (n, f), ages (n,) and ethnicities (n,)."""
        place = np.interp(age, self.knots, np.arange(len(self.knots)))
        left = np.minimum(place.astype(int), len(self.knots) - 2)
        part = (place - left)[:, None]
        mean = (1 - part) * self.log_mean.T[left] + part * self.log_mean.T[left + 1]
        spread = (1 - part) * self.spread.T[left] + part * self.spread.T[left + 1]
        variate = (sinh_arcsinh(z, *self.shape) - self.shape_mean) / self.shape_sd
        return np.asarray(np.exp(mean + self.ethnicity_shift[ethnicity] + spread * variate))

    def threshold(self, age: Float) -> Float:
        """float64 (n, 4): the liability above which a reader would throw the level out."""
        line = self.threshold_65 + (age[:, None] - 65) / 10 * self.threshold_per_decade
        return np.asarray(line + YOUNG_THRESHOLD_PER_YEAR * np.maximum(50 - age, 0)[:, None])


def sinh_arcsinh(z: Float, skew: npt.ArrayLike, tail: npt.ArrayLike) -> Float:
    """sinh((asinh z + skew) / tail) (Jones and Pewsey 2009): 0 and 1 give z back, a tail below 1 is heavier."""
    return np.asarray(np.sinh((np.arcsinh(z) + np.asarray(skew)) / np.asarray(tail)))


def shape_moments(skew: npt.ArrayLike, tail: npt.ArrayLike) -> tuple[Float, Float]:
    """Mean and SD of `sinh_arcsinh` of a standard normal variate, float64 in the shape of `skew` and `tail`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(48)
    weights = weights / weights.sum()
    at_nodes = sinh_arcsinh(nodes.reshape(-1, *[1] * np.ndim(skew)), skew, tail)
    mean = np.tensordot(weights, at_nodes, 1)
    return np.asarray(mean), np.sqrt(np.tensordot(weights, (at_nodes - mean) ** 2, 1))


def margins_of(table: dict[str, Any], sex: str) -> Margins:
    """One sex's numbers of a population table, ready to draw from."""
    own = table["sex"][sex]
    reader = own["reader"]
    shape = np.array(own["shape"], float).T
    shape_mean, shape_sd = shape_moments(*shape)
    return Margins(
        knots=np.array(table["age_knots"], float),
        log_mean=np.array(own["log_mean"], float),
        spread=np.array(own["spread"], float),
        shape=shape,
        shape_mean=shape_mean,
        shape_sd=shape_sd,
        ethnicity_shift=np.array([own["ethnicity_shift"][name] for name in ETHNICITIES], float),
        decades=np.array(table["decades"], float),
        ethnicity_share=np.array([[row[name] for name in ETHNICITIES] for row in own["ethnicity_share"]], float),
        root=np.linalg.cholesky(np.array(own["correlation"], float)),
        threshold_65=-ndtri(np.array(reader["share_at_65"], float)),
        threshold_per_decade=np.array(reader["threshold_per_decade"], float),
        liability_root=np.linalg.cholesky(np.array(reader["correlation"], float)),
    )


@cache
def _margins(sex: str) -> Margins:
    return margins_of(population_table(), sex)


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
    women = rng.random(n) < SHARE_OF_WOMEN
    share, low, high = (np.array(column) for column in zip(*AGE_GROUPS, strict=True))
    group = rng.choice(len(share), size=n, p=share)
    age = rng.uniform(low[group], high[group])
    return draw_given(rng, women, age)


def draw_given(rng: np.random.Generator, women: npt.NDArray[np.bool_], age_years: Float) -> People:
    """Draw people of given sex and age.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    women
        bool (n,): True for a woman, False for a man.
    age_years
        float64 (n,).

    Raises
    ------
    PhantomError
        When the two differ in length.
    """
    age = np.asarray(age_years, float)
    if women.shape != age.shape or age.ndim != 1:
        raise PhantomError(f"Sex {women.shape} and age {age.shape} must be two columns of one length.")
    n = len(age)
    pick = rng.random(n)
    scores = rng.standard_normal((n, len(FEATURES)))
    liabilities = rng.standard_normal((n, 4))
    steepness = np.exp(SEVERITY_NOISE * rng.standard_normal((n, 4)))
    texture, fat, uneven = rng.standard_normal((3, n))
    values = np.empty((n, len(FEATURES)))
    severity = np.empty((n, 4))
    ethnicity = np.empty(n, np.intp)
    for sex, chosen in (("F", women), ("M", ~women)):
        if not chosen.any():
            continue
        margins = _margins(sex)
        decade = np.clip(np.searchsorted(margins.decades, age[chosen], side="right") - 1, 0, None)
        cumulative = margins.ethnicity_share.cumsum(1)[:, :-1]
        ethnicity[chosen] = (pick[chosen, None] > cumulative[decade]).sum(1)
        values[chosen] = margins.values(scores[chosen] @ margins.root.T, age[chosen], ethnicity[chosen])
        severity[chosen] = liabilities[chosen] @ margins.liability_root.T - margins.threshold(age[chosen])
    square = (values[:, 0] / 100) ** 2
    weight = np.clip(values[:, 1], BMI_RANGE[0] * square, BMI_RANGE[1] * square)
    bmi = weight / square
    uneven_sd = np.maximum(FAT_UNEVEN_SD_MM + FAT_UNEVEN_PER_BMI_MM * (bmi - FAT_UNEVEN_BMI), FAT_UNEVEN_LEAST_MM)
    return People(
        sex=np.where(women, "F", "M"),
        ethnicity=np.array(ETHNICITIES)[ethnicity],
        age_years=age,
        height_cm=values[:, 0],
        weight_kg=weight,
        bmd=values[:, 2:6],
        area=values[:, 6:],
        degeneration=added_by(severity * steepness),
        texture=texture,
        fat_share=np.clip(fat_share_of(bmi, age, women) + FAT_SHARE_SD * fat, 0.06, 0.65),
        fat_uneven_mm=uneven_sd * uneven,
    )


def added_by(severity: Float) -> Float:
    """What degeneration adds, g/cm2, from its severity in SD; 0 is where a reader would throw the level out."""
    growth = np.where(severity > 0, GROWTH_ABOVE, GROWTH_BELOW)
    return np.asarray(np.minimum(REJECTED_FROM_G_CM2 * np.exp(growth * severity), MOST_ADDED_G_CM2))


def fat_share_of(bmi: Float, age_years: Float, women: npt.NDArray[np.bool_]) -> Float:
    """Expected fraction of fat in the trunk's soft tissue (Gallagher 2000, Am J Clin Nutr 72:694).

    Parameters
    ----------
    bmi
        float64 (n,), kg/m2.
    age_years
        float64 (n,).
    women
        bool (n,).
    """
    man = np.where(women, 0.0, 1.0)
    percent = 64.5 - 848 / bmi + 0.079 * age_years - 16.4 * man + 0.05 * man * age_years + 39.0 * man / bmi
    return np.asarray(percent / 100 / SOFT_SHARE_OF_MASS)
