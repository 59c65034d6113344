"""Can a plain classifier tell real scans from virtual ones, both prepared, and what gives the virtual ones away?

    python -m benchmarks.phantom.realness --virtual COHORT_FOLDER [--n 128] [--half dev] [--json]

Three classifiers: logistic regression and a random forest on interpretable numbers (`crop_features.py`), and logistic
regression on a 14 x 14 thumbnail; then one logistic regression for each family of numbers (grey, grain, edge ...),
since the classifiers that see all of them are soon at 1.0 and say no more. 0.5 would be no difference to see. Folds are
by scan group; the interval is a bootstrap over scans of the pooled out-of-fold scores, averaged over repeats. The
cohort must be balanced (a third of each class, as the real scans are); the real scans' diagnoses are never read. The
generator's look was set on scans of even group number, so those of odd number are also given apart; who tunes it asks
for `--half dev`, which never opens them.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.phantom.crop_features import features, thumbnail
from benchmarks.phantom.row import Row
from spinecare.io.read import read_scan
from spinecare.prepare.pipeline import prepare
from spinecare.scan import Float32, Prepared, Scan

SPINE_DXA = Path(__file__).resolve().parents[3] / "shared" / "data" / "spine_dxa"
FOLDS, REPEATS, BOOT = 5, 4, 1000
# Step 1's generator, measured by this program as it stands: 128 real against 128 virtual scans (seed 71, balanced).
STEP_1 = {
    "logistic": 1.000, "forest": 1.000, "thumbnail": 0.999, "grey": 0.807, "grain": 0.999, "spectrum": 0.900,
    "edge": 0.957, "shape": 0.945, "across": 0.982, "symmetry": 0.672, "down": 1.000, "flank": 0.627, "level": 0.825,
}  # fmt: skip

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Looks:
    """Prepared scans as numbers.

    numbers
        float64 (n, features); `names` are their names.
    thumbnails
        float32 (n, 196).
    groups
        One name a scan; scans of one group never stand on both sides of a fold.
    asked
        How many scans there were before those that could not be prepared fell out.
    """

    numbers: Float
    names: tuple[str, ...]
    thumbnails: Float32
    groups: tuple[str, ...]
    asked: int


@dataclass(frozen=True)
class Auc:
    """An area under the ROC curve with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def looks(scans: Sequence[tuple[str, Scan]]) -> Looks:
    """Prepare and measure scans, given as (group, scan); those that are refused fall out."""
    kept: list[tuple[str, dict[str, float], Float32]] = []
    for group, scan in scans:
        prepared = prepare(scan)
        if isinstance(prepared, Prepared):
            kept.append((group, features(prepared), thumbnail(prepared)))
    names = tuple(kept[0][1])
    return Looks(
        numbers=np.array([[numbers[name] for name in names] for _, numbers, _ in kept]),
        names=names,
        thumbnails=np.stack([small for _, _, small in kept]),
        groups=tuple(group for group, _, _ in kept),
        asked=len(scans),
    )


def real_looks(folder: Path = SPINE_DXA, half: str = "both") -> Looks:
    """The first picture of each real scan; of half "dev" (even group numbers) or "both". No label is read."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [(r["group"], r["path"]) for r in csv.DictReader(file) if r["first_of_group"] == "1"]
    if half == "dev":
        rows = [row for row, held in zip(rows, odd([group for group, _ in rows]), strict=True) if not held]
    return looks([(group, read_scan(folder / path)) for group, path in rows])


def virtual_looks(folder: Path, n: int) -> Looks:
    """The first `n` scans of a cohort that `spinecare phantom make --balance` made."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [(r["patient_id"], r["path"]) for r in csv.DictReader(file)][:n]
    return looks([(key, read_scan(folder / path)) for key, path in rows])


def odd(groups: Sequence[str]) -> Bool:
    """Which groups (sg001 ...) have an odd number: held out when the look was set."""
    return np.array([int(group.lstrip("sg")) % 2 == 1 for group in groups], dtype=np.bool_)


