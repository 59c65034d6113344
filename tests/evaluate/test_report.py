"""The report holds every number with its interval, and stands alone."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from spinecare.evaluate.predictions import FIGURES, Evaluation
from spinecare.evaluate.report import MAIN_COLUMNS, MORE_COLUMNS, evaluate_predictions, shown, write_report


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    p = np.exp(rng.normal(size=(120, 3)) + 1.5 * np.eye(3)[y])
    q = np.exp(rng.normal(size=(120, 3)) + np.eye(3)[y])
    models = {"cnn <1>": q / q.sum(axis=1, keepdims=True), "stack": p / p.sum(axis=1, keepdims=True)}
    return evaluate_predictions(y, np.arange(120) // 2, models, 0.4, n_boot=200, baselines={"brightness": p[:, 2]})


@pytest.fixture(scope="module")
def page(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    return write_report(
        evaluation,
        out,
        "A <title>",
        "hold-out by patient, seed 0",
        "virtual patients only (n=9)",
        ["one & two"],
    )


def test_every_figure_stands_in_the_page_with_its_interval(evaluation: Evaluation, page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert set(MAIN_COLUMNS) | set(MORE_COLUMNS) == set(FIGURES)
    for model in evaluation.models.values():
        for figure in model.figures.values():
            cell = f"<b>{shown(figure.value)}</b><small>{shown(figure.low)} to {shown(figure.high)}</small>"
            assert cell in html
    assert {"accuracy", "precision", "recall", "specificity", "f1", "auc", "brier"} == set(MAIN_COLUMNS)


def test_the_page_says_what_it_is_for_and_what_was_trained_on(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "For research, not a diagnosis" in html
    assert "virtual patients only (n=9)" in html
    assert "hold-out by patient, seed 0" in html
    assert "one &amp; two" in html
    assert "A &lt;title&gt;" in html
    assert "cnn &lt;1&gt;" in html
    assert "prevalence" in html


class Outside(HTMLParser):
    """Whatever a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.ids.append(value)
            if (name in ("src", "href", "xlink:href") and not (value or "").startswith("#")) or tag == "script":
                self.found.append(f"{tag} {name}={value}")


def test_the_page_fetches_nothing_and_its_ids_are_unique(page: Path) -> None:
    parser = Outside()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.found == []
    assert len(parser.ids) == len(set(parser.ids))


def test_pictures_are_valid_svg_whose_references_resolve(page: Path) -> None:
    files = sorted((page.parent / "figures").glob("*.svg"))
    assert {f.stem for f in files} == {"roc"} | {
        f"{kind}_{model}" for kind in ("confusion", "reliability") for model in ("cnn_1_", "stack")
    }
    for file in files:
        root = ET.parse(file).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        ids = {e.get("id") for e in root.iter()}
        for e in root.iter():
            for name, value in e.attrib.items():
                if name.endswith("href"):
                    assert value[1:] in ids
                if value.startswith("url(#"):
                    assert value[5:-1] in ids


def test_metrics_json_gives_each_figure_n_interval_and_protocol(evaluation: Evaluation, page: Path) -> None:
    numbers = json.loads((page.parent / "metrics.json").read_text(encoding="utf-8"))
    auc = numbers["models"]["stack"]["figures"]["auc"]
    figure = evaluation.models["stack"].figures["auc"]
    assert auc["value"] == figure.value
    assert auc["interval"] == {"low": figure.low, "high": figure.high}
    assert (auc["n"], auc["patients"], auc["protocol"]) == (120, 60, "hold-out by patient, seed 0")
    assert numbers["baselines"]["brightness"]["figures"]["brier"]["value"] is None
    assert numbers["trained_on"] == "virtual patients only (n=9)"
    for model in numbers["models"].values():
        assert set(model["figures"]) == set(FIGURES)


def test_the_same_evaluation_gives_the_same_bytes(evaluation: Evaluation, page: Path, tmp_path: Path) -> None:
    again = write_report(
        evaluation,
        tmp_path,
        "A <title>",
        "hold-out by patient, seed 0",
        "virtual patients only (n=9)",
        ["one & two"],
    )
    assert again.read_bytes() == page.read_bytes()
