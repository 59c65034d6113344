"""The probability of osteoporosis over a patient's scans, drawn as an SVG chart.

It has no colours of its own: a page's style sheet gives them by class. What it shows stands in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from spinecare.report.words import LABEL_WORDS, percent

WIDTH, HEIGHT = 640.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 24.0, 24.0, 44.0
MARK = 7.0
MOST_TICKS = 6
# A single scan, or several of one day, are drawn in the middle of this many days.
LEAST_DAYS = 60
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Point:
    """One answer: the day of its scan, the probability of osteoporosis, the threshold it was held against, its
    category (None: the model gave no answer), and the model, whose answers alone can be compared.
    """

    day: date
    probability: float
    threshold: float | None
    category: str | None
    model: str


def trend_svg(points: Sequence[Point]) -> str:
    """The chart of at least one answer, as the text of an `<svg>` element.

    Time runs to the right, true to scale; the probability goes from 0 to 100 %. Answers of one model are joined by
    a line, those of different models are not. Each category has its own mark: circle normal, diamond low bone mass,
    triangle osteoporosis, open ring no answer.

    Raises
    ------
    ValueError
        When there is no point, or a probability is not in [0, 1].
    """
    if not points:
        raise ValueError("A chart needs at least one answer.")
    if not all(0 <= point.probability <= 1 for point in points):
        raise ValueError("A probability is not in [0, 1].")
    points = sorted(points, key=lambda point: point.day)
    first, last = span([point.day for point in points])
    x = {point.day: _x(point.day, first, last) for point in points}
    parts = [*_grid(), *_ticks(first, last), *_thresholds(points, x)]
    for model in dict.fromkeys(point.model for point in points):
        run = " ".join(f"{x[p.day]:.1f},{_y(p.probability):.1f}" for p in points if p.model == model)
        parts.append(f'<polyline class="trend-line" points="{run}"/>')
    parts += [_mark(point, x[point.day]) for point in points]
    title = escape(describe(points))
    return (
        f'<svg class="trend" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{title}">{"".join(parts)}</svg>'
    )


def describe(points: Sequence[Point]) -> str:
    """The chart in one sentence, for those who do not see it."""
    said = ", ".join(f"{percent(point.probability)} on {day_words(point.day)}" for point in points)
    return f"Probability of osteoporosis over time: {said}."


def day_words(day: date) -> str:
    """A day as a person reads it anywhere: 2 Feb 2015."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def span(days: Sequence[date]) -> tuple[date, date]:
    """First and last day of the time axis: the scans and some room on both sides."""
    first, last = min(days), max(days)
    room = max((last - first).days * 0.06, (LEAST_DAYS - (last - first).days) / 2, 1)
    margin = timedelta(days=math.ceil(room))
    # The calendar has ends.
    return max(first, date.min + margin) - margin, min(last, date.max - margin) + margin


def time_ticks(first: date, last: date) -> list[tuple[date, str]]:
    """Days to mark on the axis, at most six: starts of months or of years, evenly apart."""
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((s for s in (1, 2, 3, 6, 12, 24, 60, 120, 240, 600) if months / s <= MOST_TICKS - 1), 1200)
    ticks: list[tuple[date, str]] = []
    at = first.year * 12 + first.month - 1
    at += -at % step
    while at // 12 <= last.year and len(ticks) < MOST_TICKS:
        day = date(at // 12, at % 12 + 1, 1)
        if first <= day <= last:
            ticks.append((day, str(day.year) if step >= 12 else f"{MONTHS[day.month - 1]} {day.year}"))
        at += step
    return ticks


def _x(day: date, first: date, last: date) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (day - first).days / (last - first).days


def _y(probability: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * probability


def _grid() -> list[str]:
    lines = []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(part)
        lines.append(f'<path class="trend-grid" d="M{LEFT:g} {y:.1f}H{WIDTH - RIGHT:g}"/>')
        lines.append(f'<text x="{LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{part:.0%}</text>')
    return lines


def _ticks(first: date, last: date) -> list[str]:
    y = HEIGHT - BOTTOM
    drawn = []
    for day, words in time_ticks(first, last):
        x = _x(day, first, last)
        drawn.append(f'<path class="trend-tick" d="M{x:.1f} {y:g}v6"/>')
        drawn.append(f'<text x="{x:.1f}" y="{y + 22:g}" text-anchor="middle">{words}</text>')
    return drawn


def _thresholds(points: Sequence[Point], x: dict[date, float]) -> list[str]:
    # One line where every answer was held against the same threshold, else a short one at each.
    known = {point.threshold for point in points if point.threshold is not None}
    if len(known) == 1:
        level = known.pop()
        y = _y(level)
        words = f"threshold {100 * level:.0f} %"
        return [
            f'<path class="trend-threshold" d="M{LEFT:g} {y:.1f}H{WIDTH - RIGHT:g}"/>',
            f'<text class="trend-limit" x="{WIDTH - RIGHT:g}" y="{y - 6:.1f}" text-anchor="end">{words}</text>',
        ]
    return [
        f'<path class="trend-threshold" d="M{x[point.day] - 16:.1f} {_y(point.threshold):.1f}h32"/>'
        for point in points
        if point.threshold is not None
    ]


def _mark(point: Point, x: float) -> str:
    y, r = _y(point.probability), MARK
    category = point.category or "none"
    shape = {
        "normal": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r * 0.9:g}"/>',
        "low_bone_mass": f'<path d="M{x:.1f} {y - r:.1f}l{r:g} {r:g}l{-r:g} {r:g}l{-r:g} {-r:g}z"/>',
        "osteoporosis": f'<path d="M{x:.1f} {y - r:.1f}l{r:g} {1.8 * r:g}h{-2 * r:g}z"/>',
    }.get(category, f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r * 0.9:g}"/>')
    words = LABEL_WORDS.get(category, "No answer")
    title = f"{day_words(point.day)}: {percent(point.probability)}, {words.lower()}"
    kind = category if category in LABEL_WORDS else "none"
    return f'<g class="trend-mark trend-{kind}">{shape}<title>{title}</title></g>'
