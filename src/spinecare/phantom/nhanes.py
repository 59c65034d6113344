"""Fits the population table to NHANES 2017-March 2020: `python -m spinecare.phantom.nhanes FOLDER OUT.json`.

Bone: unweighted complete cases (four levels that the readers accepted), by sex; each decade's mean and SD are met
exactly in expectation. Degeneration: the readers' code 6 among all who were scanned. Ages 20-49, whom this NHANES did
not scan: total BMD as published, height and weight as measured.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from spinecare.errors import PhantomError
from spinecare.phantom.population import ETHNICITIES, FEATURES, Margins, margins_of, sinh_arcsinh

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

FILES = ("P_DXXSPN", "P_DEMO", "P_BMX")
LEVELS = (1, 2, 3, 4)
COLUMNS = ["BMXHT", "BMXWT", *(f"DXXL{i}BMD" for i in LEVELS), *(f"DXXL{i}A" for i in LEVELS)]
CODES = [f"DXXL{i}BCC" for i in LEVELS]
DEGENERATIVE = 6
SEXES = (("F", 2), ("M", 1))
ETHNIC_CODES = (1, 2, 3, 4, 6, 7)

# First and last year of each cell: published decades of the young, then NHANES' own (80 stands for 80 and
# over, on average about 84).
YOUNG = ((21, 31), (31, 41), (41, 51))
OLD = ((50, 60), (60, 70), (70, 80), (80, 87))
CELLS = YOUNG + OLD
# Mean and SD of total L1-L4 BMD, g/cm2, by the decades of YOUNG (NHANES; PMC12995607, table 3).
YOUNG_TOTAL_BMD: dict[str, tuple[float, ...]] = {"F": (1.064, 1.065, 1.056), "M": (1.057, 1.042, 1.051)}
YOUNG_SD_BMD: dict[str, tuple[float, ...]] = {"F": (0.106, 0.110, 0.134), "M": (0.110, 0.117, 0.129)}
SOURCE = (
    "NHANES 2017-March 2020 (CDC/NCHS, US public domain): P_DXXSPN, P_DEMO, P_BMX. Bone: unweighted complete cases "
    "aged 50+, by sex and decade (80 is 80+). Reader: level codes 6 (degenerative disease/severe scoliosis) among all "
    "who were scanned. Ages 20-49: total BMD by decade from PMC12995607 table 3, levels in the proportions of the "
    "fifties; height and weight from P_BMX."
)


def read_nhanes(folder: Path) -> tuple[Any, Any]:
    """Read the files.

    Parameters
    ----------
    folder
        Holds P_DXXSPN.XPT, P_DEMO.XPT and P_BMX.XPT.

    Returns
    -------
    scanned : pandas.DataFrame
        Everybody whose spine scan was completed, aged 50 and over.
    people : pandas.DataFrame
        Everybody aged 20 and over with height and weight.

    Raises
    ------
    PhantomError
        When a file is missing.
    """
    import pandas as pd

    files = [folder / f"{name}.XPT" for name in FILES]
    if missing := [file.name for file in files if not file.is_file()]:
        raise PhantomError(f"{', '.join(missing)} not in {folder}. Fetch it from the NHANES 2017-March 2020 pages.")
    spine, demo, body = (pd.read_sas(file).round(4) for file in files)  # SAS transport zeros read as 5.4e-79
    people = demo.merge(body, on="SEQN")
    people = people[(people["RIDAGEYR"] >= 20) & (people[["BMXHT", "BMXWT"]] > 0).all(axis=1)]
    scanned = spine[spine["DXXOSBCC"].notna()].merge(demo, on="SEQN").merge(body, on="SEQN", how="left")
    return scanned, people


def complete_cases(scanned: Any) -> Any:
    """Those of `read_nhanes`' scanned people whose four levels the readers accepted and measured."""
    levels = [name for name in COLUMNS if name.startswith("DXX")]
    return scanned[(scanned[CODES] == 0).all(axis=1) & (scanned[levels] > 0).all(axis=1)]


