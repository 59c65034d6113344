"""A finished study's figures: `evaluate.repeats` on its answers, written as `metrics.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spinecare.evaluate.repeats import evaluate_repeats
from spinecare.evaluate.study_json import repeats_json
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.study.settings import StudySettings
from spinecare.study.store import read_answers

METRICS = "metrics.json"


def score(folder: Path, settings: StudySettings, progress: Progress = silent) -> dict[str, Any]:
    """Evaluate the answers in a study's folder and write `metrics.json`.

    Returns
    -------
    What was written: as `evaluate.study_json.repeats_json`, the headline compared with every other model, and `kinds`
    (model → member, combiner or baseline) and `time` (seconds and memory of the study; mean fit seconds and predict
    milliseconds of each model).

    Raises
    ------
    EvaluationError
        When the folder holds no finished study.
    """
    progress(Step("evaluate", 0, 1))
    a = read_answers(folder)
    found = evaluate_repeats(
        a.labels, a.groups, a.p, a.category, a.yes, settings.bootstrap, settings.seed, headline=settings.headline,
        folds=settings.folds,
    )  # fmt: skip
    metrics = repeats_json(found, a.protocol)
    metrics |= {
        "notes": [*metrics["notes"], *a.notes],
        "kinds": dict(a.kinds),
        "time": {
            "seconds": a.seconds,
            "peak_mb": a.peak_mb,
            "fit_seconds": {name: float(a.fit_seconds[name].mean()) for name in a.names},
            "predict_ms": dict(a.predict_ms),
        },
    }
    part = folder / f"{METRICS}.part"
    part.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / METRICS)
    progress(Step("evaluate", 1, 1))
    return metrics
