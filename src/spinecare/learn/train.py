"""A whole training run: manifest in, run folder with report and bundle out. Every stage can be resumed.

runs/<time>-<name>/
    config.json      what was asked for, and of which data
    split.csv        which scan is in which part, and which were left out
    prepared/        prepared pictures, by content
    work/            checkpoints; not needed once the run is done
    unseen.parquet   members' answers that the stack learnt from
    test.parquet     answers on the test part, as shipped
    metrics.json, report/report.html, bundle/
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spinecare import __version__
from spinecare.bundle.schema import CARD_FILE, BundleSpec, seal
from spinecare.errors import DatasetError, TrainingError
from spinecare.learn.baselines import brightness, thumbnail
from spinecare.learn.card import card
from spinecare.learn.crossval import Cut, cuts
from spinecare.learn.data import PARTS, Pictures, load_pictures, with_split
from spinecare.learn.devices import Devices
from spinecare.learn.level0 import Fitted, fit_cut, say
from spinecare.learn.level1 import Answers, Level1, describe_sets, fit_level1
from spinecare.learn.levels_data import MODEL_FILE, read_levels
from spinecare.learn.pack import Packed, pack_member, starting_weights, write_heads
from spinecare.learn.recipe import Progress, Step, TrainSettings, silent
from spinecare.scan import LABELS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, the bundle in it, its HTML report, its metrics."""

    folder: Path
    bundle: Path
    report: Path
    metrics: dict[str, Any]


def train(manifest: Path, out: Path, settings: TrainSettings, progress: Progress = silent) -> Run:
    """Train every member, stack them, export the bundle, evaluate it on the test part.

    Called again with the same arguments after an interrupt it goes on from the last finished epoch, and ends with the
    numbers that an uninterrupted run would have had.

    Raises
    ------
    TrainingError
        When the folder holds another run, or there are too few patients.
    DatasetError
        When the manifest breaks a rule of evidence.
    """
    from spinecare.io.dataset import read_manifest

    torch.set_num_threads(settings.threads)
    out.mkdir(parents=True, exist_ok=True)
    _same_run(manifest, out, settings)
    frame = _checked(with_split(read_manifest(manifest), settings.seed), settings, progress)
    pictures = load_pictures(
        frame, settings.prepare, out / "prepared", settings.threads, progress, levels=settings.levels
    )
    _write_split(pictures, out)
    _enough(pictures)

    fitted, unseen, answers = _level0(pictures, settings, out / "work", progress)
    _write_answers(unseen.said, pictures, unseen.rows, out / "unseen.parquet")
    level1 = fit_level1(unseen.answers, answers["val"], settings)

    bundle = out / "bundle.part"
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir()
    packed = _pack(fitted, answers["test"], pictures, settings, out / "work", bundle, progress)
    write_heads(fitted, bundle)
    if settings.levels is not None:
        shutil.copy(Path(settings.levels) / MODEL_FILE, bundle / MODEL_FILE)
    progress(Step("evaluate", 0, 1))
    return _finish(packed, level1, pictures, settings, out, bundle, progress)


def _same_run(manifest: Path, out: Path, settings: TrainSettings) -> None:
    if not manifest.is_file():
        raise DatasetError(f"There is no manifest at {manifest}. Make one with `spinecare dataset make`.")
    config = {
        "spinecare": __version__,
        "torch": torch.__version__,
        "manifest": str(manifest),
        "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "settings": json.loads(json.dumps(settings.to_json(), default=str)),
        "devices": str(Devices.asked()),
    }
    kept = out / "config.json"
    if kept.exists():
        stored = json.loads(kept.read_text(encoding="utf-8"))
        # A run may go on with other devices: they are told, and change the numbers' last digits alone.
        other = sorted(k for k in config if k not in {"manifest", "devices"} and stored.get(k) != config[k])
        if other:
            raise TrainingError(
                f"{out} holds another run (different: {', '.join(other)}). Give another --out, or the same settings."
            )
        return
    kept.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _checked(frame: pd.DataFrame, settings: TrainSettings, progress: Progress) -> pd.DataFrame:
    """Nothing is fitted before the dataset check has passed, the two sides of the split compared (DESIGN 4)."""
    if settings.check:
        from spinecare.io.dataset import check_manifest

        report = check_manifest(frame, lambda done, total: progress(Step("check the dataset", done, total)))
        if not report.ok:
            raise DatasetError(f"Nothing was trained: {report} See `spinecare dataset check`.")
    return frame


