"""Virtual people are drawn as NHANES measured them, and labelled as WHO says."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spinecare.errors import PhantomError
from spinecare.phantom import population
from spinecare.phantom.population import (
    ETHNICITIES,
    FEATURES,
    REJECTED_FROM_G_CM2,
    People,
    added_by,
    draw_given,
    draw_people,
    fat_share_of,
    label_of,
    population_table,
    shape_moments,
    sinh_arcsinh,
    t_reference,
    t_score_of,
)
from spinecare.scan import Label

N = 40_000
# NHANES 2017-March 2020, unweighted complete cases, cells with at least 200 people, computed with pandas: mean and SD
# of BMD (g/cm2) and area (cm2) of L1-L4.
NHANES = {
    ("F", 50): (
        [0.9300, 0.9800, 1.0160, 1.0062, 12.219, 13.059, 14.346, 15.496],
        [0.1539, 0.1572, 0.1645, 0.1691, 1.270, 1.449, 1.553, 1.843],
    ),
    ("F", 60): (
        [0.8959, 0.9476, 0.9884, 0.9845, 12.379, 13.164, 14.395, 15.633],
        [0.1568, 0.1637, 0.1659, 0.1715, 1.441, 1.627, 1.718, 2.094],
    ),
    ("M", 50): (
        [0.9983, 1.0564, 1.0805, 1.0862, 14.874, 15.751, 17.180, 18.591],
        [0.1526, 0.1577, 0.1657, 0.1958, 1.601, 1.709, 1.889, 2.171],
    ),
    ("M", 60): (
        [1.0128, 1.0659, 1.0952, 1.1009, 15.130, 16.030, 17.196, 18.638],
        [0.1720, 0.1754, 0.1817, 0.1844, 1.700, 1.748, 1.847, 2.333],
    ),
}
# Share of L1-L4 with invalidity code 6 among all scanned in their sixties, the same source.
CODE_6_AT_60 = {"F": [0.079, 0.161, 0.118, 0.211], "M": [0.069, 0.186, 0.259, 0.342]}
# Total BMD by decade, PMC12995607 table 3: mean and SD, g/cm2.
YOUNG = {
    "F": {21: (1.064, 0.106), 31: (1.065, 0.110), 41: (1.056, 0.134)},
    "M": {21: (1.057, 0.110), 31: (1.042, 0.117), 41: (1.051, 0.129)},
}


def of_decade(sex: str, first: int, n: int = N, seed: int = 7) -> People:
    rng = np.random.default_rng(seed)
    return draw_given(rng, np.full(n, sex == "F"), first + 10 * rng.random(n))


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


def test_the_t_score_counts_sds_from_the_young_womens_mean() -> None:
    np.testing.assert_allclose(t_score_of([1.047, 1.047 - 0.110, 0.772]), [0, -1, -2.5], atol=1e-12)
    assert float(t_score_of(1.157)) == pytest.approx(1)


def test_both_tables_name_their_source_and_version() -> None:
    for table in (t_reference(), population_table()):
        assert table["name"]
        assert table["source"]
        assert table["version"]
    assert population_table()["features"] == list(FEATURES)


@pytest.mark.parametrize(("sex", "decade"), NHANES)
def test_bone_has_the_means_and_sds_of_nhanes(sex: str, decade: int) -> None:
    mean, sd = NHANES[sex, decade]
    people = of_decade(sex, decade)
    values = np.hstack([people.bmd, people.area])
    np.testing.assert_allclose(values.mean(0), mean, rtol=0.006)
    np.testing.assert_allclose(values.std(0), sd, rtol=0.025)


@pytest.mark.parametrize("sex", "FM")
def test_the_young_have_the_published_total_bmd(sex: str) -> None:
    for first, (mean, sd) in YOUNG[sex].items():
        total = of_decade(sex, first).bmd_total
        assert total.mean() == pytest.approx(mean, rel=0.005)
        assert total.std() == pytest.approx(sd, rel=0.02)


def test_the_mix_is_a_clinics() -> None:
    people = draw_people(np.random.default_rng(1), 20_000)
    assert np.mean(people.sex == "F") == pytest.approx(population.SHARE_OF_WOMEN, abs=0.01)
    assert np.mean(people.age_years < 50) == pytest.approx(0.10, abs=0.01)
    assert people.age_years.min() >= 20
    assert people.age_years.max() <= 90
    assert set(people.ethnicity) == set(ETHNICITIES)


def test_women_lose_bone_with_age_and_heavy_people_have_more() -> None:
    young, old = of_decade("F", 21), of_decade("F", 75)
    assert old.bmd_total.mean() < 0.92 * young.bmd_total.mean()
    # NHANES, women in their sixties, complete cases (n = 413): r = 0.55 between log weight and log L1 BMD.
    sixties = of_decade("F", 60)
    assert np.corrcoef(np.log(sixties.weight_kg), np.log(sixties.bmd[:, 0]))[0, 1] == pytest.approx(0.55, abs=0.04)


def test_total_bmd_is_content_over_area() -> None:
    people = draw_people(np.random.default_rng(2), 50)
    content = sum(people.bmd[:, i] * people.area[:, i] for i in range(4))
    np.testing.assert_allclose(people.bmd_total, content / people.area.sum(1))


def test_the_same_state_gives_the_same_people_and_person_picks_one() -> None:
    one, two = (draw_people(np.random.default_rng([4, 1]), 30) for _ in range(2))
    for field in fields(People):
        assert np.array_equal(getattr(one, field.name), getattr(two, field.name))
        assert np.array_equal(getattr(one.person(7), field.name), getattr(two, field.name)[7:8])
    assert len(one.person(7)) == 1


def test_what_the_scanner_reads_is_not_a_persons() -> None:
    assert not {"measured", "baseline", "t_score", "label"} & {field.name for field in fields(People)}


@pytest.mark.parametrize("sex", "FM")
def test_readers_would_reject_as_many_levels_as_nhanes_readers_did(sex: str) -> None:
    rejected = of_decade(sex, 60).degeneration >= REJECTED_FROM_G_CM2
    # NHANES' own sampling error here is up to 0.017.
    np.testing.assert_allclose(rejected.mean(0), CODE_6_AT_60[sex], atol=0.035)
    # Neighbours go together: L3 and L4 are rejected together more often than by chance.
    assert np.mean(rejected[:, 2] & rejected[:, 3]) > 1.5 * rejected[:, 2].mean() * rejected[:, 3].mean()


@pytest.mark.parametrize("sex", "FM")
def test_degeneration_is_rare_in_the_young_and_grows_with_age(sex: str) -> None:
    added = [of_decade(sex, first).degeneration.mean() for first in (21, 45, 60, 80)]
    assert added == sorted(added)
    young = of_decade(sex, 21)
    assert np.mean(young.degeneration >= REJECTED_FROM_G_CM2) < 0.04
    old = of_decade(sex, 70)
    rejected = old.degeneration >= REJECTED_FROM_G_CM2
    # Rand 1997: up to 14 %; Drinka 1992: up to 0.47 g/cm2.
    assert 0.08 < (old.degeneration / old.bmd)[rejected].mean() < 0.16
    assert 0.2 < np.quantile(old.degeneration[rejected], 0.99) < 0.55
    assert old.degeneration[~rejected].mean() < 0.03


@given(st.floats(-8, 8).filter(lambda severity: severity == 0 or abs(severity) > 1e-9), st.floats(0.001, 4))
def test_a_worse_level_adds_more_and_the_readers_threshold_lies_at_0(severity: float, more: float) -> None:
    low, high = added_by(np.array([severity, severity + more]))
    assert 0 < low <= high <= population.MOST_ADDED_G_CM2
    assert (low >= REJECTED_FROM_G_CM2) == (severity >= 0)


def test_fat_follows_gallaghers_equation() -> None:
    women = np.array([True, False])
    share = fat_share_of(np.array([25.0, 30.0]), np.array([40.0, 60.0]), women)
    # 64.5 - 848/25 + 0.079 40; 64.5 - 848/30 + 0.079 60 - 16.4 + 0.05 60 + 39/30. Bone is 4 % of the mass.
    np.testing.assert_allclose(share, np.array([33.74, 28.8733]) / 96, rtol=1e-4)


def test_fat_is_near_what_nhanes_saw_and_within_reason() -> None:
    people = draw_people(np.random.default_rng(5), 20_000)
    # NHANES 1999-2004, whole body (Li 2009, Am J Clin Nutr 90:1457): 40.0 and 28.1 %.
    assert people.fat_share[people.sex == "F"].mean() == pytest.approx(0.40, abs=0.025)
    assert people.fat_share[people.sex == "M"].mean() == pytest.approx(0.281, abs=0.025)
    assert people.fat_share.min() > 0
    assert people.fat_share.max() < 0.7
    assert people.bmi.min() >= population.BMI_RANGE[0] - 1e-9
    assert people.bmi.max() <= population.BMI_RANGE[1] + 1e-9


def test_uneven_fat_grows_with_bmi_and_errs_as_published() -> None:
    people = draw_people(np.random.default_rng(6), 20_000)
    thin, heavy = people.bmi < 23, people.bmi > 35
    assert people.fat_uneven_mm[heavy].std() > 1.5 * people.fat_uneven_mm[thin].std()
    assert abs(people.fat_uneven_mm.mean()) < 0.4
    # 0.0040 g/cm2 a mm (see the module); the literature's uncertainty is 0.03-0.06.
    assert 0.03 < 0.0040 * people.fat_uneven_mm.std() < 0.06


@given(st.floats(-4, 4), st.floats(1e-3, 2), st.floats(-0.4, 0.4), st.floats(0.7, 1.3))
def test_the_variate_rises_with_its_score(z: float, more: float, skew: float, tail: float) -> None:
    low, high = sinh_arcsinh(np.array([z, z + more]), skew, tail)
    assert high > low
    assert sinh_arcsinh(np.array(z), 0, 1) == pytest.approx(z, abs=1e-9)


@given(st.floats(-0.3, 0.3), st.floats(0.75, 1.2))
def test_its_moments_are_those_of_numerical_integration(skew: float, tail: float) -> None:
    mean, sd = shape_moments(skew, tail)

    def of(z: np.ndarray) -> np.ndarray:
        return sinh_arcsinh(z, skew, tail)

    z = np.linspace(-12, 12, 40_001)
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    assert float(mean) == pytest.approx(float(weight @ of(z)), abs=2e-3)
    assert float(sd) == pytest.approx(float(np.sqrt(weight @ (of(z) - weight @ of(z)) ** 2)), rel=2e-3)


def test_nobody_cannot_be_drawn_and_columns_must_match() -> None:
    with pytest.raises(PhantomError, match="at least one"):
        draw_people(np.random.default_rng(0), 0)
    with pytest.raises(PhantomError, match="one length"):
        draw_given(np.random.default_rng(0), np.array([True]), np.array([60.0, 61.0]))