def fit_nhanes(folder: Path) -> dict[str, Any]:
    """Fit the population table (see the module).

    Parameters
    ----------
    folder
        Holds P_DXXSPN.XPT, P_DEMO.XPT and P_BMX.XPT.

    Returns
    -------
    dict
        As in `tables/population.json`.

    Raises
    ------
    PhantomError
        When a file is missing.
    """
    scanned, people = read_nhanes(folder)
    complete = complete_cases(scanned)
    knots = [(low + high) / 2 for low, high in CELLS]
    table: dict[str, Any] = {
        "name": "NHANES 2017-March 2020 spines, with the young of PMC12995607",
        "version": "2",
        "source": SOURCE,
        "features": list(FEATURES),
        "age_knots": knots,
        "decades": [low for low, _ in OLD],
        "sex": {},
    }
    for sex, code in SEXES:
        own = complete[complete["RIAGENDR"] == code]
        table["sex"][sex] = _fit_sex(own, people[people["RIAGENDR"] == code], sex, table)
        table["sex"][sex]["reader"] = fit_reader(scanned[scanned["RIAGENDR"] == code])
        _meet_targets(table, sex, _targets(own, people[people["RIAGENDR"] == code]))
    return table


def _fit_sex(own: Any, people: Any, sex: str, table: dict[str, Any]) -> dict[str, Any]:
    # A first table from residuals about cell and ethnicity; `_meet_targets` then moves means and spreads.
    own = own[(own[COLUMNS] > 0).all(axis=1)]
    y = np.log(own[COLUMNS].to_numpy(float))
    cell = own["RIDAGEYR"].to_numpy(float) // 10 - OLD[0][0] // 10
    groups = _dummies(own["RIDRETH3"].to_numpy(int))
    cells = (cell[:, None] == np.arange(len(OLD))).astype(float)
    beta, *_ = np.linalg.lstsq(np.hstack([cells, groups - groups.mean(0)]), y, rcond=None)
    shift = beta[len(OLD) :]
    residual = y - cells @ beta[: len(OLD)] - (groups - groups.mean(0)) @ shift
    spread = np.sqrt(cells.T @ residual**2 / cells.sum(0)[:, None])
    standard = residual / (cells @ spread)
    scores = special.ndtri((standard.argsort(0).argsort(0) + 0.5) / len(standard))
    first = np.repeat
    log_mean = np.vstack([first(beta[:1], len(YOUNG), 0), beta[: len(OLD)]]).T
    return {
        "n": len(own),
        "log_mean": log_mean.tolist(),
        "spread": np.vstack([first(spread[:1], len(YOUNG), 0), spread]).T.tolist(),
        "shape": [fit_shape(column).round(3).tolist() for column in standard.T],
        "correlation": np.corrcoef(scores.T).round(4).tolist(),
        "ethnicity_shift": dict(zip(ETHNICITIES, shift.round(4).tolist(), strict=True)),
        "ethnicity_share": [
            dict(zip(ETHNICITIES, _shares(groups[cell == i]), strict=True)) for i in range(len(OLD))
        ],
    }  # fmt: skip


def _dummies(ethnicity: Int) -> Float:
    return np.array([ethnicity == code for code in ETHNIC_CODES], float).T


def _shares(groups: Float) -> list[float]:
    shares = groups.mean(0).round(4)
    shares[shares.argmax()] += 1 - shares.sum()
    return [round(float(share), 4) for share in shares]


def fit_shape(standard: Float) -> Float:
    """Skew and tail of the sinh-arcsinh variate whose quantiles lie nearest to those of a sample.

    Parameters
    ----------
    standard
        float64 (n,), mean 0 and SD about 1.

    Returns
    -------
    ndarray
        float64 (2,), for `population.sinh_arcsinh`.
    """
    # The outermost half percent is left out: one extreme person must not bend everybody's tail.
    probability = np.linspace(0.005, 0.995, 199)
    z, quantiles = special.ndtri(probability), np.quantile(standard, probability)

    def misfit(parameters: Float) -> Float:
        skew, log_tail, move, log_scale = parameters
        return np.asarray(move + np.exp(log_scale) * sinh_arcsinh(z, skew, np.exp(log_tail)) - quantiles)

    found = optimize.least_squares(misfit, np.zeros(4), bounds=([-0.5, -0.5, -1, -1], [0.5, 0.5, 1, 1])).x
    return np.array([found[0], np.exp(found[1])])


