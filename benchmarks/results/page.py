"""The words and the layout of `docs/results.md`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results.verdict import NOT, NOT_MADE, Row

HEAD = """\
# Results: what a spine scan's picture holds, measured

Made by `python -m benchmarks.results`; do not edit by hand. Every number comes from a file that a command of this
repository wrote; the verdicts are computed from the numbers. What limits a row that was not reached is written by
people, in `benchmarks/results/limits.md`.

The real scans are `spine_dxa`: one source, no ages, no sexes, no T-scores, labels as published. Splits are by scan
group. In brackets: 95 % intervals, bootstrap over groups, unless a row says otherwise. How often the labels were looked
at before stands in `docs/looks.md`.
"""
LIMITS = Path(__file__).parent / "limits.md"


def cell(text: str) -> str:
    """Text for one cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split()) or "–"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(cell(one) for one in row)} |" for row in rows)])


def limits(text: str) -> dict[str, str]:
    """Of a page with a heading `## key` for each row: key → what stands below it."""
    parts = re.split(r"^## +(\S+)[^\n]*\n", text, flags=re.MULTILINE)[1:]
    return {key: " ".join(words.split()) for key, words in zip(parts[::2], parts[1::2], strict=True)}


def seen(rows: Sequence[Row], why: Mapping[str, str]) -> str:
    """The issue's table with measured numbers and verdicts; below it, what limits the rows that were not reached."""
    first = table(
        ["what", "simple models", "at least", "aim", "measured", "n", "verdict"],
        [
            [row.what, row.simple, row.least, row.aim, row.measured or NOT_MADE, row.n, _marked(row.verdict)]
            for row in rows
        ],
    )
    parts = [first]
    made = [row for row in rows if row.verdict != NOT_MADE]
    if made:
        parts.append("How each row was made:\n\n" + "\n".join(_how(made)))
    if short := [row for row in made if NOT in row.verdict]:
        told = [f"- **{row.what}.** {why.get(row.key, 'Not explained yet.')}" for row in short]
        parts.append("What limits the rows that were not reached, and what was tried:\n\n" + "\n".join(told))
    return "\n\n".join(parts)


def page(rows: Sequence[Row], sections: Mapping[str, str], why: Mapping[str, str], made: str) -> str:
    """The whole page.

    Parameters
    ----------
    rows
        Of the first table.
    sections
        Title → Markdown; empty where nothing was given, and the page says so.
    why
        What limits a row, by its key.
    made
        When and with what arguments the page was made.
    """
    parts = [HEAD, "## What must be seen at the end, on the 128 unique real scans\n", seen(rows, why)]
    for title, text in sections.items():
        parts.append(f"\n## {title}\n\n{text.strip() or NOT_MADE}")
    parts.append(f"\n## When this page was made\n\n{made}")
    return "\n".join(parts) + "\n"


def below(text: str, depth: int = 2) -> str:
    """A page as part of another: its title and pictures off, its headings `depth` lower."""
    lines = [line for line in text.splitlines() if not line.startswith(("# ", "!["))]
    lowered = [f"{'#' * depth}{line}" if re.match(r"#{2,} ", line) else line for line in lines]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lowered)).strip()


def _marked(verdict: str) -> str:
    return f"**{verdict}**" if NOT in verdict else verdict


def _how(rows: Sequence[Row]) -> list[str]:
    """A line for each command and protocol, with the rows that come from it."""
    together: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        together.setdefault((row.command, row.protocol), []).append(row.what)
    lines = []
    for (command, protocol), names in together.items():
        commands = " and ".join(f"`{one}`" for one in command.split("; ") if one)
        lines.append(f"- {'; '.join(names)}: {commands}.{' ' + _sentence(protocol) if protocol else ''}")
    return lines


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
