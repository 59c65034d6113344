"""The words and tables of a study's report, put together from what the study wrote; every number comes from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare.scan import LABELS
from spinecare.study.summary import Summary, shown

if TYPE_CHECKING:
    from spinecare.study.store import StudyAnswers

KEYS = {
    "AUC, osteoporosis against the rest": "auc",
    "AUC, osteoporosis against normal": "auc_normal_vs_osteoporosis",
    "AUC, affected against normal": "auc_normal_vs_affected",
    "Accuracy, three classes": "accuracy_three_classes",
    "Calibration slope": "calibration_slope",
}
UNKNOWN = {"", "nan", "None", "<NA>"}
# Columns that tell of people, by the fact that `tripod` asks about.
FACTS = {"ages": "age_years", "sexes": "sex", "dates": "acquired", "devices": "device"}


@dataclass(frozen=True)
class Table:
    """Column titles, and rows whose cells are texts or figures (as `evaluate.study_json`).

    `wordy`: cells read from the left; `headline`: the row that begins with this stands out; `signed`: figures are
    differences.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    wordy: bool = False
    headline: str = ""
    signed: bool = False


def known(answers: StudyAnswers, column: str) -> list[str]:
    """A manifest column's values, without unknown ones."""
    values = answers.rows[column].astype(str).str.strip() if column in answers.rows else ()
    return [value for value in values if value not in UNKNOWN]


def virtual(answers: StudyAnswers) -> bool:
    """Whether every scan is of a virtual patient."""
    devices = known(answers, FACTS["devices"])
    return len(devices) == len(answers.labels) and all(device.startswith("virtual") for device in devices)


def facts(answers: StudyAnswers, decided: Mapping[str, Any]) -> set[str]:
    """What the data have of what TRIPOD+AI asks about: see `tripod.checklist`."""
    found = {name for name, column in FACTS.items() if known(answers, column)}
    if len(set(known(answers, FACTS["devices"]))) < 2:
        found -= {"devices"}
    people = {row["column"] for row in decided["subgroups"]["rows"]} & {"sex", "age"}
    return found | ({"subgroups"} if people else set())


def keys(study: Summary) -> dict[str, dict[str, Any]]:
    """The headline's few figures that a reader looks for first."""
    return {what: study.figure(study.headline, key) for what, key in KEYS.items()}


def short(study: Summary, bounds: Mapping[str, Any] | None) -> dict[str, str]:
    """The study in five lines, as an abstract has them."""
    m, headline = study.metrics, study.headline
    lines = {
        "Aim": "To tell osteoporosis from the picture of a lumbar spine DXA scan alone, and to measure how well "
        "that goes.",
        "Data": f"{m['n']} scans of {m['patients']} patients or scan groups: {_counts(m['class_counts'])}.",
        "Method": f"{m['protocol']}.",
    }
    said = f"{headline}: AUC {shown(study.figure(headline, 'auc'))}."
    for what, names in (("best member", study.having("member")), ("best trivial baseline", study.having("baseline"))):
        name = study.best(names)
        if name is not None:
            said += (
                f" The {what} is {name} with {shown(study.figure(name, 'auc'))}; {headline} minus {name}, paired: "
                f"{shown(study.difference(name, 'auc'), signed=True)}."
            )
    lines["Result"] = said
    lines["Limits"] = (
        "Internal evaluation only"
        + ("" if bounds else "; no bounds beside it")
        + "; what else limits it stands under 'What this cannot show'."
    )
    return lines


def data(study: Summary, answers: StudyAnswers) -> dict[str, str]:
    """What is known of the scans."""
    m = study.metrics
    found = {
        "Scans": f"{m['n']}: {_counts(m['class_counts'])}",
        "Patients or groups": f"{m['patients']}, the unit of every cut and every interval",
        "Outcome": "the manifest's class: normal, low bone mass or osteoporosis; positive is osteoporosis",
    }
    if virtual(answers):
        found["People"] = (
            "virtual patients: how they are made and how far they can be trusted stands in docs/phantom.md"
        )
    devices = known(answers, FACTS["devices"])
    if devices:
        found["Devices"] = _counts({name: devices.count(name) for name in sorted(set(devices))})
    dates = known(answers, FACTS["dates"])
    found["Dates"] = f"{min(dates)} to {max(dates)} ({len(dates)} scans)" if dates else "not in the manifest"
    unknown = [what for what in ("ages", "sexes") if not known(answers, FACTS[what])]
    if unknown:
        found["Not in the manifest"] = " and ".join({"ages": "age", "sexes": "sex"}[one] for one in unknown)
    if answers.notes:
        found["Left out, and how cut"] = " ".join(answers.notes)
    return found


def data_tables(answers: StudyAnswers) -> list[Table]:
    """Age and sex by class, where the manifest has them."""
    import pandas as pd

    rows = []
    for number, label in enumerate(LABELS):
        part = answers.rows[answers.labels == number]
        row = [str(label).replace("_", " "), str(len(part))]
        if known(answers, FACTS["ages"]):
            ages = pd.to_numeric(part["age_years"], errors="coerce").dropna()
            row.append(f"{ages.mean():.1f} ({ages.std():.1f}), n = {len(ages)}" if len(ages) > 1 else "–")
        if known(answers, FACTS["sexes"]):
            sexes = part["sex"].astype(str)
            row.append(f"{int((sexes == 'F').sum())} / {int((sexes == 'M').sum())}")
        rows.append(row)
    titles = ["Class", "Scans"]
    titles += ["Age, years: mean (SD)"] * bool(known(answers, FACTS["ages"]))
    titles += ["Women / men"] * bool(known(answers, FACTS["sexes"]))
    return [Table("By class", titles, rows)] if len(titles) > 2 else []


