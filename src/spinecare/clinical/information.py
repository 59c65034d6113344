"""General information for people: questions and treatment options, each with its sources. It advises nobody.

Every text and number stands in `tables/information.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Source:
    """A publication: its number on the page, how it is cited, and where it is found."""

    number: int
    text: str
    url: str


@dataclass(frozen=True)
class Information:
    """The content of one page: `parts` as they stand in the table, the sources they name, and their date."""

    parts: tuple[dict[str, Any], ...]
    sources: dict[str, Source]
    effective: str


@cache
def treatment_options() -> Information:
    """Medication, exercise, nutrition, fall prevention."""
    return _information("treatment")


@cache
def questions() -> Information:
    """Questions and answers, by topic."""
    return _information("faq")


def _information(name: str) -> Information:
    text = resources.files("spinecare.clinical.tables").joinpath("information.json").read_text("utf-8")
    table = json.loads(text)
    named = dict.fromkeys(_named_sources(table[name]))
    sources = {key: Source(number, **table["sources"][key]) for number, key in enumerate(named, 1)}
    return Information(tuple(table[name]), sources, table["effective"])


def _named_sources(part: Any) -> list[str]:
    """The keys of the sources that a part names, in the order in which it does."""
    if isinstance(part, dict):
        return [*part.get("sources", ()), *(key for value in part.values() for key in _named_sources(value))]
    if isinstance(part, list):
        return [key for value in part for key in _named_sources(value)]
    return []
