"""The two bounds of DESIGN 5.4, read from `bounds.json` of `study.bounds`: what figures draw as lines, and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from spinecare.errors import EvaluationError
from spinecare.evaluate.study_figures import learning_svg
from spinecare.study.drawings import figure_of
from spinecare.study.sections import Table

# The name of the bound that needs no model.
MEASUREMENT = "measurement error"
# Models whose curves one picture can hold.
LINES = 5

COLUMNS = {
    "auc": "AUC",
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis against normal",
    "auc_normal_vs_affected": "AUC, affected against normal",
    "accuracy_three_classes": "Accuracy, three classes",
}


def read_bounds(file: Path) -> dict[str, Any] | None:
    """What `study.bounds` wrote; None when the file is not there."""
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise EvaluationError(f"{file} is no JSON ({error}). Make it anew with `study.bounds`.") from error


def bound_lines(bounds: Mapping[str, Any] | None, key: str = "auc") -> dict[str, float]:
    """Name → value of one figure, for lines in pictures."""
    told = {one["name"]: one["figures"].get(key) for one in (bounds or {}).get("bounds", ())}
    return {name: figure["value"] for name, figure in told.items() if figure and figure["value"] is not None}


def bounds_table(bounds: Mapping[str, Any] | None) -> Table | None:
    """The bounds as a table."""
    if not bounds:
        return None
    rows = [
        [one["name"], one.get("about", ""), *(one["figures"].get(key) for key in COLUMNS)] for one in bounds["bounds"]
    ]
    return Table("Bounds", ["Bound", "What it is", *COLUMNS.values()], rows, wordy=True)


def bounds_picture(bounds: Mapping[str, Any] | None) -> tuple[Markup, str] | None:
    """What ever more virtual people teach the same members, with the bound of measurement; None without sizes."""
    sizes = (bounds or {}).get("sizes")
    if not bounds or not sizes:
        return None
    headline = bounds["headline"]
    last = sizes[-1]["models"]
    best = sorted(last, key=lambda name: (name != headline, -(last[name]["figures"]["auc"]["value"] or 0)))[:LINES]
    curves = {name: [(one["size"], figure_of(one["models"][name]["figures"]["auc"])) for one in sizes] for name in best}
    measurement = {name: value for name, value in bound_lines(bounds).items() if name == MEASUREMENT}
    picture = learning_svg(curves, "auc", measurement, headline, across="virtual people to learn from")
    return Markup(
        picture
    ), f"AUC on virtual test people by the number of virtual people learnt from. {bounds['protocol']}."
