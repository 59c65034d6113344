"""Virtual people are drawn as NHANES measured them, and labelled as WHO says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinecare.errors import PhantomError
from spinecare.phantom.population import (
    draw_of_class,
    draw_people,
    fit_nhanes,
    label_of,
    population_table,
    prevalence,
)
from spinecare.scan import LABELS, Label


@pytest.mark.parametrize(
    ("t_score", "label"),
    [
        (-2.5, Label.OSTEOPOROSIS),
        (-2.499, Label.LOW_BONE_MASS),
        (-1.001, Label.LOW_BONE_MASS),
        (-1.0, Label.NORMAL),
    ],
)
def test_the_label_changes_exactly_where_who_says(t_score: float, label: Label) -> None:
    assert label_of(t_score) is label


def test_t_score_and_label_follow_the_measured_bmd() -> None:
    people = draw_people(np.random.default_rng(3), 2000)
    total = (people.measured * people.area).sum(1) / people.area.sum(1)
    t = (total - 1.047) / 0.110
    np.testing.assert_allclose(people.t_score, t)
    assert np.array_equal(people.label == "osteoporosis", t <= -2.5)
    # Degeneration and the scanner's error move some people over the border, as in life.
    drawn = (people.bmd_total - 1.047) / 0.110
    assert 0.005 < np.mean((drawn <= -2.5) != (t <= -2.5)) < 0.08


# NHANES 2017-March 2020, unweighted complete cases, total L1-L4 BMD by decade, computed with pandas from P_DXXSPN.
NHANES_TOTAL = {("F", 50): 0.984, ("F", 60): 0.955, ("F", 70): 0.938, ("M", 50): 1.055, ("M", 60): 1.067}


@pytest.mark.parametrize(("sex", "decade"), NHANES_TOTAL)
def test_mean_bmd_by_sex_and_decade_is_near_nhanes(sex: str, decade: int) -> None:
    people = draw_people(np.random.default_rng(1), 20_000)
    chosen = (people.sex == sex) & (people.age_years // 10 * 10 == decade)
    # 3 %: the clinic's ages within a decade are not NHANES' ages, nor are its ethnic shares by sex and decade.
    assert people.bmd_total[chosen].mean() == pytest.approx(NHANES_TOTAL[sex, decade], rel=0.03)


def test_levels_correlate_as_in_nhanes(shared_data: Path) -> None:
    pd = pytest.importorskip("pandas")
    spine = pd.read_sas(shared_data / "nhanes" / "P_DXXSPN.XPT").merge(
        pd.read_sas(shared_data / "nhanes" / "P_DEMO.XPT"), on="SEQN"
    )
    women = spine[(spine["DXXOSBCC"].round(2) == 0) & (spine["RIAGENDR"] == 2)]
    real = np.corrcoef(women[[f"DXXL{i}BMD" for i in range(1, 5)]].to_numpy().T)
    people = draw_people(np.random.default_rng(2), 20_000)
    virtual = np.corrcoef(people.bmd[(people.sex == "F") & (people.age_years >= 50)].T)
    assert np.abs(real - virtual).max() < 0.05


def test_the_table_in_the_package_is_what_fit_nhanes_makes(shared_data: Path) -> None:
    pytest.importorskip("pandas")
    fitted, shipped = fit_nhanes(shared_data / "nhanes"), population_table()
    assert fitted["source"] == shipped["source"]
    for sex in "FM":
        np.testing.assert_allclose(fitted["sex"][sex]["log_mean"], shipped["sex"][sex]["log_mean"], atol=2e-4)


def test_fit_nhanes_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PhantomError, match=r"P_DXXSPN\.XPT"):
        fit_nhanes(tmp_path)


def test_prevalence_is_that_of_life() -> None:
    people = draw_people(np.random.default_rng(5), 20_000)
    older = people.age_years >= 50
    low = people.label == "osteoporosis"
    assert 0.07 < low[older & (people.sex == "F")].mean() < 0.14  # about 10 % of women
    assert 0.005 < low[older & (people.sex == "M")].mean() < 0.04  # 2-3 % of men


@pytest.mark.parametrize("label", LABELS)
def test_a_person_of_a_class_is_of_that_class(label: Label) -> None:
    assert draw_of_class(np.random.default_rng(0), label).label[0] == str(label)


def test_prevalences_sum_to_one() -> None:
    assert sum(prevalence().values()) == pytest.approx(1.0)


def test_nobody_cannot_be_drawn() -> None:
    with pytest.raises(PhantomError, match="at least one"):
        draw_people(np.random.default_rng(0), 0)
