"""A finished study from random answers, in seconds: what reports are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinecare.scan import LABELS
from spinecare.study.score import score
from spinecare.study.settings import StudySettings
from spinecare.study.store import StudyAnswers, write_answers

STRENGTH = {"svm": 1.0, "forest_on_virtual": 1.3, "voting": 1.5, "stack": 1.6, "prevalence": 0.0, "brightness": 0.2}
KINDS = {"svm": "member", "forest_on_virtual": "member", "voting": "combiner", "stack": "combiner"}
SETTINGS = {
    "name": "fake",
    "repeats": 2,
    "folds": 3,
    "bootstrap": 60,
    "headline": "stack",
    "members": {
        "svm": {"kind": "svm", "view": "radiomics", "components": 20},
        "forest_on_virtual": {"kind": "forest", "view": ["virtual_cnn", "hog"]},
    },
    "combine": {"voting": {"kind": "voting"}, "stack": {"kind": "stack", "strength": 0.1}},
}


def make_study(folder: Path, n: int = 90, people: bool = True, seed: int = 0, **settings: Any) -> StudySettings:
    """Write a finished study of `n` scans into a folder; `people`: the manifest tells age, sex, device and date."""
    rng = np.random.default_rng(seed)
    made = StudySettings.from_dict({**SETTINGS, **settings})
    labels = rng.permutation(np.arange(n) % len(LABELS))
    told: dict[str, dict[str, Any]] = {kind: {} for kind in ("p", "raw", "yes", "told", "category", "inside")}
    for name, strength in STRENGTH.items():
        p = np.exp(rng.normal(size=(made.repeats, n, 3)) * (strength > 0) + strength * np.eye(3)[labels])
        p /= p.sum(axis=2, keepdims=True)
        yes = p[:, :, 2] >= 0.3
        told["p"][name], told["raw"][name], told["yes"][name] = p, p, yes
        told["told"][name] = np.where(p[:, :, 2] > 0.6, 1, np.where(p[:, :, 2] < 0.2, 0, -1))
        told["category"][name] = np.where(yes, 2, (p[:, :, 1] > p[:, :, 0]).astype(int))
        told["inside"][name] = p > 0.2
    rows = {"path": [f"{i}.png" for i in range(n)], "label": [str(list(LABELS)[k]) for k in labels]}
    if people:
        rows |= {
            "age_years": rng.uniform(40, 90, n).round(1),
            "sex": rng.choice(["F", "M"], n),
            "device": rng.choice(["A", "B"], n),
            "acquired": "2020-01-02",
        }
    answers = StudyAnswers(
        names=tuple(STRENGTH),
        kinds={name: KINDS.get(name, "baseline") for name in STRENGTH},
        labels=labels.astype(np.int64),
        groups=np.array([f"g{i}" for i in range(n)]),
        **told,
        fold=np.zeros((made.repeats, n), dtype=np.int64),
        fit_seconds={name: np.array([0.5, 1.5, 1.0]) for name in STRENGTH},
        predict_ms=dict.fromkeys(STRENGTH, 2.0),
        weights={},
        decisions={},
        rows=pd.DataFrame(rows),
        protocol="2 x repeated stratified 3-fold cross-validation of fakes",
        notes=("A note of the study.",),
        seconds=120.0,
        peak_mb=512.0,
        about={name: f"about {name}" for name in STRENGTH},
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_answers(answers, folder)
    (folder / "config.json").write_text(json.dumps({"settings": made.to_json()}), encoding="utf-8")
    score(folder, made)
    return made