def _enough(pictures: Pictures) -> None:
    for part in PARTS:
        counts = np.bincount(pictures.labels[pictures.part(part)], minlength=len(LABELS))
        for label, count in zip(LABELS, counts, strict=True):
            if not count:
                raise TrainingError(f"The {part} part has no usable scan of class {label}. Give more scans.")


@dataclass(frozen=True, eq=False)
class _Unseen:
    """What the stack learns from: rows, and each member's answers to them."""

    rows: np.ndarray
    answers: Answers

    @property
    def said(self) -> dict[str, np.ndarray]:
        return self.answers.said


def _level0(
    pictures: Pictures, settings: TrainSettings, work: Path, progress: Progress
) -> tuple[dict[str, Fitted], _Unseen, dict[str, Answers]]:
    train_rows = pictures.part("train")
    made = cuts(train_rows, pictures.labels, pictures.patients, settings.folds, settings.stack_share, settings.seed)
    # With folds, what ships is fitted once more on the whole training part; with one cut, the cut's member ships.
    final = Cut("all", train_rows, train_rows[:0]) if settings.folds else made[0]
    rows = np.concatenate([cut.unseen for cut in made])
    fitted: dict[str, Fitted] = {}
    said: dict[str, np.ndarray] = {}
    parts: dict[str, dict[str, np.ndarray]] = {"val": {}, "test": {}}
    for recipe in settings.members:
        pieces = []
        for cut in made:
            folder = work / recipe.name / cut.name
            stage = f"{recipe.name} {cut.name}"
            one = fit_cut(recipe, cut, pictures, settings, folder, progress)
            pieces.append(say(one, pictures, cut.unseen, folder, "unseen", progress, stage))
            fitted[recipe.name] = one
        said[recipe.name] = np.concatenate(pieces)
        folder = work / recipe.name / final.name
        if settings.folds:
            fitted[recipe.name] = fit_cut(recipe, final, pictures, settings, folder, progress)
        for part, kept in parts.items():
            stage = f"{recipe.name} {final.name}"
            kept[recipe.name] = say(fitted[recipe.name], pictures, pictures.part(part), folder, part, progress, stage)
    unseen = _Unseen(rows, _answers(said, pictures, rows))
    return fitted, unseen, {part: _answers(kept, pictures, pictures.part(part)) for part, kept in parts.items()}


def _answers(said: dict[str, np.ndarray], pictures: Pictures, rows: np.ndarray) -> Answers:
    return Answers(said, pictures.labels[rows], pictures.patients[rows])


def _pack(
    fitted: dict[str, Fitted],
    test: Answers,
    pictures: Pictures,
    settings: TrainSettings,
    work: Path,
    bundle: Path,
    progress: Progress,
) -> list[Packed]:
    packed = []
    for number, recipe in enumerate(settings.members):
        progress(Step("export", number, len(settings.members), recipe.name))
        packed.append(
            pack_member(recipe, fitted[recipe.name], test.said[recipe.name], pictures, settings, work, bundle)
        )
    progress(Step("export", len(packed), len(packed)))
    return packed


def _finish(
    packed: list[Packed],
    level1: Level1,
    pictures: Pictures,
    settings: TrainSettings,
    out: Path,
    bundle: Path,
    progress: Progress,
) -> Run:
    """Evaluate what ships (after int8), and seal the bundle with the numbers in it."""
    from spinecare.evaluate.predictions import evaluate_predictions
    from spinecare.evaluate.report import to_json, write_report
    from spinecare.io.split import split_notes

    test, train_rows = pictures.part("test"), pictures.part("train")
    said = {one.spec.name: one.said for one in packed}
    calibrated = level1.calibrated(said)
    shown = level1.shown(calibrated)
    _write_answers({**said, "stack": calibrated, "shown": shown}, pictures, test, out / "test.parquet")
    models = {**said, "stack": calibrated}
    decisions = dict(level1.other_thresholds)
    if level1.assumed != level1.prevalence:
        models["as shown"] = shown
        decisions["as shown"] = level1.threshold
    evaluation = evaluate_predictions(
        pictures.labels[test],
        pictures.patients[test],
        models,
        decisions,
        n_boot=settings.bootstrap,
        seed=settings.seed,
        prevalence=[level1.prevalence[str(label)] for label in LABELS],
        baselines={
            "mean brightness": brightness(pictures.images[test]),
            "14 x 14 thumbnail": thumbnail(
                pictures.images[train_rows], pictures.labels[train_rows], pictures.images[test]
            ),
        },
    )
    protocol = _protocol(settings)
    extra = {
        "scans": {part: len(pictures.part(part)) for part in PARTS},
        "refused": pictures.refusals,
        "drift": {one.spec.name: one.drift for one in packed},
        "prediction_sets": describe_sets(shown, pictures.labels[test], level1),
    }
    document = to_json(evaluation, protocol, settings.trained_on)
    metrics = {**document, **extra}
    spec = _spec(packed, level1, settings, metrics)
    (bundle / CARD_FILE).write_text(card(spec, document, extra), encoding="utf-8")
    seal(spec, bundle)
    # Only a finished bundle bears the name.
    final = out / "bundle"
    shutil.rmtree(final, ignore_errors=True)
    bundle.rename(final)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    report = write_report(
        evaluation,
        out / "report",
        settings.name,
        protocol,
        settings.trained_on,
        [*_notes(level1, extra), *split_notes(pictures.rows)],
    )
    progress(Step("evaluate", 1, 1))
    return Run(out, final, report, metrics)


