"""The report of a finished study: one HTML page that stands alone, a model card and a TRIPOD+AI checklist.

    spinecare study MANIFEST --out RUN         # ends with this
    write_study_report(RUN)                    # made anew from what the study kept

Reads `config.json`, `metrics.json` and the answers in the run's folder (and `bounds.json`, `about.json` where they
lie there); writes `report.html`, `figures/*.svg`, `decisions.json`, `card.md` and `tripod.md`. Nothing is fitted here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from spinecare import __version__
from spinecare.evaluate.decision import CONFORMAL, COVERAGE
from spinecare.scan import LABELS
from spinecare.study import sections as words
from spinecare.study.bounds_table import bound_lines, bounds_picture, bounds_table, read_bounds
from spinecare.study.card import card
from spinecare.study.decisions import DECISIONS_FILE, decisions
from spinecare.study.drawings import Drawn, drawings
from spinecare.study.extras import ablations_section, audit_section
from spinecare.study.looks import looks_line, looks_table
from spinecare.study.summary import Summary, read_summary
from spinecare.study.tripod import checklist, read_about, tripod_markdown

if TYPE_CHECKING:
    pass

REPORT_FILE, CARD_FILE, TRIPOD_FILE = "report.html", "card.md", "tripod.md"
SECTIONS = {
    "short": "In short",
    "purpose": "What for",
    "data": "Scans",
    "protocol": "Protocol",
    "models": "Models",
    "answers": "Yes or no",
    "more": "Other questions",
    "compare": "Compared",
    "bounds": "Bounds",
    "calibration": "Calibration",
    "decisions": "Net benefit",
    "told": "Can't say, and sets",
    "confusion": "Confusion",
    "subgroups": "Subgroups",
    "audit": "Leakage audit",
    "ablations": "Ablations",
    "time": "Seconds and memory",
    "looks": "Looks before",
    "limits": "What this cannot show",
    "notes": "Reading notes",
}
MAIN_COLUMNS = {
    "auc": "AUC",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
    "precision": "Precision",
    "npv": "NPV",
    "f1": "F1",
    "accuracy": "Accuracy",
    "brier": "Brier",
}
MORE_COLUMNS = {
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis against normal",
    "auc_normal_vs_affected": "AUC, affected against normal",
    "auc_macro": "AUC, macro one against rest",
    "accuracy_three_classes": "Accuracy, three classes",
    "accuracy_likeliest": "Accuracy, likeliest class",
}
CALIBRATION_COLUMNS = {
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration in the large",
    "brier_osteoporosis": "Brier, osteoporosis",
}
COMPARED_COLUMNS = {
    "auc": "AUC",
    "auc_normal_vs_osteoporosis": "AUC, osteoporosis against normal",
    "auc_normal_vs_affected": "AUC, affected against normal",
    "accuracy_three_classes": "Accuracy, three classes",
    "accuracy_likeliest": "Accuracy, likeliest class",
    "brier": "Brier",
}
SUBGROUP_COLUMNS = {"auc": "AUC", "recall": "Recall", "specificity": "Specificity", "calibration_slope": "Slope"}


def write_study_report(run: Path, bounds: Path | None = None, looks: Path | None = None) -> Path:
    """Write the report, the card and the checklist of a finished study into its folder.

    Parameters
    ----------
    run
        The study's folder.
    bounds
        `bounds.json` of `study.bounds`; None: the one in the run's folder, if any.
    looks
        The page that counts looks at real labels; None: the checkout's own, for the scans that it is about.

    Returns
    -------
    The path of `report.html`.

    Raises
    ------
    EvaluationError
        When the folder holds no finished study.
    """
    from spinecare.study.store import read_answers

    run = Path(run)
    study, answers = read_summary(run), read_answers(run)
    limits_told = read_bounds(bounds or run / "bounds.json")
    decided = decisions(study, answers)
    _write(run / DECISIONS_FILE, json.dumps(decided, indent=1, allow_nan=False) + "\n")
    drawn = drawings(study, answers, bound_lines(limits_told))
    if (more := bounds_picture(limits_told)) is not None:
        drawn["bounds"] = [more]
    _draw(run / "figures", drawn)
    data, protocol = words.data(study, answers), words.protocol(study)
    limits = words.limits(study, answers, decided)
    _write(run / CARD_FILE, card(study, data, protocol, limits))
    lines = checklist(words.facts(answers, decided), read_about(run))
    _write(run / TRIPOD_FILE, tripod_markdown(lines, f"study {study.name}"))
    seen = looks_table(answers, looks)
    extras = {"audit": audit_section(run), "ablations": ablations_section(run, study.headline)}
    roles = list(study.roles.values())
    page = _environment().get_template("report.html").render(
        title=f"Telling osteoporosis from spine DXA pictures: the study {study.name}",
        study=study,
        metrics=study.metrics,
        level=f"{study.metrics['interval']['level']:.0%}",
        counted={f"{role}s": roles.count(role) for role in ("member", "combiner", "baseline")},
        by_role=_by_role(study),
        sections={id: name for id, name in SECTIONS.items() if extras.get(id, True)},
        extras=extras,
        keys=words.keys(study),
        short=words.short(study, limits_told),
        data=data,
        data_tables=words.data_tables(answers),
        protocol=protocol,
        models_table=words.models_table(study, answers),
        main_columns=MAIN_COLUMNS,
        more_columns=MORE_COLUMNS,
        calibration_columns=CALIBRATION_COLUMNS,
        compared_columns=COMPARED_COLUMNS,
        compared=list(study.metrics["headline_minus_model"]),
        calibration=study.config.get("calibration", "not said how"),
        bounds_table=bounds_table(limits_told),
        told_line=_told_line(study),
        told_tables=_told_tables(study, decided),
        subgroups=decided["subgroups"],
        subgroup_tables=_subgroup_tables(decided["subgroups"]),
        time_line=words.time_line(answers),
        time_table=words.time_table(study, answers),
        looks=seen,
        looks_line=looks_line(answers, seen),
        limits=limits,
        notes=_notes(study),
        drawn=drawn,
        version=__version__,
    )  # fmt: skip
    _write(run / REPORT_FILE, page)
    return run / REPORT_FILE


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("spinecare.study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"value": _value, "bounds": _interval, "p": _p, "wide": _wide}
    return environment


def _value(figure: Mapping[str, Any] | None, signed: bool = False) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    return f"{figure['value']:+.3f}" if signed else f"{figure['value']:.3f}"


def _interval(figure: Mapping[str, Any] | None, signed: bool = False) -> str:
    if figure is None or figure["interval"] is None:
        return ""
    sign = "+" if signed else ""
    return f"{figure['interval']['low']:{sign}.3f} to {figure['interval']['high']:{sign}.3f}"


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _wide(svg: str) -> bool:
    """Whether a picture is a good deal wider than high."""
    box = svg.split('viewBox="', 1)[1].split('"', 1)[0].split()
    return float(box[2]) > 1.6 * float(box[3])


def _by_role(study: Summary) -> dict[str, list[str]]:
    """Names under the heading of their role, the ways of joining first."""
    titles = {"combiner": "Joined", "member": "Members", "baseline": "Trivial baselines"}
    found = {title: [n for n, its in study.roles.items() if its == role] for role, title in titles.items()}
    return {title: names for title, names in found.items() if names}


def _told_line(study: Summary) -> str:
    targets = study.config.get("targets", {})
    ppv, npv = targets.get("ppv", "–"), targets.get("npv", "–")
    return (
        f"Yes is said from the threshold on that kept a PPV of {ppv} on inner answers, no below the one that kept "
        f"an NPV of {npv}, and can't say between; a threshold that cannot be kept is not used. Whether the targets "
        f"hold on unseen scans stands here. Sets are built to hold the true class in {targets.get('coverage', '–')} "
        "of scans."
    )


def _told_tables(study: Summary, decided: Mapping[str, Any]) -> list[words.Table]:
    names = {key: meaning.split(":")[0] for key, meaning in {**COVERAGE, **CONFORMAL}.items()}
    sets = ("coverage", *(f"coverage_{label}" for label in LABELS), "size", "single", "empty")
    tables = []
    for title, part, keys in (
        ("Yes, no, can't say", "told", ("classified", "precision", "npv", "found", "missed", "false_alarm")),
        ("Prediction sets", "sets", sets),
    ):
        rows = [[name, *(figures[key] for key in keys)] for name, figures in decided[part].items()]
        titles = ["Model", *(_short(names[key]) for key in keys)]
        tables.append(words.Table(title, titles, rows, headline=study.headline))
    return tables


def _short(meaning: str) -> str:
    return meaning[:1].upper() + meaning[1:]


def _subgroup_tables(subgroups: Mapping[str, Any]) -> list[words.Table]:
    tables = []
    for column in dict.fromkeys(row["column"] for row in subgroups["rows"]):
        rows = [
            [
                row["value"],
                f"{row['n']} / {row['patients']}",
                row["class_counts"]["osteoporosis"],
                *(row["figures"][key] for key in SUBGROUP_COLUMNS),
            ]
            for row in subgroups["rows"]
            if row["column"] == column
        ]
        titles = [column, "Scans / people", "With osteoporosis", *SUBGROUP_COLUMNS.values()]
        tables.append(words.Table(f"By {column}", titles, rows))
    return tables


def _notes(study: Summary) -> list[str]:
    remarks: dict[str, list[str]] = {}
    for name, model in study.metrics["models"].items():
        for key, figure in model["figures"].items():
            if figure["note"]:
                remarks.setdefault(f"{name}: {figure['note']}", []).append(key.replace("_", " "))
    return [*study.metrics["notes"], *(f"{reason} ({', '.join(keys)})" for reason, keys in remarks.items())]


def _draw(folder: Path, drawn: Drawn) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for section, pictures in drawn.items():
        for number, (svg, _) in enumerate(pictures, 1):
            _write(folder / f"{section}_{number}.svg", str(svg))


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
