"""General information: every treatment statement names a source that exists, and nothing advises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spinecare.clinical.information import Information, questions, treatment_options


def _items(information: Information) -> Iterator[dict[str, Any]]:
    for part in information.parts:
        for group in part["groups"]:
            yield from group["items"]


def test_the_four_kinds_of_treatment_are_there() -> None:
    assert [part["key"] for part in treatment_options().parts] == ["medication", "exercise", "nutrition", "falls"]


def test_every_statement_on_treatment_has_a_source() -> None:
    information = treatment_options()
    for item in _items(information):
        assert item["sources"], item["title"]
        assert set(item["sources"]) <= set(information.sources)


def test_every_answer_on_the_illness_has_a_source() -> None:
    first = questions().parts[0]
    assert first["title"] == "The illness"
    assert all(q["sources"] for q in first["questions"])


def test_sources_are_numbered_in_the_order_of_the_page() -> None:
    for information in (treatment_options(), questions()):
        assert [s.number for s in information.sources.values()] == list(range(1, len(information.sources) + 1))
        assert all(s.url.startswith("https://") and len(s.text) > 40 for s in information.sources.values())
    first = next(_items(treatment_options()))
    assert treatment_options().sources[first["sources"][0]].number == 1


def test_keys_are_unique_addresses() -> None:
    keys = [q["key"] for part in questions().parts for q in part["questions"]]
    assert len(keys) == len(set(keys))