def protocol(study: Summary) -> dict[str, str]:
    """How the figures came about."""
    c, m = study.config, study.metrics
    augment, targets = c.get("augment", {}), c.get("targets", {})
    varied = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in augment.items() if value)
    return {
        "Cuts": f"{m['protocol']}.",
        "Fitted inside training parts": "everything that is fitted: scaling, PCA, selection, members, what joins them, "
        "calibration, thresholds. What joins members learns from answers to scans that they had not seen.",
        "Preparation": "drawings taken off, L1-L4 found, lumbar box cropped, lightly denoised, normalised: the same "
        "for every scan, and nothing of it is fitted on them.",
        "Augmentation": f"of training scans alone, {c.get('copies', 0)} copies each: {varied or 'none'}.",
        "Class imbalance": "folds keep the shares of the classes; no class is drawn more often than it comes.",
        "Decisions": "yes from a threshold for sensitivity "
        f"{targets.get('sensitivity', '–')}; yes or no only where PPV {targets.get('ppv', '–')} and NPV "
        f"{targets.get('npv', '–')} are kept, else can't say; sets that hold the true class in "
        f"{targets.get('coverage', '–')} of scans. All learnt on inner answers.",
        "Intervals": f"{m['interval']['level']:.0%}, {m['interval']['method']} (seed {m['interval']['seed']}). They "
        "are for other scans of this kind judged by models trained like these, not for other scanners or people.",
        "Choices": "a recipe chosen by the figures of this page would make them too good. The package's own recipe "
        "was decided before it was scored; why stands in docs/decisions.",
    }


def models_table(study: Summary, answers: StudyAnswers) -> Table:
    """Every model as the study was told."""
    options: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for one in [*study.config.get("members", ()), *study.config.get("combine", ())]:
        told = [f"{key} {_plain(value)}" for key, value in one["options"].items()]
        if one.get("members"):
            told.insert(0, f"joins {_plain(one['members'])}")
        options[one["name"]], kinds[one["name"]] = "; ".join(told) or "as they come", one["kind"]
    rows = [
        [name, role, kinds.get(name, "–"), answers.about.get(name, "") or "–", options.get(name, "–")]
        for name, role in study.roles.items()
    ]
    titles = ["Model", "Role", "Kind", "What it is", "Options"]
    return Table("Models", titles, rows, wordy=True, headline=study.headline)


def time_table(study: Summary, answers: StudyAnswers) -> Table:
    """Seconds and milliseconds of each model."""
    rows = []
    for name in study.roles:
        seconds = np.asarray(answers.fit_seconds.get(name, ()), dtype=float)
        fits = [f"{len(seconds)}", f"{np.median(seconds):.3g}", f"{seconds.max():.3g}", f"{seconds.sum():.3g}"]
        ms = answers.predict_ms.get(name)
        rows.append([name, *(fits if len(seconds) else ["–"] * 4), "–" if ms is None else f"{ms:.3g}"])
    return Table(
        "Time",
        ["Model", "Fits", "Seconds a fit, median", "Longest fit, s", "All fits, s", "Milliseconds a scan"],
        rows,
    )


def time_line(answers: StudyAnswers) -> str:
    """Seconds and memory of the whole study, in a sentence."""
    if not answers.seconds:
        return "The study did not record its time."
    return (
        f"All folds together took {answers.seconds / 60:.1f} minutes of one thread; the largest process held "
        f"{answers.peak_mb:,.0f} MB. Fits are inner and outer ones; views (features of frozen networks and "
        "formulas) are made once, before, and count in the milliseconds a scan."
    )


def limits(study: Summary, answers: StudyAnswers, decided: Mapping[str, Any]) -> list[str]:
    """What this study cannot show, as far as the study itself knows."""
    m = study.metrics
    found = [
        f"{m['n']} scans of {m['patients']} people or groups: a difference whose interval holds 0 has not been "
        "shown, in either direction.",
        "Training and test scans come from one manifest. Nothing here says how the models do on other scanners, export "
        "software, hospitals or people.",
        "Intervals resample people, not trainings on other people; training parts overlap, so repeats are alike.",
    ]
    if virtual(answers):
        found.append("All scans are of virtual patients. What holds for a simulator need not hold for people.")
    else:
        found += [
            "A picture is not the densitometer's map: another window or scaling of the export would change the "
            "answers.",
            "The class is the manifest's. Its own error limits every figure, and is not known here.",
        ]
    found.append("No patient or clinician took part in planning, doing or reading this study.")
    if decided["subgroups"]["why"]:
        found.append(decided["subgroups"]["why"])
    if decided["subgroups"]["left_out"]:
        found.append(f"Not in the subgroups: {' '.join(decided['subgroups']['left_out'])}")
    if not known(answers, FACTS["ages"]):
        found.append("WHO's classes are for women after menopause and men from 50; ages here are unknown.")
    found.append(
        "Next: scans of another centre with dates, devices, ages, sexes and T-scores, judged once by a model fixed "
        "beforehand; then readers with and without it."
    )
    return found


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {str(label).replace('_', ' ')}" for label, count in counts.items())


def _plain(value: Any) -> str:
    return " + ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)