def _spec(packed: list[Packed], level1: Level1, settings: TrainSettings, metrics: dict[str, Any]) -> BundleSpec:
    return BundleSpec(
        name=settings.name,
        version=__version__,
        prepare=settings.prepare,
        members=tuple(one.spec for one in packed),
        stack=level1.stack,
        calibration=level1.calibration,
        prevalence=level1.prevalence,
        assumed_prevalence=level1.assumed,
        threshold=level1.threshold,
        threshold_rule=level1.threshold_rule,
        conformal=level1.conformal,
        intended_use=settings.intended_use,
        trained_on=settings.trained_on,
        created=datetime.now(UTC).date().isoformat(),
        starting_weights=starting_weights(settings),
        metrics=_compact(metrics),
        levels=None if settings.levels is None else read_levels(Path(settings.levels)),
    )


def _compact(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics as a bundle carries them: n and protocol once (they are the same for all), figures with intervals."""

    def brief(models: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {
                "threshold": model["threshold"],
                "figures": {
                    key: {"value": figure["value"], "interval": figure["interval"]}
                    for key, figure in model["figures"].items()
                },
            }
            for name, model in models.items()
        }

    kept = {k: v for k, v in metrics.items() if k not in {"what", "stack_minus_member", "notes"}}
    return kept | {"models": brief(metrics["models"]), "baselines": brief(metrics["baselines"])}


def _protocol(settings: TrainSettings) -> str:
    how = (
        f"the stack learnt from out-of-fold predictions of {settings.folds} folds"
        if settings.folds
        else f"the stack learnt from {settings.stack_share:.0%} of the training part, kept from the members"
    )
    return f"One hold-out split by patient (train, val, test), seed {settings.seed}; {how}"


def _notes(level1: Level1, extra: dict[str, Any]) -> list[str]:
    notes = [
        "The stack's row is in the class mix of training; the members' thresholds follow the same rule as the stack's.",
    ]
    if level1.assumed != level1.prevalence:
        mix = ", ".join(f"{k} {v:.3f}" for k, v in level1.assumed.items())
        notes.append(
            f"'As shown' is after the prior shift to {mix}. Its Brier score and calibration on a test part with "
            "another class mix are not those of the assumed population; AUC, sensitivity and specificity are."
        )
    left = ", ".join(f"{k} {v}" for k, v in extra["refused"].items())
    notes.append(f"Scans left out, as an assessment would refuse them: {left or 'none'}.")
    return notes


def _write_split(pictures: Pictures, out: Path) -> None:
    import pandas as pd

    used = pictures.rows[["path", "label", "split"]].assign(patient=pictures.patients, code="")
    refused = pictures.refused[["path", "label", "split", "code"]]
    pd.concat([used, refused]).to_csv(out / "split.csv", index=False)


def _write_answers(said: dict[str, np.ndarray], pictures: Pictures, rows: np.ndarray, path: Path) -> None:
    table = pictures.rows.iloc[rows][["path", "label", "split"]].reset_index(drop=True)
    table["patient"] = pictures.patients[rows]
    for name, p in said.items():
        for number, label in enumerate(LABELS):
            table[f"{name}.{label}"] = p[:, number]
    table.to_parquet(path, index=False)
