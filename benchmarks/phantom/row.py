"""One line of the evidence table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A claim beside what was measured.

    what
        What is compared with what.
    asked
        What the house asks for ("mean within 2 %"), or "report".
    measured
        The number(s) with n and interval, as text.
    met
        True, False, or None where nothing was asked.
    note
        Protocol and what else a reader should know, a sentence or two.
    """

    what: str
    asked: str
    measured: str
    met: bool | None
    note: str = ""
