"""A study's report: every figure with its interval, every section that the checklist points at, and nothing fetched."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="reports need the `train` extra")
pytest.importorskip("pandas", reason="reports need the `train` extra")

from spinecare.errors import EvaluationError
from spinecare.evaluate.predictions import FIGURES
from spinecare.study.report import (
    CALIBRATION_COLUMNS,
    MAIN_COLUMNS,
    MORE_COLUMNS,
    SECTIONS,
    write_study_report,
)
from spinecare.study.summary import read_summary
from study.fake_study import make_study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_study(folder)
    write_study_report(folder)
    return folder


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return (run / "report.html").read_text("utf-8")


class Page(HTMLParser):
    """What a page would fetch, its ids, and where its own links go."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                (self.links if (value or "").startswith("#") else self.fetched).append(value or "")
        if tag in ("script", "link", "iframe", "img"):
            self.fetched.append(tag)


def test_every_figure_of_every_model_stands_with_its_interval(run: Path, html: str) -> None:
    study = read_summary(run)
    columns = MAIN_COLUMNS | MORE_COLUMNS | CALIBRATION_COLUMNS
    assert set(columns) == set(FIGURES)
    for name in study.roles:
        for key in columns:
            figure = study.figure(name, key)
            if figure["interval"] is None:
                continue
            low, high = figure["interval"]["low"], figure["interval"]["high"]
            assert f"<b>{figure['value']:.3f}</b><small>{low:.3f} to {high:.3f}</small>" in html


def test_paired_differences_stand_with_interval_and_corrected_p(run: Path, html: str) -> None:
    study = read_summary(run)
    assert len(study.metrics["headline_minus_model"]) == len(study.roles) - 1
    for name in study.metrics["headline_minus_model"]:
        figure, test = study.difference(name, "auc"), study.test(name, "auc")
        assert figure is not None
        assert test is not None
        assert f"<b>{figure['value']:+.3f}</b><small>{figure['interval']['low']:+.3f} to" in html
        if test["p"] >= 0.001:
            assert f"p {test['p']:.3f} ({test['holm']:.3f})" in html


def test_the_page_has_its_sections_fetches_nothing_and_its_links_arrive(html: str) -> None:
    page = Page(html)
    assert page.fetched == []
    assert len(page.ids) == len(set(page.ids))
    assert set(SECTIONS) - {"audit", "ablations"} <= set(page.ids)
    assert {link[1:] for link in page.links} <= set(page.ids)
    for shown in ("ROC", "Net benefit", "A note of the study.", "512 MB", "2.0 minutes", "not a diagnosis"):
        assert shown in html


def test_decisions_are_scored_and_kept(run: Path) -> None:
    kept = json.loads((run / "decisions.json").read_text("utf-8"))
    assert set(kept["told"]) == {"svm", "forest_on_virtual", "voting", "stack"}
    told = kept["told"]["stack"]
    assert 0 < told["classified"]["value"] < 1
    assert told["precision"]["interval"]["low"] <= told["precision"]["value"] <= told["precision"]["interval"]["high"]
    assert {row["column"] for row in kept["subgroups"]["rows"]} == {"sex", "device"} | (
        {"age"} & {row["column"] for row in kept["subgroups"]["rows"]}
    )


def test_the_card_says_what_it_is_what_it_can_do_and_what_not(run: Path) -> None:
    card = (run / "card.md").read_text("utf-8")
    study = read_summary(run)
    auc = study.figure("stack", "auc")
    assert f"{auc['value']:.3f} [{auc['interval']['low']:.3f}, {auc['interval']['high']:.3f}]" in card
    best = study.best(["svm", "forest_on_virtual"])
    assert f"{best} (best member)" in card
    for words in ("Not a medical device", "joins 2 members", "svm (view radiomics, components 20)", "## Limits"):
        assert words in card


def test_without_people_in_the_manifest_the_page_says_what_is_not_known(tmp_path: Path) -> None:
    make_study(tmp_path, people=False, seed=1)
    html = write_study_report(tmp_path).read_text("utf-8")
    assert "No figures by subgroup" in html
    assert "age and sex" in html
    tripod = (tmp_path / "tripod.md").read_text("utf-8")
    assert re.search(r"\| 14 \|.*\*\*not met\*\*.*neither sex nor age", tripod)
    assert re.search(r"\| 5b \|.*\*\*not met\*\*", tripod)


def test_bounds_stand_as_lines_and_as_a_table(run: Path, tmp_path: Path) -> None:
    figure = {"value": 0.987, "interval": {"low": 0.98, "high": 0.99}, "n": 500, "patients": 500, "note": ""}
    told = {"bounds": [{"name": "measurement error", "about": "a second scan", "figures": {"auc": figure}}]}
    (tmp_path / "bounds.json").write_text(json.dumps(told), encoding="utf-8")
    make_study(tmp_path, seed=2)
    html = write_study_report(tmp_path).read_text("utf-8")
    assert "measurement error, 0.987" in html
    assert "<b>0.987</b><small>0.980 to 0.990</small>" in html
    assert "was not given" not in html


def test_looks_are_shown_where_a_page_counts_them(tmp_path: Path) -> None:
    make_study(tmp_path, people=False, seed=3)
    page = tmp_path / "looks.md"
    page.write_text("| # | number |\n|---|---|\n| 1 | AUC 0.7 <a> |\n| 2 | AUC 0.8 |\n", encoding="utf-8")
    html = write_study_report(tmp_path, looks=page).read_text("utf-8")
    assert "2 looks at the labels" in html
    assert "AUC 0.7 &lt;a&gt;" in html


def test_a_folder_without_a_finished_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no finished study"):
        write_study_report(tmp_path)
