"""The chart of a patient's answers over time."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinecare.report.trend import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, span, time_ticks, trend_svg


def point(day: date, probability: float = 0.5, category: str | None = "normal", model: str = "m 1") -> Point:
    return Point(day, probability, 0.3, category, model)


def lines(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline class="trend-line" points="([^"]*)"', svg)
    return [[tuple(map(float, pair.split(","))) for pair in one.split()] for one in found]  # type: ignore[misc]


def test_time_and_probability_are_true_to_scale() -> None:
    days = [date(2015, 1, 1), date(2016, 1, 1), date(2020, 1, 1)]
    (line,) = lines(trend_svg([point(days[0], 0.0), point(days[1], 1.0), point(days[2], 0.25)]))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert (x1 - x0) / (x2 - x0) == pytest.approx(365 / 1826, abs=1e-3)
    assert y0 == HEIGHT - BOTTOM
    assert y1 == TOP
    assert (y0 - y2) / (y0 - y1) == pytest.approx(0.25, abs=1e-3)


def test_answers_of_different_models_are_not_joined() -> None:
    svg = trend_svg([point(date(2015 + i, 1, 1), model=model) for i, model in enumerate("aba")])
    assert [len(line) for line in lines(svg)] == [2, 1]


def test_each_category_has_a_mark_of_its_own() -> None:
    kinds = ["normal", "low_bone_mass", "osteoporosis", None]
    svg = trend_svg([point(date(2015 + i, 1, 1), category=kind) for i, kind in enumerate(kinds)])
    shapes = re.findall(r'class="trend-mark trend-(\w+)"><(\w+)', svg)
    assert shapes == [("normal", "circle"), ("low_bone_mass", "path"), ("osteoporosis", "path"), ("none", "circle")]
    paths = set(re.findall(r'trend-(?:low_bone_mass|osteoporosis)"><path d="M[\d., ]+(l[^"]*)"', svg))
    assert len(paths) == 2


def test_the_threshold_is_one_line_only_where_it_is_the_same() -> None:
    a, b = date(2015, 1, 1), date(2016, 1, 1)
    assert "threshold 30 %" in trend_svg([point(a), point(b)])
    mixed = trend_svg([point(a), Point(b, 0.5, 0.4, "normal", "m 2")])
    assert "threshold 30 %" not in mixed
    assert mixed.count('class="trend-threshold"') == 2
    assert 'class="trend-threshold"' not in trend_svg([Point(a, 0.5, None, None, "m")])


def test_it_is_well_formed_and_says_what_it_shows() -> None:
    svg = ElementTree.fromstring(trend_svg([point(date(2015, 2, 2), 0.004), point(date(2016, 3, 1), 0.56)]))
    assert svg.get("role") == "img"
    assert "under 1\u00a0% on 2 Feb 2015, 56\u00a0% on 1 Mar 2016" in (svg.get("aria-label") or "")


def test_nothing_and_nonsense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        trend_svg([])
    with pytest.raises(ValueError, match="not in"):
        trend_svg([point(date(2015, 1, 1), float("nan"))])


days = st.dates(min_value=date.min, max_value=date.max)


@given(st.lists(st.tuples(days, st.floats(0, 1)), min_size=1, max_size=8))
def test_every_mark_lies_inside_the_chart(answers: list[tuple[date, float]]) -> None:
    for line in lines(trend_svg([point(day, p) for day, p in answers])):
        for x, y in line:
            assert LEFT <= x <= WIDTH - RIGHT
            assert TOP <= y <= HEIGHT - BOTTOM


@given(days, days)
def test_ticks_are_few_ordered_and_inside(a: date, b: date) -> None:
    first, last = span([a, b])
    ticks = time_ticks(first, last)
    marked = [day for day, _ in ticks]
    assert len(ticks) <= 6
    assert marked == sorted(set(marked))
    assert all(first <= day <= last for day in marked)


def test_ticks_of_a_month_and_of_years() -> None:
    assert [words for _, words in time_ticks(*span([date(2020, 5, 10)]))] == ["May 2020", "Jun 2020"]
    assert [words for _, words in time_ticks(date(2014, 10, 1), date(2021, 1, 1))] == ["2016", "2018", "2020"]
