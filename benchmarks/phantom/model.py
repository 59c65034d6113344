"""The shipped bundle on virtual people it has never seen, beside the bound; and what its one look at real scans said.

    python -m benchmarks.phantom.model --n 2100 --seed 20002 --report runs/virtual

The test people come from a seed of their own, so none of them is in the bundle's training cohort. The bound is what
measurement error allows: how well the T-score of a second scan of the same people tells the label of the first.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

import spinecare
from benchmarks.phantom.row import Row
from spinecare.assessor import Assessor
from spinecare.evaluate.predictions import Evaluation, Figure, evaluate_predictions
from spinecare.evaluate.report import write_report
from spinecare.phantom.cohort import draw_scan, processes
from spinecare.scan import LABELS, Assessment

SEED = 20_002
# Every so many-th person is scanned twice for the bound.
REPEAT_EVERY = 4
REPORT = Path("runs/virtual")
NAMES = [str(label) for label in LABELS]


@dataclass(frozen=True)
class _Said:
    label: int
    refused: str
    probabilities: dict[str, list[float]]
    abstained: bool
    second_t_score: float
    second_label: int


@cache
def _assessor() -> Assessor:
    return spinecare.load()


def _assess(index: int, seed: int) -> _Said:
    scan, truth, _ = draw_scan(seed, index, balance=True)
    answer = _assessor().assess(scan)
    t_score, label = float("nan"), -1
    if (index // len(LABELS)) % REPEAT_EVERY == 0:
        _, again, _ = draw_scan(seed, index, balance=True, visit=1)
        t_score, label = again.t_score, NAMES.index(str(again.label))
    known = NAMES.index(str(truth.label))
    if not isinstance(answer, Assessment):
        return _Said(known, str(answer.code), {}, False, t_score, label)
    said = {**answer.members, "stack": answer.probabilities}
    told = {name: [p[key] for key in NAMES] for name, p in said.items()}
    return _Said(known, "", told, answer.abstained, t_score, label)


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of it: the evaluation of those answered, of the second scan, and how many were refused."""

    evaluation: Evaluation
    bound: Evaluation
    same_label: float
    refused: int
    abstained: float


def measure(n: int, seed: int = SEED, workers: int | None = None) -> Measured:
    """Draw n people, a third of each class, assess them all, and scan every fourth trio again."""
    with processes(workers or os.cpu_count()) as pool:
        said = list(pool.map(partial(_assess, seed=seed), range(n), chunksize=8))
    answered = [one for one in said if not one.refused]
    labels = np.array([one.label for one in answered])
    models = {name: np.array([one.probabilities[name] for one in answered]) for name in answered[0].probabilities}
    evaluation = evaluate_predictions(labels, np.arange(len(labels)), models, _assessor().bundle.spec.threshold)
    twice = [one for one in said if one.second_label >= 0]
    first = np.array([one.label for one in twice])
    bound = evaluate_predictions(
        first,
        np.arange(len(first)),
        {"second scan": _one_hot(np.array([one.second_label for one in twice]))},
        0.5,
        baselines={"second T-score": -np.array([one.second_t_score for one in twice])},
    )
    same = float(np.mean(first == [one.second_label for one in twice]))
    return Measured(
        evaluation, bound, same, len(said) - len(answered), float(np.mean([one.abstained for one in answered]))
    )


def _one_hot(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    # The second scan's own class, as a sure answer.
    return np.asarray(np.eye(len(LABELS))[labels] * 0.98 + 0.02 / 3)


def _shown(figure: Figure) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def write(measured: Measured, n: int, seed: int, folder: Path) -> None:
    """The same as a report in a folder, which `benchmarks.results` reads."""
    second = measured.bound.baselines["second T-score"].figures["auc"]
    write_report(
        measured.evaluation,
        folder,
        title="The bundle on virtual test people",
        protocol=f"{n} virtual people of seed {seed}, a third of each class, Hologic style, none in training; "
        f"{measured.refused} refused and left out, {measured.abstained:.0%} abstained",
        trained_on=_assessor().bundle.spec.trained_on,
        notes=(
            "Measurement bound, AUC against the rest of a second scan's T-score of the same person: "
            f"{_shown(second)}, n = {second.n}.",
        ),
    )


def rows(n: int = 2100, seed: int = SEED, folder: Path = REPORT) -> list[Row]:
    """The rows of `docs/phantom.md` about the bundle; the whole report goes to `folder`."""
    measured = measure(n, seed)
    write(measured, n, seed, folder)
    stack = measured.evaluation.models["stack"].figures
    second = measured.bound.baselines["second T-score"].figures
    repeats = measured.bound.n
    return [
        Row(
            f"the shipped bundle on {n} virtual test people (seed {seed}): AUC osteoporosis/rest",
            "report, beside the bound",
            f"stack {_shown(stack['auc'])}; bound {_shown(second['auc'])}",
            None,
            f"A third of each class, Hologic style, through the whole way from pixels to answer; {measured.refused} "
            f"refused, {measured.abstained:.0%} abstained. Bound: the T-score of a second, repositioned scan of the "
            f"same person against the first label (n = {repeats}).",
        ),
        Row(
            "the same: AUC normal/osteoporosis",
            "report, beside the bound",
            f"stack {_shown(stack['auc_normal_vs_osteoporosis'])}; bound "
            f"{_shown(second['auc_normal_vs_osteoporosis'])}",
            None,
        ),
        Row(
            "the same: accuracy, three classes",
            "report, beside the bound",
            f"stack {_shown(stack['accuracy_three_classes'])}; bound {measured.same_label:.3f}",
            None,
            "Sensitivity and specificity of yes/no at the bundle's threshold: "
            f"{_shown(stack['recall'])} and {_shown(stack['specificity'])}.",
        ),
        Row("the same: calibration slope", "report", f"stack {_shown(stack['calibration_slope'])}", None),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # More than 2,000, so that enough are left when some are refused.
    parser.add_argument("--n", type=int, default=2100)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    for row in rows(options.n, options.seed, options.report):
        print(f"{row.what}\n  {row.measured}\n  {row.note}")
