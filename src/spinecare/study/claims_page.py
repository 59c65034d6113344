"""claims.json, claims.md and claims.svg: the table that people quote, and what it does not show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinecare.study.claims_figure import claims_svg

TITLE = "# Published claims, with the leak and without"


def write_page(document: Mapping[str, Any], out: Path) -> Path:
    """Write the three files below `out`; the path of the page."""
    (out / "claims.svg").write_text(claims_svg(document), encoding="utf-8")
    page = out / "claims.md"
    page.write_text(markdown(document), encoding="utf-8")
    part = out / "claims.part"
    part.write_text(json.dumps(document | {"sentences": sentences(document)}, indent=1) + "\n", encoding="utf-8")
    part.replace(out / "claims.json")
    return page


def sentences(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """How the table was made, what is inferred from it, and what it does not show: plain sentences."""
    data, settings = document["data"], document["settings"]
    copies, splits = settings["copies"], settings["splits"]
    total = data["pictures"] * (1 + copies)
    shown = {
        "prepared": "SpineCare's crop of L1 to L4 without the operator's drawing",
        "whole-with-drawing": "the whole export with the operator's drawing in it, squeezed to the crop's size",
    }[settings["shown"]]
    how = [
        f"Pictures: {data['pictures']} of {data['groups']} scan groups "
        f"({', '.join(f'{k} {v}' for k, v in data['labels'].items())}); what a member sees is {shown}.",
        f"With the leak: each picture is augmented {copies}-fold, and the {total} pictures are then split 70/10/20 at "
        "random, so that copies of one picture lie on every side; nothing fitted is told which belong together.",
        "Honest: scan groups are split 70/10/20 first, by class. All copies of the training and validation groups' "
        "pictures are fitted on (the stack learns from the validation part, on both sides); the test part holds "
        "pictures as they are, of groups that nothing was fitted on.",
        "Both sides: the same pictures and copies, the same members with the same settings, nearly as many to fit on.",
        f"Each figure is the mean over the random splits ({splits}, fewer where the row says so); in brackets the "
        "least and the largest of them. That is a range over splits, not a confidence interval: the splits share their "
        "pictures.",
        _tasks_sentence(settings),
        "This is the published recipe, judged honestly, not the best that can be had honestly: that is what "
        "`spinecare study` measures.",
    ]
    leak, honest = _extremes(document)
    inferred = [
        "These are not the pictures of the claims, and nothing here was computed on those.",
        f"On these pictures the same members have {honest} accuracy in three classes honestly, and {leak} with the "
        "leak. Figures as high as the claimed ones can therefore come from the split, without anything learnt that "
        "holds for another patient.",
        *_shuffled_sentence(document),
    ]
    not_shown = [
        "Not shown: that a given publication split this way, or what its detector would reach on new patients. That "
        "needs its pictures and its code.",
        "Not shown: that these members can't be better elsewhere. Other pictures (spacing, BMD values, more "
        "patients) may hold more.",
        *_starts_sentence(document),
    ]
    return {"how": how, "inferred": inferred, "not_shown": not_shown}


def markdown(document: Mapping[str, Any]) -> str:
    """The page."""
    told = sentences(document)
    lines = [TITLE, "", *[f"**{told['inferred'][0]}** {' '.join(told['inferred'][1:])}"], ""]
    for name, about in document["tasks"].items():
        lines += [f"## {about[0].upper()}{about[1:]}", "", *_task_table(document, name), ""]
    lines += _shuffled_table(document)
    lines += ["![claims](claims.svg)", "", "## How", "", *[f"- {s}" for s in told["how"]], ""]
    lines += ["## What is not shown", "", *[f"- {s}" for s in told["not_shown"]], ""]
    lines += ["## Members", "", *[f"- {name}: {about}" for name, about in document["members"].items()], ""]
    lines += ["Claimed figures: " + document["published"]["what"]]
    return "\n".join(lines) + "\n"


def claimed(document: Mapping[str, Any], task: str) -> dict[str, dict[str, Any]]:
    """Member → what was claimed elsewhere for it in this task."""
    return {one["member"]: one for one in document["published"]["claims"] if task in one["tasks"]}


def _task_table(document: Mapping[str, Any], task: str) -> list[str]:
    elsewhere = claimed(document, task)
    lines = [
        "| member | claimed elsewhere | accuracy, with the leak here | accuracy, honest here | AUC, with the leak | "
        "AUC, honest | splits |",
        "|---|---|---|---|---|---|---|",
    ]
    for member, tasks in document["table"].items():
        sides = tasks[task]
        cells = [_percent(sides[side]["accuracy"]) for side in ("leak", "honest")]
        cells += [_decimal(sides[side]["auc"]) for side in ("leak", "honest")]
        said = f"{elsewhere[member]['accuracy']:g} %" if member in elsewhere else "–"
        lines.append(f"| {member} | {said} | {' | '.join(cells)} | {sides['honest']['accuracy']['splits']} |")
    for name, one in elsewhere.items():
        if name not in document["table"]:
            lines.append(f"| {name} | {one['accuracy']:g} % ({one['source']}) | – | – | – | – | – |")
    most = document["majority"][task]
    cells = " | ".join(_percent(most[side]) for side in ("leak", "honest"))
    lines.append(f"| always the most frequent class | – | {cells} | 0.500 | 0.500 | {most['honest']['splits']} |")
    return lines


def _shuffled_table(document: Mapping[str, Any]) -> list[str]:
    rows = {name: tasks["three"] for name, tasks in document["table"].items() if "leak_shuffled" in tasks["three"]}
    if not rows:
        return []
    lines = [
        "## The same with shuffled labels",
        "",
        "Labels dealt out anew among the scan groups, so that no picture can tell its label: three classes, accuracy.",
        "",
        "| member | with the leak | honest |",
        "|---|---|---|",
    ]
    for name, sides in rows.items():
        cells = [_percent(sides[f"{side}_shuffled"]["accuracy"]) for side in ("leak", "honest")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _tasks_sentence(settings: Mapping[str, Any]) -> str:
    once = [name for name, one in settings["members"].items() if not one["per_task"]]
    return (
        "Members are fitted anew for each task"
        f"; {' and '.join([*once, 'the stack'])} once for three classes, the probabilities of the "
        "classes that count as yes being added up for the tasks of two."
    )


def _starts_sentence(document: Mapping[str, Any]) -> list[str]:
    if "resnet_forest" not in document["members"]:
        return []
    return [
        "The published ResNet came from ImageNet. There are no such weights here: this one's features were learnt on "
        "virtual patients, which is another start."
    ]


def _extremes(document: Mapping[str, Any]) -> tuple[str, str]:
    """Accuracies in three classes over the members, least to largest mean, with the leak and honest."""

    def span(side: str) -> str:
        means = [tasks["three"][side]["accuracy"]["mean"] for tasks in document["table"].values()]
        return f"{min(means):.0%} to {max(means):.0%}" if len(means) > 1 else f"{means[0]:.0%}"

    return span("leak"), span("honest")


def _shuffled_sentence(document: Mapping[str, Any]) -> list[str]:
    found = {
        name: tasks["three"]["leak_shuffled"]["accuracy"]["mean"]
        for name, tasks in document["table"].items()
        if "leak_shuffled" in tasks["three"]
    }
    if not found:
        return []
    best = max(found, key=lambda name: found[name])
    honest = document["table"][best]["three"]["honest_shuffled"]["accuracy"]["mean"]
    return [
        f"With labels that mean nothing (shuffled among the groups) {best} still gets {found[best]:.0%} with the leak, "
        f"and {honest:.0%} honestly."
    ]


def _percent(figure: Mapping[str, Any]) -> str:
    if figure["mean"] is None:
        return "–"
    return f"{100 * figure['mean']:.1f} % [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def _decimal(figure: Mapping[str, Any]) -> str:
    if figure["mean"] is None:
        return "–"
    return f"{figure['mean']:.3f} [{figure['low']:.2f}, {figure['high']:.2f}]"