def weighted_auc(score: Float, positive: Bool, weights: Float) -> Float:
    """AUC for each row of `weights` (replicates, n): the chance that a positive scores higher, ties half."""
    order = np.argsort(score, kind="stable")
    ranked, w = score[order], np.atleast_2d(weights)[:, order]
    yes, no = w * positive[order], w * ~positive[order]
    below = np.cumsum(no, axis=1)
    # Negatives of the same score count half: take the cumulative sums at both ends of each run of ties.
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right") - 1
    before = np.where(first > 0, below[:, np.maximum(first - 1, 0)], 0.0)
    wins = (yes * (before + below[:, last]) / 2).sum(axis=1)
    return np.asarray(wins / (yes.sum(axis=1) * no.sum(axis=1)))


def auc_with_interval(scores: Float, positive: Bool, seed: int = 0) -> Auc:
    """The mean AUC over repeats `scores` (repeats, n), and its bootstrap interval over scans, by side."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((BOOT, len(positive)))
    for side in (positive, ~positive):
        at = np.flatnonzero(side)
        drawn = rng.integers(0, len(at), (BOOT, len(at)))
        np.add.at(weights, (np.arange(BOOT)[:, None], at[drawn]), 1.0)
    value = float(np.mean([weighted_auc(s, positive, np.ones((1, len(s))))[0] for s in scores]))
    spread = np.mean([weighted_auc(s, positive, weights) for s in scores], axis=0)
    low, high = np.quantile(spread, (0.025, 0.975))
    return Auc(value, float(low), float(high))


def classifiers(seed: int) -> dict[str, tuple[str, Any]]:
    """Each classifier by name: which numbers it sees, and the estimator."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic": ("numbers", make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=2000))),
        "forest": ("numbers", RandomForestClassifier(200, min_samples_leaf=2, random_state=seed)),
        "thumbnail": ("thumbnails", make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=2000))),
    }


def out_of_fold(real: Looks, virtual: Looks, seed: int = 0) -> tuple[dict[str, Float], Bool]:
    """Scores (repeats, n) of every classifier and family, real scans first, and which scans are virtual."""
    from sklearn.model_selection import StratifiedGroupKFold

    is_virtual = np.r_[np.zeros(len(real.groups), np.bool_), np.ones(len(virtual.groups), np.bool_)]
    groups = np.array([*real.groups, *virtual.groups])
    numbers = np.concatenate([real.numbers, virtual.numbers])
    seen = {"numbers": numbers, "thumbnails": np.concatenate([real.thumbnails, virtual.thumbnails]).astype(np.float64)}
    family = np.array([name.split(".")[0] for name in real.names])
    scores = {name: np.zeros((REPEATS, len(groups))) for name in [*classifiers(0), *dict.fromkeys(family)]}
    for repeat in range(REPEATS):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed + repeat)
        for fit, test in folds.split(groups, is_virtual, groups):
            models = classifiers(seed + repeat)
            jobs = [(name, seen[kind], model) for name, (kind, model) in models.items()]
            jobs += [(name, numbers[:, family == name], models["logistic"][1]) for name in dict.fromkeys(family)]
            for name, x, model in jobs:
                model.fit(x[fit], is_virtual[fit])
                scores[name][repeat, test] = model.predict_proba(x[test])[:, 1]
    return scores, is_virtual


def betrayers(real: Looks, virtual: Looks, seed: int = 0) -> list[dict[str, Any]]:
    """Every number, the most telling first: its own AUC, and what shuffling it costs the logistic regression.

    A number's own AUC above 0.5 means that it is larger in virtual scans. The cost is the rise of log loss (AUC
    would stand still at 1.0) in the half of the scans that the model was not fitted to, mean of both halves and five
    shuffles.
    """
    from sklearn.inspection import permutation_importance

    x = np.concatenate([real.numbers, virtual.numbers])
    y = np.r_[np.zeros(len(real.numbers), np.bool_), np.ones(len(virtual.numbers), np.bool_)]
    half = np.random.default_rng(seed).permutation(len(y)) % 2 == 0
    cost = np.zeros(x.shape[1])
    for fit, test in ((half, ~half), (~half, half)):
        model = classifiers(seed)["logistic"][1].fit(x[fit], y[fit])
        result = permutation_importance(model, x[test], y[test], scoring="neg_log_loss", n_repeats=5, random_state=seed)
        cost += result.importances_mean / 2
    ones = np.ones((1, len(y)))
    table = []
    for k, name in enumerate(real.names):
        table.append(
            {
                "name": name,
                "auc": float(weighted_auc(x[:, k], y, ones)[0]),
                "cost": float(cost[k]),
                "real": [float(q) for q in np.quantile(real.numbers[:, k], (0.1, 0.5, 0.9))],
                "virtual": [float(q) for q in np.quantile(virtual.numbers[:, k], (0.1, 0.5, 0.9))],
            }
        )
    return sorted(table, key=lambda row: -abs(float(row["auc"]) - 0.5))


