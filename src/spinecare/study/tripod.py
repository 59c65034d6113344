"""The TRIPOD+AI checklist of a study: each line points at a place, or says "not met" and why.

What the items ask, and what SpineCare can say to each for any study, stands in `tripod.json`. What only the people
behind the data know (dates, centres, ethics) is not in a manifest: those lines say "not met" until an `about.json` in
the run's folder (item number → sentence with its place) fills them.

Source of the items: Collins et al. 2024, 10.1136/bmj-2023-078378.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from spinecare.errors import EvaluationError

ABOUT_FILE = "about.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Item:
    """One item of the checklist.

    number
        As in the publication: "1" … "27c".
    kind
        "D" development, "E" evaluation, or both.
    asks
        What is asked, shortened.
    says
        What SpineCare can say to it, with `places`: files of the repository or of the run, sections of the report.
    missing
        What is lacking all the same; alone it makes the item not met.
    needs
        Facts about the data without which the item is not met, for the reason `otherwise`.
    """

    number: str
    topic: str
    kind: str
    asks: str
    says: str = ""
    places: tuple[str, ...] = ()
    missing: str = ""
    needs: tuple[str, ...] = ()
    otherwise: str = ""


@dataclass(frozen=True)
class Line:
    """An item as one study answers it: `status` is "met", "in part" or "not met"."""

    item: Item
    status: str
    answer: str
    places: tuple[str, ...]


def items() -> tuple[Item, ...]:
    """The 52 lines of the 27 items, in the order of the publication."""
    read = json.loads(files("spinecare.study").joinpath("tripod.json").read_text("utf-8"))
    return tuple(
        Item(
            number=one["item"],
            topic=one["topic"],
            kind=one["for"],
            asks=one["asks"],
            says=one["says"],
            places=tuple(one["places"]),
            missing=one.get("missing", ""),
            needs=tuple(one.get("needs", ())),
            otherwise=one.get("otherwise", ""),
        )
        for one in read["items"]
    )


def checklist(facts: Collection[str], about: Mapping[str, str] | None = None) -> list[Line]:
    """Answer each item for one study.

    Parameters
    ----------
    facts
        What the data have: of "dates", "ages", "sexes", "subgroups", "devices".
    about
        Item number → what the people behind the data say to it; it stands in place of SpineCare's own answer.

    Raises
    ------
    EvaluationError
        For an item number that is not in the checklist.
    """
    about = dict(about or {})
    found = items()
    if unknown := sorted(set(about) - {item.number for item in found}):
        raise EvaluationError(
            f"{ABOUT_FILE} answers items that TRIPOD+AI does not have: {', '.join(unknown)}. Use numbers like 5b or 17."
        )
    return [_line(item, facts, about.get(item.number, "").strip()) for item in found]


def read_about(run: Path) -> dict[str, str]:
    """What `about.json` in a run's folder says, or nothing."""
    file = run / ABOUT_FILE
    if not file.is_file():
        return {}
    read = json.loads(file.read_text("utf-8"))
    if not isinstance(read, dict) or not all(isinstance(text, str) for text in read.values()):
        raise EvaluationError(f'{file} must be an object from item numbers to sentences, as {{"5b": "2019 to 2021"}}.')
    return read


def tripod_markdown(lines: list[Line], title: str) -> str:
    """The checklist as one Markdown page."""
    counts = {status: sum(line.status == status for line in lines) for status in ("met", "in part", "not met")}
    rows = [
        f"| {line.item.number} | {line.item.topic} | {line.item.kind} | {_cell(line.item.asks)} | "
        f"{'**not met**' if line.status == 'not met' else line.status} | {_cell(line.answer)} | "
        f"{', '.join(f'`{place}`' for place in line.places) or '–'} |"
        for line in lines
    ]
    return "\n".join(
        [
            f"# TRIPOD+AI: {title}",
            "",
            "27 items in 52 lines (Collins et al. 2024, BMJ 385:e078378, doi:10.1136/bmj-2023-078378), wording "
            "shortened. D: for development, E: for evaluation. Places are in the repository, or beside this page "
            "(`report.html`, `config.json`, `predictions.parquet`).",
            "",
            f"{counts['met']} met, {counts['in part']} in part, {counts['not met']} not met.",
            "",
            "| item | topic | for | asks | | answer | where |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"What SpineCare cannot know (dates, centres, ethics) can be filled in: `{ABOUT_FILE}` beside this "
            "page, item number to sentence, and the report is made anew.",
            "",
        ]
    )


def _line(item: Item, facts: Collection[str], filled: str) -> Line:
    if filled:
        return Line(item, "met", filled, (ABOUT_FILE,))
    if not set(item.needs) <= set(facts):
        return Line(item, "not met", item.otherwise, ())
    if not item.places:
        return Line(item, "not met", item.missing, ())
    if item.missing:
        return Line(item, "in part", f"{item.says} Missing: {_small(item.missing)}", item.places)
    return Line(item, "met", item.says, item.places)


def _small(sentence: str) -> str:
    # "No calculation" → "no calculation"; a name or an abbreviation keeps its capital.
    first = sentence.split()[0]
    return sentence if first.isupper() and len(first) > 1 else sentence[:1].lower() + sentence[1:]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
