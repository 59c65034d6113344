"""What a study's decisions are worth, as plain JSON values: "can't say", prediction sets, subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spinecare.evaluate.decision import CONFORMAL, COVERAGE, conformal_table, coverage_table
from spinecare.evaluate.predictions import Figure
from spinecare.evaluate.study_json import figure_json
from spinecare.evaluate.subgroups import evaluate_subgroups, subgroup_columns
from spinecare.study.summary import Summary

if TYPE_CHECKING:
    from spinecare.study.store import StudyAnswers

DECISIONS_FILE = "decisions.json"
SCHEMA = "spinecare.decisions/1"


def decisions(study: Summary, answers: StudyAnswers) -> dict[str, Any]:
    """What the study's models told under their targets, their prediction sets, and the headline's figures by subgroup.

    Parameters
    ----------
    study
        The finished study; its intervals' settings are used again.
    answers
        What each model said and decided.

    Returns
    -------
    `told` and `sets`: model → figure of `COVERAGE` and `CONFORMAL`; `subgroups`: rows, what was left out, and why there
    are none.
    """
    interval = study.metrics["interval"]
    drawn = {"n_boot": interval["n_boot"], "seed": interval["seed"], "level": interval["level"]}
    labels, groups, headline = answers.labels, answers.groups, study.headline
    # A baseline's decisions say nothing that its AUC does not.
    models = [name for name, role in study.roles.items() if role != "baseline"]

    def as_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
        return {key: figure_json(figure, study.metrics["protocol"]) for key, figure in figures.items()}

    found = evaluate_subgroups(
        labels,
        groups,
        subgroup_columns(answers.rows),
        {headline: answers.p[headline]},
        {headline: answers.category[headline]},
        {headline: answers.yes[headline]},
        **drawn,
    )
    return {
        "schema": SCHEMA,
        "protocol": study.metrics["protocol"],
        "what": {**COVERAGE, **CONFORMAL},
        "told": {name: as_json(coverage_table(answers.told[name], labels, groups, **drawn)) for name in models},
        "sets": {name: as_json(conformal_table(answers.inside[name], labels, groups, **drawn)) for name in models},
        "subgroups": {
            "rows": [
                {
                    "column": one.column,
                    "value": one.value,
                    "n": one.n,
                    "patients": one.patients,
                    "class_counts": one.class_counts,
                    "figures": as_json(one.figures),
                }
                for one in found.rows
            ],
            "left_out": list(found.left_out),
            "why": found.why,
        },
    }