def measure(real: Looks, virtual: Looks, seed: int = 0) -> dict[str, Any]:
    """AUC of every classifier over all scans and over held-out (odd) real ones, and the ranked numbers."""
    scores, is_virtual = out_of_fold(real, virtual, seed)
    held = np.r_[odd(real.groups), np.ones(len(virtual.groups), np.bool_)]
    return {
        "real": {"prepared": len(real.groups), "asked": real.asked},
        "virtual": {"prepared": len(virtual.groups), "asked": virtual.asked},
        "auc": {name: auc_with_interval(s, is_virtual) for name, s in scores.items()},
        "held_out_auc": {
            name: auc_with_interval(s[:, held], is_virtual[held]) if (held & ~is_virtual).any() else None
            for name, s in scores.items()
        },
        "betrayers": betrayers(real, virtual, seed),
    }


def rows(n: int = 128, seed: int = 71) -> list[Row]:
    """The evidence: `n` balanced virtual scans of the generator as it is, drawn here, against the real ones."""
    what = "a plain classifier telling real `spine_dxa` crops from virtual ones, both prepared"
    if not SPINE_DXA.is_dir():
        return [Row(what, "AUC lower than step 1's", "not measured: no real scans here", None)]
    from spinecare.phantom.cohort import draw_scan

    drawn = [draw_scan(seed, index, balance=True)[0] for index in range(n)]
    result = measure(real_looks(), looks([(scan.source.name, scan) for scan in drawn]))
    counts = f"{result['real']['prepared']} real, {result['virtual']['prepared']} virtual"
    table = []
    for name in classifiers(0):
        before, auc = STEP_1[name], result["auc"][name]
        note = f"Held-out half of the real scans: {result['held_out_auc'][name]}. {FOLDS} folds, {REPEATS} repeats."
        asked = f"< {before:.3f} (step 1's generator)"
        table.append(Row(f"{what}: {name}", asked, f"AUC {auc}; {counts}", auc.value < before, note))
    families = [name for name in result["auc"] if name not in classifiers(0)]
    apart = ", ".join(f"{name} {result['auc'][name].value:.2f} ({STEP_1[name]:.2f})" for name in families)
    note = "In brackets step 1's generator. One logistic regression a family; `crop_features.py` names them."
    table.append(Row("the same from one family of numbers at a time", "report", f"AUC {apart}", None, note))
    worst = ", ".join(f"{row['name']} ({row['auc']:.2f})" for row in result["betrayers"][:8])
    note = "In brackets a number's own AUC: 0.5 tells nothing, 0 and 1 everything."
    table.append(Row("which feature betrays the virtual ones", "report", worst, None, note))
    return table


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--virtual", type=Path, required=True, help="folder of a balanced cohort")
    parser.add_argument("--n", type=int, default=128, help="how many of its scans")
    parser.add_argument("--half", choices=("dev", "both"), default="both", help="dev: real scans of even group only")
    parser.add_argument("--top", type=int, default=30, help="how many betraying numbers to print")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    result = measure(real_looks(half=args.half), virtual_looks(args.virtual, args.n))
    if args.json:
        print(json.dumps(result, default=vars, indent=1))
        return
    for side in ("real", "virtual"):
        print(f"{side}: {result[side]['prepared']} of {result[side]['asked']} could be prepared")
    for name, auc in result["auc"].items():
        print(f"{name:10s} AUC {auc}   held-out real scans {result['held_out_auc'][name]}")
    print(f"{'number':36s} {'auc':>6s} {'cost':>7s}   real p10 p50 p90          virtual p10 p50 p90")
    for row in result["betrayers"][: args.top]:
        real, virtual = (" ".join(f"{v:8.3f}" for v in row[side]) for side in ("real", "virtual"))
        print(f"{row['name']:36s} {row['auc']:6.3f} {row['cost']:7.4f}  {real}   {virtual}")


if __name__ == "__main__":
    main()
