"""A row of the table of what must be seen, and the verdict on it, which is computed and never typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NOT_MADE = "not made"
REACHED, LEAST, NOT, REPORTED = "reached", "at least reached", "not reached", "reported"


@dataclass(frozen=True)
class Row:
    """One row.

    key
        Names the row in `limits.md`.
    what, simple, least, aim
        As the issue words them.
    measured
        The number with its interval, and what stands beside it.
    n, protocol, command
        What it rests on, and what makes it.
    verdict
        Of `verdict`, or "not made".
    """

    key: str
    what: str
    simple: str
    least: str
    aim: str
    measured: str = ""
    n: str = ""
    protocol: str = ""
    command: str = ""
    verdict: str = NOT_MADE


def verdict(value: float | None, least: float | None = None, aim: float | None = None) -> str:
    """What a number that should be high has reached.

    Parameters
    ----------
    value
        The measured number; None: undefined, which reaches nothing.
    least, aim
        None: nothing is asked but to report it.
    """
    if value is not None and aim is not None and value >= aim:
        return REACHED
    if value is not None and least is not None and value >= least:
        return REACHED if aim is None else LEAST
    if least is None and value is not None:
        return REPORTED if aim is None else f"{REPORTED}, aim {NOT}"
    return NOT


def holds(figure: dict[str, Any], number: float) -> bool:
    """Whether a figure's interval contains a number; False where it has none."""
    interval = figure.get("interval")
    return interval is not None and interval["low"] <= number <= interval["high"]


def better(difference: dict[str, Any] | None) -> str:
    """The verdict on a paired difference that should be above 0: reached only if its whole interval is."""
    if difference is None or difference["value"] is None:
        return NOT_MADE
    interval = difference.get("interval")
    if interval is not None and interval["low"] > 0:
        return REACHED
    return f"{REPORTED}, aim {NOT}" + (": the interval holds 0" if holds(difference, 0) else "")