@dataclass(frozen=True, eq=False)
class _Targets:
    mean: Float  # (cells, features): of the young only height and weight, else NaN
    sd: Float
    people: Int  # (cells,): how many the cells of OLD hold, 0 for the young
    correlation: Float  # (features, features), over all cells of OLD


def _targets(own: Any, people: Any) -> _Targets:
    mean, sd = np.full((2, len(CELLS), len(FEATURES)), np.nan)
    count = np.zeros(len(CELLS), np.int64)
    young_age, age = people["RIDAGEYR"].to_numpy(float), own["RIDAGEYR"].to_numpy(float)
    for i, (low, high) in enumerate(CELLS):
        if i < len(YOUNG):
            body = people[(young_age >= low) & (young_age < high)][COLUMNS[:2]].to_numpy(float)
            mean[i, :2], sd[i, :2] = body.mean(0), body.std(0, ddof=1)
        else:
            values = own[(age >= low) & (age < high)][COLUMNS].to_numpy(float)
            # Eight of them have no height or weight.
            mean[i], sd[i], count[i] = np.nanmean(values, 0), np.nanstd(values, 0, ddof=1), len(values)
    return _Targets(mean, sd, count, own[COLUMNS].corr().to_numpy())


def _meet_targets(table: dict[str, Any], sex: str, targets: _Targets) -> None:
    # Moves the table's means, spreads and correlation until its cells' expected means and SDs, and the correlation
    # over them, are the wanted ones. The scores are drawn once: the result is the same each time.
    rng = np.random.default_rng(20)
    own, n = table["sex"][sex], 40_000
    scores = rng.standard_normal((n, len(FEATURES)))
    scores = (scores - scores.mean(0)) / scores.std(0)
    mean, sd, bone = targets.mean, targets.sd, slice(2, 6)
    for _ in range(15):
        margins = margins_of(table, sex)
        log_mean, spread = margins.log_mean.copy(), margins.spread.copy()
        old = []
        for i, (low, high) in enumerate(CELLS):
            values = _cell_values(margins, scores, low, high, max(i - len(YOUNG), 0))
            if i >= len(YOUNG):
                old.append(values[: round(n * targets.people[i] / targets.people.max())])
                log_mean[:, i] += np.log(mean[i] / values.mean(0))
                spread[:, i] *= sd[i] / values.std(0)
                continue
            log_mean[:2, i] += np.log(mean[i, :2] / values[:, :2].mean(0))
            spread[:2, i] *= sd[i, :2] / values[:, :2].std(0)
            total = (values[:, bone] * values[:, 6:]).sum(1) / values[:, 6:].sum(1)
            # The young keep the proportions between levels, and the areas, of the fifties; one spread for four levels.
            log_mean[bone, i] = margins.log_mean[bone, len(YOUNG)] + (
                np.mean(margins.log_mean[bone, i] - margins.log_mean[bone, len(YOUNG)])
                + np.log(YOUNG_TOTAL_BMD[sex][i] / total.mean())
            )
            spread[bone, i] = margins.spread[bone, i].mean() * YOUNG_SD_BMD[sex][i] / total.std()
            log_mean[6:, i], spread[6:, i] = margins.log_mean[6:, len(YOUNG)], margins.spread[6:, len(YOUNG)]
        got = np.corrcoef(np.vstack(old).T)
        wanted = nearest_correlation(margins.root @ margins.root.T + targets.correlation - got)
        own.update(log_mean=log_mean.tolist(), spread=spread.tolist(), correlation=wanted.tolist())
    rounded = {"log_mean": log_mean, "spread": spread, "correlation": wanted}
    own.update({name: array.round(4).tolist() for name, array in rounded.items()})


