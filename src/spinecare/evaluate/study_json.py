"""What a study found as plain JSON values: every figure with n, interval and protocol; nan becomes null."""

from __future__ import annotations

import math
from typing import Any

from spinecare.evaluate.compare import Tested
from spinecare.evaluate.predictions import FIGURES, Figure
from spinecare.evaluate.repeats import RepeatedEvaluation, method
from spinecare.evaluate.subgroups import Subgroups

SCHEMA = "spinecare.repeats/1"


def figure_json(figure: Figure, protocol: str) -> dict[str, Any]:
    """A figure as plain JSON values, with n, interval and protocol; nan becomes null."""
    low, high = number(figure.low), number(figure.high)
    return {
        "value": number(figure.value),
        "interval": None if low is None or high is None else {"low": low, "high": high},
        "n": figure.n,
        "patients": figure.patients,
        "protocol": protocol,
        "note": figure.note,
    }


def number(value: float) -> float | None:
    """A number for JSON, null when undefined."""
    return float(value) if math.isfinite(value) else None


def repeats_json(evaluation: RepeatedEvaluation, protocol: str) -> dict[str, Any]:
    """An evaluation as plain JSON values: every figure with n, interval and protocol."""

    def tested(t: Tested) -> dict[str, Any]:
        values = {"p": t.p, "least": t.least, "most": t.most, "holm": t.adjusted}
        return {"test": t.test} | {key: number(value) for key, value in values.items()}

    e = evaluation
    return {
        "schema": SCHEMA,
        "protocol": protocol,
        "n": e.n,
        "patients": e.patients,
        "repeats": e.repeats,
        "class_counts": e.class_counts,
        "interval": {"level": e.level, "method": method(e), "n_boot": e.n_boot, "seed": e.seed},
        "what": FIGURES,
        "headline": e.headline,
        "models": {
            name: {
                "figures": {key: figure_json(figure, protocol) for key, figure in model.figures.items()},
                "by_repeat": {key: [number(v) for v in values] for key, values in model.by_repeat.items()},
                "confusion": model.confusion.tolist(),
                "answers": model.answers.tolist(),
            }
            for name, model in e.models.items()
        },
        "headline_minus_model": {
            name: {
                "figures": {key: figure_json(figure, protocol) for key, figure in comparison.figures.items()},
                "wider": {key: figure_json(figure, protocol) for key, figure in comparison.wider.items()},
                "tests": {key: tested(t) for key, t in comparison.tests.items()},
            }
            for name, comparison in e.differences.items()
        },
        "notes": list(e.notes),
    }


def subgroups_json(subgroups: Subgroups, protocol: str) -> dict[str, Any]:
    """The subgroups as rows, what was left out, and why there are none when there are none."""
    rows = [
        {
            "column": row.column,
            "value": row.value,
            "model": row.model,
            "n": row.n,
            "patients": row.patients,
            "class_counts": row.class_counts,
            "figures": {key: figure_json(figure, protocol) for key, figure in row.figures.items()},
        }
        for row in subgroups.rows
    ]
    return {"rows": rows, "left_out": list(subgroups.left_out), "why": subgroups.why}
