"""The report of an evaluation: numbers as JSON, figures as SVG, and one HTML page that stands alone.

    evaluation = evaluate_predictions(
        y_true,                     # (n,) ints in LABELS order: 0 normal, 1 low bone mass, 2 osteoporosis
        groups,                     # (n,) patient (or scan group) of each row: the unit that is resampled
        {"cnn": p, ..., "stack": p},  # (n, 3) probabilities of each member and of the stack, in LABELS order
        decisions=0.31,             # osteoporosis "yes" from this p(osteoporosis) on; or {name: threshold}
        n_boot=2000, seed=0,
        prevalence=None,            # (3,) class shares of the training part, for the trivial baseline
        baselines=None,             # {"mean brightness": (n,) score or (n, 3) probabilities}
    )
    page = write_report(
        evaluation, out, title="...", protocol="one hold-out split by patient, 70/10/20, seed 0",
        trained_on="virtual patients only (n=..., seed=...)", notes=("...",),
    )

`write_report` makes `out/metrics.json`, `out/figures/*.svg` and `out/report.html`, returns the page's path.
Writing a report needs matplotlib (extra `train`); evaluating does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spinecare.evaluate.predictions import FIGURES, Evaluation, Figure, ModelEvaluation, evaluate_predictions

__all__ = ["Evaluation", "evaluate_predictions", "to_json", "write_report"]

SCHEMA = "spinecare.evaluation/1"
MAIN_COLUMNS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
    "f1": "F1",
    "auc": "AUC",
    "brier": "Brier",
}
MORE_COLUMNS = {
    "npv": "NPV",
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis vs normal",
    "auc_normal_vs_affected": "AUC, affected vs normal",
    "auc_macro": "AUC, macro one-vs-rest",
    "accuracy_three_classes": "Accuracy, three classes",
    "accuracy_likeliest": "Accuracy, likeliest class",
    "brier_osteoporosis": "Brier, osteoporosis",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration in the large",
}
COMPARED_COLUMNS = {"auc": "AUC", "auc_macro": "AUC, macro", "brier": "Brier", "accuracy": "Accuracy"}


def to_json(evaluation: Evaluation, protocol: str, trained_on: str) -> dict[str, Any]:
    """An evaluation as plain JSON values: every figure with n, interval and protocol; nan becomes null."""

    def one(figure: Figure) -> dict[str, Any]:
        low, high = _number(figure.low), _number(figure.high)
        return {
            "value": _number(figure.value),
            "interval": None if low is None or high is None else {"low": low, "high": high},
            "n": figure.n,
            "patients": figure.patients,
            "protocol": protocol,
            "note": figure.note,
        }

    def model(m: ModelEvaluation) -> dict[str, Any]:
        return {
            "threshold": _number(m.threshold),
            "figures": {name: one(figure) for name, figure in m.figures.items()},
            "confusion": None if m.confusion is None else m.confusion.tolist(),
            "answers": None if m.answers is None else m.answers.tolist(),
        }

    return {
        "schema": SCHEMA,
        "protocol": protocol,
        "trained_on": trained_on,
        "n": evaluation.n,
        "patients": evaluation.patients,
        "class_counts": evaluation.class_counts,
        "interval": {
            "level": evaluation.level,
            "method": _method(evaluation),
            "n_boot": evaluation.n_boot,
            "seed": evaluation.seed,
        },
        "what": FIGURES,
        "models": {name: model(m) for name, m in evaluation.models.items()},
        "baselines": {name: model(m) for name, m in evaluation.baselines.items()},
        "stack_minus_member": {
            name: {key: one(figure) for key, figure in figures.items()}
            for name, figures in evaluation.differences.items()
        },
        "notes": list(evaluation.notes),
    }


def write_report(
    evaluation: Evaluation,
    out: Path,
    title: str,
    protocol: str,
    trained_on: str,
    notes: Iterable[str] = (),
) -> Path:
    """Write `metrics.json`, `figures/*.svg` and the self-contained `report.html` into `out`.

    Parameters
    ----------
    evaluation
        From `evaluate_predictions`.
    out
        A folder, made when absent; files of an earlier report there are overwritten.
    protocol
        One sentence: how what was evaluated is separate from what was trained on.
    trained_on
        One sentence: what the models learned from. It stands at the top of the page.
    notes
        Further sentences for the page.

    Returns
    -------
    The path of `report.html`.
    """
    from spinecare.evaluate.figures import figures_of

    out = Path(out)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(to_json(evaluation, protocol, trained_on), indent=1, allow_nan=False)
    (out / "metrics.json").write_text(numbers + "\n", encoding="utf-8")
    pictures = figures_of(evaluation)
    for name, svg in pictures.items():
        (out / "figures" / f"{name}.svg").write_text(svg, encoding="utf-8")

    everyone = [*evaluation.models.values(), *evaluation.baselines.values()]
    environment = Environment(
        loader=PackageLoader("spinecare.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    page = environment.get_template("report.html").render(
        title=title,
        protocol=protocol,
        trained_on=trained_on,
        evaluation=evaluation,
        method=_method(evaluation),
        notes=[*evaluation.notes, *notes],
        remarks=_remarks(everyone),
        what=FIGURES,
        main_columns=MAIN_COLUMNS,
        more_columns=MORE_COLUMNS,
        compared_columns=COMPARED_COLUMNS,
        pictures={name: Markup(svg) for name, svg in pictures.items()},
    )
    path = out / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def shown(value: float, signed: bool = False) -> str:
    """A number as the page shows it: three decimals, a dash when undefined."""
    if not math.isfinite(value):
        return "–"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def _number(value: float) -> float | None:
    """A number for JSON, null when undefined."""
    return float(value) if math.isfinite(value) else None


def _method(evaluation: Evaluation) -> str:
    """How the intervals were made, in words."""
    within = ", within classes" if evaluation.stratified else ""
    return f"percentile bootstrap over patients{within}, {evaluation.n_boot} resamples"


def _remarks(models: Iterable[ModelEvaluation]) -> list[str]:
    """What is undefined or odd, once for each reason."""
    collected: dict[str, list[str]] = {}
    for model in models:
        for key, figure in model.figures.items():
            if figure.note:
                collected.setdefault(f"{model.name}: {figure.note}", []).append(key.replace("_", " "))
    return [f"{reason} ({', '.join(keys)})" for reason, keys in collected.items()]