def _cell_values(margins: Margins, scores: Float, low: float, high: float, decade: int) -> Float:
    # People spread evenly over the cell's ages and, in proportion, over ethnicities.
    n = len(scores)
    share = margins.ethnicity_share[decade].cumsum()[:-1]
    ages = low + (high - low) * ((np.arange(n) * 0.754877666) % 1)
    ethnicity = np.searchsorted(share, (np.arange(n) * 0.569840291) % 1)
    return margins.values(np.asarray(scores @ margins.root.T, float), np.asarray(ages, float), ethnicity)


def fit_reader(scanned: Any) -> dict[str, Any]:
    """Fit how readers threw levels out for degeneration (code 6): a probit line over age a level, tied by correlation.

    Parameters
    ----------
    scanned
        One sex of `read_nhanes`' scanned people.

    Returns
    -------
    dict
        `share_at_65` (4), `threshold_per_decade` (4, SD of liability), `correlation` (4, 4) of the liabilities.
    """
    rejected = (scanned[CODES] == DEGENERATIVE).to_numpy()
    decades = (np.minimum(scanned["RIDAGEYR"].to_numpy(float) + 0.5, 84.5) - 65) / 10
    lines = np.array([_fit_probit(decades, column) for column in rejected.T])
    threshold = lines[:, 0] + decades[:, None] * lines[:, 1]
    correlation = np.eye(4)
    for i in range(4):
        for j in range(i):
            correlation[i, j] = correlation[j, i] = _tetrachoric(threshold[:, [i, j]], rejected[:, [i, j]])
    return {
        "n": len(scanned),
        "share_at_65": special.ndtr(-lines[:, 0]).round(4).tolist(),
        "threshold_per_decade": lines[:, 1].round(4).tolist(),
        "correlation": nearest_correlation(correlation).round(4).tolist(),
    }


def _fit_probit(decades: Float, rejected: npt.NDArray[np.bool_]) -> Float:
    def loss(line: Float) -> float:
        threshold = line[0] + decades * line[1]
        return -float(special.log_ndtr(np.where(rejected, -threshold, threshold)).sum())

    return np.asarray(optimize.minimize(loss, np.array([1.0, -0.1]), method="BFGS").x)


def _tetrachoric(threshold: Float, rejected: npt.NDArray[np.bool_]) -> float:
    # Of two liabilities of which only "above its threshold" is known; likelihood over people.
    def loss(r: float) -> float:
        both = bivariate_tail(threshold[:, 0], threshold[:, 1], r)
        one, two = special.ndtr(-threshold).T
        a, b = rejected.T
        share = np.select([a & b, a, b], [both, one - both, two - both], 1 - one - two + both)
        return -float(np.log(np.maximum(share, 1e-12)).sum())

    return float(optimize.minimize_scalar(loss, bounds=(-0.97, 0.97), method="bounded").x)


def bivariate_tail(h: Float, k: Float, r: float) -> Float:
    """P(X > h, Y > k) of two standard normal variates with correlation r.

    By Plackett's identity (1954, Biometrika 41:351): the derivative with respect to r is the joint density at (h, k).
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)
    # With r = sin a the integrand stays smooth up to |r| = 1.
    a = np.arcsin(r) * (nodes + 1) / 2
    s, c2 = np.sin(a)[:, None], np.cos(a)[:, None] ** 2
    density = np.exp(-(h**2 + k**2 - 2 * s * h * k) / (2 * c2)) / (2 * np.pi)
    return np.asarray(special.ndtr(-h) * special.ndtr(-k) + np.arcsin(r) / 2 * (weights @ density))


def nearest_correlation(matrix: Float) -> Float:
    """A correlation matrix near a symmetric one: eigenvalues below 0.005 are raised, the diagonal is made 1 again."""
    values, vectors = np.linalg.eigh(matrix)
    raised = (vectors * np.maximum(values, 0.005)) @ vectors.T
    scale = np.sqrt(np.diag(raised))
    return np.asarray(raised / np.outer(scale, scale))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(fit_nhanes(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
