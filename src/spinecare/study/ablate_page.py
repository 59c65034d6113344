"""`ablate.md`: the ablations as tables, written from `ablate.json` alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "auc": "AUC, osteoporosis / rest",
    "auc_normal_vs_osteoporosis": "AUC, normal / osteoporosis",
    "auc_normal_vs_affected": "AUC, normal / affected",
    "accuracy_three_classes": "accuracy, three classes",
}


def ablate_page(told: Mapping[str, Any]) -> str:
    """Markdown of what `ablate.ablate` wrote."""
    parts = ["# Ablations\n", f"{told['warning']}\n"]
    for name, one in told["ablations"].items():
        parts += [f"## {name.replace('_', ' ').capitalize()}\n", f"{one['about']}\n", _protocol(one)]
        parts += [_learning(one) if one["learning"] else _variants(one)]
        if one["learning"]:
            parts += ["Other figures and the paired differences stand in ablate.json.\n"]
        elif one["differences"]:
            parts += ["Paired differences (variant minus reference):\n", _differences(one)]
        parts += [f"- {note}" for note in one["notes"]] + [""]
    return "\n".join(parts)


def shown(figure: Mapping[str, Any], signed: bool = False) -> str:
    """A figure with its interval."""
    if figure["value"] is None:
        return "–"
    form = "{:+.3f}" if signed else "{:.3f}"
    interval = figure["interval"]
    ends = f" [{form.format(interval['low'])}, {form.format(interval['high'])}]" if interval else ""
    return form.format(figure["value"]) + ends


def _protocol(one: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{label} {n}" for label, n in one["class_counts"].items())
    # The studies of a learning curve differ in their share; the table's head tells it.
    protocol = re.sub(r", \d+% of each training part's groups used", "", one["protocol"])
    return (
        f"{one['n']} scans of {one['patients']} patients or groups ({counts}). {protocol}. "
        f"95 % intervals: {one['interval']}.\n"
    )


def _variants(one: Mapping[str, Any]) -> str:
    head = ["variant", *COLUMNS.values(), "fit, s"]
    rows = []
    for name, variant in one["variants"].items():
        cells = [shown(variant["figures"][key]) for key in COLUMNS]
        rows.append([name, *cells, f"{variant['fit_seconds']:.2f}"])
    return table(head, rows)


def _learning(one: Mapping[str, Any]) -> str:
    """AUC of each model by the mean number of training scans."""
    studies = sorted(one["learning"]["studies"].items(), key=lambda item: item[1]["train_scans"])
    head = ["AUC, osteoporosis/rest", *(f"{study['train_scans']:.0f} training scans" for _, study in studies)]
    models = one["learning"]["models"]
    rows = [
        [model, *(shown(one["variants"][f"{name}/{model}"]["figures"]["auc"]) for name, _ in studies)]
        for model in models
    ]
    return table(head, rows)


def _differences(one: Mapping[str, Any]) -> str:
    rows = []
    for difference in one["differences"]:
        cells = [shown(difference["figures"][key], signed=True) for key in COLUMNS]
        test = difference["tests"].get("auc")
        p = f"{test['holm']:.3f}" if test and test["holm"] is not None else "–"
        rows.append([difference["variant"], difference["minus"], *cells, p])
    return table(["variant", "minus", *COLUMNS.values(), "AUC: p (DeLong, Holm)"], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
