"""The model card that travels in the bundle, in Markdown."""

from __future__ import annotations

from typing import Any

from spinecare.bundle.schema import BundleSpec
from spinecare.scan import LABELS

SHOWN = ("auc", "recall", "specificity", "precision", "f1", "accuracy", "brier_osteoporosis", "calibration_slope")


def card(spec: BundleSpec, evaluation: dict[str, Any], extra: dict[str, Any]) -> str:
    """What the model is, what it was trained on, its numbers with intervals, and its limits.

    Parameters
    ----------
    spec
        The bundle's description, without hashes yet.
    evaluation
        From `evaluate.report.to_json`.
    extra
        `scans` (counts by part), `refused` (counts by code), `drift` by member, `prediction_sets`.
    """
    lines = [
        f"# {spec.name} {spec.version}",
        "",
        f"Trained on: {spec.trained_on}",
        "",
        f"Intended use: {spec.intended_use}",
        "",
        "## What it is",
        "",
        f"{len(spec.members)} members ({', '.join(m.name for m in spec.members)}) read the prepared picture "
        f"({spec.prepare.height} x {spec.prepare.width} pixels, grey); a logistic regression joins them; its "
        f"probabilities are scaled (temperature {spec.calibration.temperature:.2f}) and shifted from the class "
        "shares of training to those of the population that answers are for:",
        "",
        "| | " + " | ".join(str(label).replace("_", " ") for label in LABELS) + " |",
        "|---|" + "---|" * len(LABELS),
        "| in training | " + " | ".join(f"{spec.prevalence[str(k)]:.3f}" for k in LABELS) + " |",
        "| assumed in answers | " + " | ".join(f"{spec.assumed_prevalence[str(k)]:.3f}" for k in LABELS) + " |",
        "",
        f"Osteoporosis: yes from p = {spec.threshold:.3f} on. {spec.threshold_rule}",
        "",
        f"Prediction sets: {spec.conformal.method}; aimed at {spec.conformal.coverage:.0%} coverage.",
        "",
    ]
    for start in spec.starting_weights:
        lines += [f"Starting weights of {start.member}: {start.origin}.", ""]
    return "\n".join(lines + _numbers(evaluation) + _details(extra) + _limits(spec)) + "\n"


def _numbers(evaluation: dict[str, Any]) -> list[str]:
    interval = evaluation["interval"]
    models = evaluation["models"]
    lines = [
        "## Numbers",
        "",
        f"On the test part: {evaluation['n']} scans of {evaluation['patients']} patients "
        f"({', '.join(f'{k} {v}' for k, v in evaluation['class_counts'].items())}). {evaluation['protocol']}. "
        f"In brackets: {interval['level']:.0%} interval, {interval['method']}.",
        "",
        "| | " + " | ".join(models) + " |",
        "|---|" + "---|" * len(models),
    ]
    for key in SHOWN:
        cells = [_figure(model["figures"][key]) for model in models.values()]
        lines.append(f"| {evaluation['what'][key].split(':')[0]} | " + " | ".join(cells) + " |")
    baselines = [
        f"{name} AUC {_figure(model['figures']['auc'])}"
        for name, model in evaluation["baselines"].items()
        if "auc" in model["figures"]
    ]
    return [*lines, "", f"Trivial baselines on the same scans: {'; '.join(baselines)}.", ""]


def _figure(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    interval = figure["interval"]
    brackets = "" if interval is None else f" [{interval['low']:.3f}, {interval['high']:.3f}]"
    return f"{figure['value']:.3f}{brackets}"


def _details(extra: dict[str, Any]) -> list[str]:
    lines = ["## Details"]
    lines.append(f"Scans: {', '.join(f'{k} {v}' for k, v in extra['scans'].items())}.")
    refused = extra["refused"]
    lines.append(
        f"Left out, as an assessment would refuse them: {', '.join(f'{k} {v}' for k, v in refused.items()) or 'none'}."
    )
    for name, moved in extra["drift"].items():
        lines.append(
            f"{name} is stored as {moved['precision']}: against its float network, largest |Δp| "
            f"{moved['max_abs_dp']:.4f}, mean {moved['mean_abs_dp']:.4f}, {moved['flips']} of {moved['n']} flipped."
        )
    sets = extra["prediction_sets"]
    lines.append(
        f"Prediction sets on the test part, in the assumed class mix: coverage {sets['coverage_assumed_mix']:.3f}, "
        f"abstained {sets['abstained_assumed_mix']:.3f}, mean size {sets['mean_size_assumed_mix']:.2f}."
    )
    return [line for item in lines for line in (item, "")]


def _limits(spec: BundleSpec) -> list[str]:
    return [
        "## Limits",
        "",
        "- For research. Not a diagnosis, not a medical device, not validated on patients.",
        "- The numbers above hold for scans like those it was trained and tested on: "
        f"{spec.trained_on}. They say nothing yet about other scanners, software or populations.",
        "- WHO categories are meant for postmenopausal women and men from 50.",
        "- Degeneration, fractures, metal and contrast agent can hide bone loss in the lumbar spine.",
    ]
