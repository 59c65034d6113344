"""The checklist: every item of TRIPOD+AI is answered, and every answer points at a place that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spinecare.errors import EvaluationError
from spinecare.study.report import SECTIONS
from spinecare.study.tripod import checklist, items, read_about, tripod_markdown

ROOT = Path(__file__).resolve().parents[2]
ALL_FACTS = {"dates", "ages", "sexes", "subgroups", "devices"}
# Of a run, beside the checklist; `test_report.py` shows that they are written.
OF_THE_RUN = {"config.json", "predictions.parquet", "about.json"}
# 27 items; how many lines each has, as the publication numbers them.
LINES = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}


def test_all_27_items_are_there_in_their_52_lines() -> None:
    expected = [
        f"{number}{letter}"
        for number in range(1, 28)
        for letter in ("abcdefg"[: LINES[number]] if number in LINES else ("",))
    ]
    assert [item.number for item in items()] == expected
    assert len(expected) == 52
    assert {item.kind for item in items()} == {"D", "E", "D;E"}


@pytest.mark.parametrize("item", items(), ids=lambda item: item.number)
def test_every_line_points_at_a_place_that_exists_or_says_why_not(item) -> None:  # type: ignore[no-untyped-def]
    assert item.asks
    assert (item.says and item.places) or item.missing
    for place in item.places:
        file, _, section = place.partition("#")
        if file == "report.html":
            assert section == "top" or section in SECTIONS
        else:
            assert place in OF_THE_RUN or (ROOT / place).exists() or place == "docs/results.md"
    assert bool(item.needs) == bool(item.otherwise)
    assert set(item.needs) <= ALL_FACTS


def test_what_the_data_lack_is_not_met_and_says_so() -> None:
    poor = {line.item.number: line for line in checklist(set())}
    rich = {line.item.number: line for line in checklist(ALL_FACTS)}
    for number in ("5b", "14", "20b", "23b", "12d"):
        assert poor[number].status == "not met"
        assert "manifest" in poor[number].answer
        assert rich[number].status in ("met", "in part")
    # What no manifest tells stays unmet, whatever the data have.
    for number in ("6a", "17", "18d"):
        assert rich[number].status == "not met"
        assert rich[number].answer


def test_what_the_people_behind_the_data_know_fills_a_line(tmp_path: Path) -> None:
    (tmp_path / "about.json").write_text('{"5b": "2019 to 2021, see the protocol."}', encoding="utf-8")
    line = next(line for line in checklist(set(), read_about(tmp_path)) if line.item.number == "5b")
    assert (line.status, line.answer, line.places) == ("met", "2019 to 2021, see the protocol.", ("about.json",))
    with pytest.raises(EvaluationError, match="28x"):
        checklist(set(), {"28x": "no such item"})
    (tmp_path / "about.json").write_text('["5b"]', encoding="utf-8")
    with pytest.raises(EvaluationError, match="item numbers"):
        read_about(tmp_path)


def test_the_page_counts_its_lines_and_has_a_row_for_each() -> None:
    lines = checklist(set())
    page = tripod_markdown(lines, "a study")
    rows = [row for row in page.splitlines() if re.match(r"\| \d+[a-g]? \|", row)]
    assert len(rows) == 52
    counts = re.search(r"(\d+) met, (\d+) in part, (\d+) not met", page)
    assert counts is not None
    assert sum(map(int, counts.groups())) == 52
    assert int(counts.group(3)) == sum("**not met**" in row for row in rows)
    assert "10.1136/bmj-2023-078378" in page
