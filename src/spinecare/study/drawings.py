"""The pictures of a study's report, from its answers and figures: section → (SVG, caption)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from spinecare.evaluate import study_figures as draw
from spinecare.evaluate.curves import mean_reliability, mean_roc
from spinecare.evaluate.decision import decision_curve, risk_coverage
from spinecare.evaluate.predictions import Figure
from spinecare.evaluate.repeats import RepeatedEvaluation, RepeatedModel
from spinecare.study.summary import Summary

if TYPE_CHECKING:
    from spinecare.study.store import StudyAnswers

# Lines that a picture can hold beside the headline and still be read.
BESIDE = 5
# Beyond these thresholds nobody would act, and the curve is a matter of two or three scans.
THRESHOLDS = np.arange(2, 81) / 100

Drawn = dict[str, list[tuple[Markup, str]]]


def figure_of(told: Mapping[str, Any]) -> Figure:
    """A figure of `metrics.json` as `evaluate` has it."""
    interval = told["interval"] or {"low": math.nan, "high": math.nan}
    value = math.nan if told["value"] is None else told["value"]
    return Figure(value, interval["low"], interval["high"], told["n"], told["patients"], told["note"])


def evaluation_of(study: Summary, answers: StudyAnswers) -> RepeatedEvaluation:
    """The study's evaluation with its curves, without drawing any interval again."""
    m, yes = study.metrics, answers.labels == 2
    models = {}
    for name, told in m["models"].items():
        p = answers.p[name][:, :, 2]
        models[name] = RepeatedModel(
            name=name,
            figures={key: figure_of(figure) for key, figure in told["figures"].items()},
            by_repeat={key: np.array(values, dtype=float) for key, values in told["by_repeat"].items()},
            confusion=np.array(told["confusion"]),
            answers=np.array(told["answers"]),
            roc=mean_roc(yes, p),
            reliability=mean_reliability(yes, p),
        )
    i = m["interval"]
    return RepeatedEvaluation(
        n=m["n"],
        patients=m["patients"],
        repeats=m["repeats"],
        class_counts=m["class_counts"],
        headline=study.headline,
        models=models,
        differences={},
        n_boot=i["n_boot"],
        seed=i["seed"],
        level=i["level"],
        stratified=False,
    )


def chosen(study: Summary) -> list[str]:
    """The headline, the best others by AUC, and the best trivial baseline: what fits into one picture."""
    others = [name for role in ("member", "combiner") for name in study.having(role)]
    others.sort(key=lambda name: -(study.figure(name, "auc")["value"] or 0))
    best = study.best(study.having("baseline"))
    return [study.headline, *others[: BESIDE - 1], *([best] if best else [])]


def drawings(study: Summary, answers: StudyAnswers, bounds: Mapping[str, float] | None = None) -> Drawn:
    """Every picture of the report.

    Parameters
    ----------
    bounds
        Name → AUC against the rest that nothing can pass, drawn as lines.
    """
    found = evaluation_of(study, answers)
    names, headline = chosen(study), study.headline
    level = f"{found.level:.0%}"
    aucs = {name: found.models[name].figures["auc"] for name in study.roles}
    order = [headline, *sorted((n for n in aucs if n != headline), key=lambda n: -_value(aucs[n]))]
    roc = draw.roc_svg(found, names)
    forest = draw.forest_svg({name: aucs[name] for name in order}, "auc", bounds, headline)
    also = [name for name in names[1:3] if name in study.having("member")]
    said = [name for name, role in study.roles.items() if role != "baseline"]
    drawn: Drawn = {
        "answers": [
            _picture(
                roc,
                "ROC, mean over repeats: the headline, the best others by AUC and the best trivial baseline. A dot "
                "is where the answer turns to yes.",
            ),
            _picture(
                forest, f"AUC of every model with its {level} interval{', the bounds as lines' if bounds else ''}."
            ),
        ],
        "compare": _differences(study, order[1:], level),
        "calibration": [
            _picture(
                draw.calibration_svg(found.models[name]),
                f"{name}: predicted against observed; below, the mean number of scans in each bin. The bars are 95 "
                "% Wilson intervals, a rough guide.",
            )
            for name in [headline, *also]
        ],
        "confusion": [
            _picture(draw.confusion_svg(found.models[name]), name)
            for name in sorted(said, key=lambda name: name != headline)
        ],
    }
    return drawn | _worth(study, answers, names, level)


def _differences(study: Summary, names: list[str], level: str) -> list[tuple[Markup, str]]:
    told = {name: study.difference(name, "auc") for name in names}
    rows = {name: figure_of(figure) for name, figure in told.items() if figure is not None}
    if not rows:
        return []
    what = f"AUC of {study.headline} minus AUC of the model"
    picture = draw.forest_svg(rows, what, reference=0, title="Paired differences of AUC")
    caption = f"{study.headline} minus each model, paired, {level} interval. Right of 0: the headline is better."
    return [_picture(picture, caption)]


def _worth(study: Summary, answers: StudyAnswers, names: list[str], level: str) -> Drawn:
    """Decision curve, and errors by share answered."""
    interval, headline = study.metrics["interval"], study.headline
    drawn = {"n_boot": interval["n_boot"], "seed": interval["seed"], "level": interval["level"]}
    shown = [headline, *names[1:2], *names[-1:]]
    shown = list(dict.fromkeys(shown))
    labels, groups = answers.labels, answers.groups
    curve = decision_curve(labels, groups, {name: answers.p[name] for name in shown}, THRESHOLDS, **drawn)
    risks = {
        name: risk_coverage(answers.category[name] != labels, answers.p[name].max(axis=2), labels, groups, **drawn)
        for name in shown[:2]
    }
    net = (
        f"Net benefit by threshold; the band is the headline's {level} interval. A model below both lines of nobody "
        "and everybody does harm there."
    )
    sure = "Wrong categories among the surest scans, by the share that is answered."
    return {
        "decisions": [_picture(draw.decision_svg(curve, shown, headline), net)],
        "told": [_picture(draw.risk_svg(risks, headline), sure)],
    }


def _picture(svg: str, caption: str) -> tuple[Markup, str]:
    # Made by matplotlib from model names that the study's settings allow: letters, digits, _ and -.
    return Markup(svg), caption


def _value(figure: Figure) -> float:
    return figure.value if math.isfinite(figure.value) else -1.0
