"""The parts of `docs/results.md` below its first table, each from the files of one command; empty if it was not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.results.page import below, table
from benchmarks.results.sources import CLAIMS, LOOK, STUDY, TUNE, VIRTUAL, Found
from spinecare.study.summary import Summary, shown

STUDY_COLUMNS = {
    "AUC": "auc",
    "against normal": "auc_normal_vs_osteoporosis",
    "affected/normal": "auc_normal_vs_affected",
    "three classes": "accuracy_likeliest",
    "category": "accuracy_three_classes",
    "sensitivity": "recall",
    "specificity": "specificity",
    "precision": "precision",
    "F1": "f1",
    "Brier": "brier",
    "slope": "calibration_slope",
}
BUNDLE_KEYS = ("auc", "auc_normal_vs_osteoporosis", "auc_normal_vs_affected", "recall", "specificity",
               "accuracy_three_classes", "brier", "calibration_slope")  # fmt: skip
COMPARED = {"AUC": "auc", "against normal": "auc_normal_vs_osteoporosis", "three classes": "accuracy_likeliest"}


def sections(found: Found) -> dict[str, str]:
    """Title → Markdown, in the order of the page."""
    return {
        "The study": "" if found.study is None else _study(found.study, found.decisions),
        "Claims": _page(found, "claims", CLAIMS),
        "Leakage audit": _page(found, "audit", f"{STUDY} --audit"),
        "Ablations and learning curve": _page(found, "ablations", f"{STUDY} --ablate NAMES"),
        "Tuning": "" if found.tuning is None else _tuning(found.tuning),
        "Bounds": _page(found, "bounds", "python -m benchmarks.bounds COHORT/manifest.csv --out RUN"),
        "The default bundle on the real scans": _bundle(found.look, LOOK),
        "The default bundle on virtual test people": _bundle(found.virtual, VIRTUAL),
    }


def _study(study: Summary, decisions: Mapping[str, Any] | None) -> str:
    m = study.metrics
    counts = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in m["class_counts"].items())
    parts = [
        f"`{STUDY}`. {m['n']} scans of {m['patients']} groups ({counts}). {m['protocol']}. "
        f"{m['interval']['level']:.0%} intervals: {m['interval']['method']}.",
        table(
            ["model", "", *STUDY_COLUMNS],
            [
                [f"**{name}**" if name == study.headline else name, role]
                + [shown(study.figure(name, key)) for key in STUDY_COLUMNS.values()]
                for name, role in study.roles.items()
            ],
        ),
        f"### {study.headline} minus each model, paired",
        "Bootstrap and DeLong take the models as trained; the widened interval adds what training on other scans would "
        "change (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366). Where only the narrower one leaves out 0, no "
        "difference is shown.",
        table(
            ["model", *COMPARED, "AUC, widened", "DeLong p, AUC", "after Holm"],
            [
                [
                    name,
                    *(shown(study.difference(name, key), signed=True) for key in COMPARED.values()),
                    shown(study.wider(name, "auc"), signed=True),
                    *(_p(study.test(name, "auc"), key) for key in ("p", "holm")),
                ]
                for name in m["headline_minus_model"]
            ],
        ),
    ]
    if decisions is not None:
        keys = {"classified": "classified", "PPV": "precision", "NPV": "npv"}
        sets = {"coverage of sets": "coverage", "size of sets": "size"}
        rows = [
            [name, *(shown(told[key]) for key in keys.values())]
            + [shown(decisions["sets"][name][key]) for key in sets.values()]
            for name, told in decisions["told"].items()
        ]
        parts += ['### "Can\'t say", and prediction sets', table(["model", *keys, *sets], rows)]
    if time := m.get("time"):
        rows = [[name, f"{time['fit_seconds'][name]:.3g}", f"{time['predict_ms'][name]:.3g}"] for name in study.roles]
        parts += [
            "### Time",
            f"{time['seconds'] / 60:.1f} minutes of one thread in all folds; the largest process held "
            f"{time['peak_mb']:,.0f} MB.",
            table(["model", "seconds a fit, mean", "milliseconds a scan"], rows),
        ]
    return "\n\n".join([*parts, *(f"- {note}" for note in m["notes"])])


def _page(found: Found, part: str, command: str) -> str:
    """The page that a command wrote; where it wrote none, its values as lists."""
    pages = found.pages or {}
    if part in pages:
        return f"`{command}`\n\n{below(pages[part])}"
    values = getattr(found, part)
    return "" if values is None else f"`{command}`\n\n{_list(values)}"


def _tuning(told: Mapping[str, Any]) -> str:
    first = (
        f"`{TUNE}`. {told['objective']} of {told['headline']}, out of fold, {told['n']} scans: {told['value']:.4f} "
        f"for the best of {told['finished'] + told['pruned']} trials ({told['pruned']} of them given up early, "
        f"{told['lost']} lost), seed {told['seed']}. {told['warning']}"
    )
    return f"{first}\n\n{table(['option', 'found'], [[name, str(value)] for name, value in told['options'].items()])}"


def _bundle(report: Mapping[str, Any] | None, command: str) -> str:
    if report is None:
        return ""
    models = {**report["models"], **report["baselines"]}
    rows = [
        [report["what"][key], *(shown(model["figures"].get(key)) for model in models.values())] for key in BUNDLE_KEYS
    ]
    first = (
        f"`{command}`. {report['n']} scans of {report['patients']} people or groups. {report['protocol']}. Trained on: "
        f"{report['trained_on']}. {report['interval']['level']:.0%} intervals: {report['interval']['method']}."
    )
    return f"{first}\n\n{table(['', *models], rows)}"


def _list(values: Any, depth: int = 0) -> str:
    """JSON values as nested lists; a figure as value and interval."""
    pad = "  " * depth
    if isinstance(values, Mapping):
        lines = []
        for key, value in values.items():
            if _is_figure(value):
                lines.append(f"{pad}- {key}: {shown(value)} (n = {value.get('n', '–')})")
            elif isinstance(value, Mapping | list) and value:
                lines += [f"{pad}- {key}:", _list(value, depth + 1)]
            else:
                lines.append(f"{pad}- {key}: {_plain(value)}")
        return "\n".join(lines)
    if all(not isinstance(value, Mapping | list) for value in values):
        return f"{pad}- {', '.join(_plain(value) for value in values)}"
    nested = (Mapping, list)
    return "\n".join(_list(value, depth) if isinstance(value, nested) else f"{pad}- {value}" for value in values)


def _is_figure(value: Any) -> bool:
    return isinstance(value, Mapping) and {"value", "interval"} <= set(value)


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _p(test: Mapping[str, Any] | None, key: str) -> str:
    if test is None or test[key] is None:
        return "–"
    return "< 0.001" if test[key] < 0.001 else f"{test[key]:.3f}"
