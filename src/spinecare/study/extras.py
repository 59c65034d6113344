"""What may stand in a study's folder beside it, for its report: the leakage audit and the ablations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from spinecare.errors import EvaluationError
from spinecare.evaluate.study_figures import learning_svg
from spinecare.study.drawings import figure_of
from spinecare.study.sections import Table

AUDIT_FILE, ABLATE_FILE = Path("audit.json"), Path("ablate.json")
SHOWN = {
    "auc": "AUC",
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis against normal",
    "auc_normal_vs_affected": "AUC, affected against normal",
    "accuracy_three_classes": "Accuracy, three classes",
}
# Models whose learning curves one picture can hold.
LINES = 6


@dataclass(frozen=True)
class Extra:
    """A section: sentences, tables and pictures (SVG, caption)."""

    lines: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[tuple[Markup, str]] = field(default_factory=list)


def audit_section(run: Path) -> Extra | None:
    """The leakage audit in a study's folder; None where none was made."""
    told = _read(run / AUDIT_FILE)
    if told is None:
        return None
    lines = [f"n = {told['n']} scans of {told['groups']} groups. {told['protocol']}."]
    lines += told["findings"] or ["Nothing was found that speaks against the study."]
    short = told["shortcuts"]
    alone = [[name, short["about"][name], _audited(f["auc"])] for name, f in short["alone"].items()]
    against = [
        [name, *(_audited(figures["auc"]) for figures in beside.values())]
        for name, beside in short["member_minus_shortcut"].items()
    ]
    drawing = [
        [name, *(_audited(sides[side]["auc"]) for side in ("masked", "not_masked", "difference"))]
        for name, sides in told["drawing"].items()
    ]
    dealt = [
        [
            name,
            f"{one['auc']:.3f}",
            f"{one['shuffled_mean']:.3f} ({one['shuffled_low']:.3f} to {one['shuffled_high']:.3f})",
            one["shufflings"],
            f"{one['p']:.3f}",
        ]
        for name, one in told["permutation"].items()
    ]
    tables = [
        Table("Shortcuts alone: what could tell the classes without bone", ["Shortcut", "What it reads", "AUC"], alone),
        Table("Model minus shortcut, AUC, paired", ["Model", *(f"minus {name}" for name in short["alone"])], against),
        Table("The operator's drawing, AUC", ["Member", "Taken off", "Left in", "Difference"], drawing),
        Table(
            "Labels shuffled among the groups, AUC",
            ["Member", "Own labels", "Shuffled: mean (least to largest)", "Shufflings", "p"],
            dealt,
        ),
    ]
    return Extra(lines, [table for table in tables if table.rows])


def ablations_section(run: Path, headline: str) -> Extra | None:
    """The ablations in a study's folder, with the learning curve; None where none were made."""
    told = _read(run / ABLATE_FILE)
    if told is None:
        return None
    tables, pictures = [], []
    for name, one in told["ablations"].items():
        about = " ".join(one["about"].split())
        title = f"{name.replace('_', ' ').capitalize()}: {about} n = {one['n']}."
        rows = [[variant, *(v["figures"].get(key) for key in SHOWN)] for variant, v in one["variants"].items()]
        tables.append(Table(title, ["Variant", *SHOWN.values()], rows))
        if one["differences"]:
            rows = [
                [f"{two['variant']} minus {two['minus']}", *(two["figures"].get(key) for key in SHOWN)]
                for two in one["differences"]
            ]
            tables.append(Table("Paired differences", ["Difference", *SHOWN.values()], rows, signed=True))
        if one.get("learning"):
            pictures.append(_learning(one, headline))
    return Extra([told["warning"]], tables, pictures)


def _learning(one: Mapping[str, Any], headline: str) -> tuple[Markup, str]:
    studies = one["learning"]["studies"]
    models = sorted(one["learning"]["models"], key=lambda name: name != headline)[:LINES]
    curves = {
        model: [
            (study["train_scans"], figure_of(one["variants"][f"{name}/{model}"]["figures"]["auc"]))
            for name, study in studies.items()
        ]
        for model in models
    }
    caption = "AUC by the number of scans to learn from; the bars are intervals. Folds are those of the study."
    return Markup(learning_svg(curves, "auc", headline=headline)), caption


def _audited(figure: Mapping[str, float]) -> dict[str, Any]:
    """The audit's value, low and high as a figure."""
    return {
        "value": figure["value"],
        "interval": {"low": figure["low"], "high": figure["high"]},
        "note": "",
    }


def _read(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise EvaluationError(f"{file} is no JSON ({error}). Remove it, or run its command again.") from error
