"""The model card of a study's headline, in Markdown: what it is, what it can do, what it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spinecare.evaluate.predictions import FIGURES
from spinecare.study.summary import Summary, shown

SHOWN = (
    "auc",
    "auc_normal_vs_osteoporosis",
    "auc_normal_vs_affected",
    "recall",
    "specificity",
    "precision",
    "npv",
    "accuracy_three_classes",
    "brier",
    "calibration_slope",
)


def card(study: Summary, data: Mapping[str, str], protocol: Mapping[str, str], limits: Sequence[str]) -> str:
    """What the headline is, what it was developed and evaluated on, its figures beside others, and its limits.

    Parameters
    ----------
    study
        The finished study.
    data, protocol, limits
        The sections of the report with the same names.
    """
    lines = [
        f"# {study.headline}, of the study {study.name}",
        "",
        "Intended use: research and teaching. Not a medical device, not a diagnosis.",
        "",
        "No weights come with this card: the study fits its models anew in each fold, to measure them, and keeps none. "
        "`config.json` beside it makes the same models from the same scans.",
        "",
        "## What it is",
        "",
        *_what(study),
        "",
        "## What it was developed and evaluated on",
        "",
        *(f"- {what}: {text}" for what, text in data.items()),
        "",
        "## How",
        "",
        *(f"- {what}: {text}" for what, text in protocol.items()),
        "",
        "## Numbers",
        "",
        *_numbers(study),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in limits),
    ]
    return "\n".join(lines) + "\n"


def _what(study: Summary) -> list[str]:
    members = {one["name"]: one for one in study.config.get("members", ())}
    if study.headline in members:
        return [f"One member: {_told(members[study.headline])}."]
    joined = next((one for one in study.config.get("combine", ()) if one["name"] == study.headline), None)
    if joined is None:
        return [f"A trivial baseline: {study.headline}."]
    names = list(joined["members"]) or list(members)
    return [
        f"{_told(joined)}, which joins {len(names)} members:",
        "",
        *(f"- {name}: {_told(members[name])}" for name in names),
    ]


def _told(one: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key} {_plain(value)}" for key, value in one["options"].items())
    return f"{one['kind']} ({options})" if options else str(one["kind"])


def _plain(value: Any) -> str:
    return " and ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)


def _numbers(study: Summary) -> list[str]:
    metrics = study.metrics
    beside = {
        "best member": study.best(study.having("member")),
        "best trivial baseline": study.best(study.having("baseline")),
    }
    kept = {what: name for what, name in beside.items() if name is not None}
    counts = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in metrics["class_counts"].items())
    lines = [
        f"{metrics['n']} scans of {metrics['patients']} patients or scan groups ({counts}). {metrics['protocol']}. In "
        f"brackets: {metrics['interval']['level']:.0%} interval, {metrics['interval']['method']}. Which member and "
        "which baseline is best was seen on these same figures.",
        "",
        f"| | {study.headline} | " + " | ".join(f"{name} ({what})" for what, name in kept.items()) + " |",
        "|---|---|" + "---|" * len(kept),
    ]
    for key in SHOWN:
        cells = [shown(study.figure(name, key)) for name in (study.headline, *kept.values())]
        lines.append(f"| {FIGURES[key]} | {' | '.join(cells)} |")
    for what, name in kept.items():
        difference = shown(study.difference(name, "auc"), signed=True)
        lines += ["", f"AUC against the rest, minus the {what}: {difference}, paired."]
    return lines
