"""One look at the diagnoses of real scans: how a bundle's answers compare with the published labels of `spine_dxa`.

    python benchmarks/look.py --this-is-a-look "what the bundle is and why it is looked at" --report runs/look
    python benchmarks/look.py --tell runs/look     # write that look into the bundle and its card: no new look

Every look uses up some of what these few scans can still prove (DESIGN §5, rule 2), so it asks for a reason and adds
a line to `docs/looks.md`. One picture a scan: those marked `first_of_group`, less s082, which `spinecare dataset check`
finds to be the scan of s005. Refused scans are counted and left out of the figures. Intervals: bootstrap over scans.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import spinecare
from spinecare.bundle.read import DEFAULT_FOLDER, open_bundle
from spinecare.bundle.schema import CARD_FILE, seal
from spinecare.evaluate.report import evaluate_predictions, write_report
from spinecare.scan import LABELS, Assessment

ROOT = Path(__file__).resolve().parents[1]
SPINE_DXA = ROOT.parent / "shared" / "data" / "spine_dxa"
SAME_SCAN_AS_ANOTHER = {"images/s082.png"}
SHOWN = ("auc", "auc_normal_vs_osteoporosis", "auc_normal_vs_affected", "recall", "specificity",
         "accuracy_three_classes", "brier_osteoporosis", "calibration_slope")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Look once, print the figures, and write the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--this-is-a-look", metavar="REASON", dest="reason")
    task.add_argument("--tell", type=Path, metavar="REPORT", help="folder of an earlier look's report")
    parser.add_argument("--bundle", type=Path, help="a bundle's folder; the one in the package when absent")
    parser.add_argument("--report", type=Path, help="folder for the HTML report")
    options = parser.parse_args(arguments)
    if options.tell:
        tell(options.tell / "metrics.json", options.bundle or DEFAULT_FOLDER)
        return

    assessor = spinecare.load(options.bundle)
    said: dict[str, list[list[float]]] = {}
    labels, names, brightness, refused, abstained, threshold = [], [], [], {}, 0, 0.5
    with (SPINE_DXA / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if r["first_of_group"] == "1"]
    for row in rows:
        if row["path"] in SAME_SCAN_AS_ANOTHER:
            continue
        answer = assessor.assess(SPINE_DXA / row["path"])
        if not isinstance(answer, Assessment):
            refused[row["path"]] = str(answer.code)
            continue
        labels.append([str(label) for label in LABELS].index(row["label"]))
        names.append(row["path"])
        brightness.append(-float(answer.prepared.raw.mean()))
        abstained += answer.abstained
        threshold = answer.threshold
        for name, p in {**answer.members, "stack": answer.probabilities}.items():
            said.setdefault(name, []).append([p[str(label)] for label in LABELS])

    evaluation = evaluate_predictions(
        np.array(labels),
        np.array(names),
        {name: np.array(p) for name, p in said.items()},
        threshold,
        baselines={"darkness of the crop": np.array(brightness)},
    )
    print(f"{len(labels)} scans answered ({abstained} abstained), {len(refused)} refused: {refused}")
    for name, model in {**evaluation.models, **evaluation.baselines}.items():
        print(name)
        for key in SHOWN:
            if key in model.figures:
                figure = model.figures[key]
                print(f"  {key:28s} {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    if options.report:
        write_report(
            evaluation,
            options.report,
            title="The bundle on real scans",
            protocol="one picture a scan, published labels, nothing fitted or chosen on these scans",
            trained_on=assessor.bundle.spec.trained_on,
        )
    _write_line(options.reason, evaluation, len(labels))


def tell(metrics: Path, bundle: Path) -> None:
    """Write an earlier look into a bundle: its metrics, the sentence that goes with each answer, its card."""
    look = json.loads(metrics.read_text("utf-8"))
    figures = look["models"]["stack"]["figures"]

    def with_interval(key: str) -> str:
        figure = figures[key]
        return f"{figure['value']:.2f} [{figure['interval']['low']:.2f}, {figure['interval']['high']:.2f}]"

    wrong, found = 1 - figures["specificity"]["value"], figures["recall"]["value"]
    sentence = (
        f"Checked once on {look['n']} real Hologic screen pictures: the model ranks them (AUC for osteoporosis "
        f"{with_interval('auc')}); at its threshold it said yes to {found:.0%} of the people with osteoporosis and to "
        f"{wrong:.0%} of those without. {_meaning(found, wrong)}"
    )
    spec = open_bundle(bundle).spec
    kept = {key: {"value": figures[key]["value"], "interval": figures[key]["interval"]} for key in SHOWN}
    check = {"on": "spine_dxa, one picture a scan", "n": look["n"], "figures": kept, "sentence": sentence}
    card = bundle / CARD_FILE
    text = card.read_text("utf-8").split("\n## On real scans\n")[0].rstrip("\n")
    rows = "\n".join(f"| {look['what'][key]} | {with_interval(key)} |" for key in SHOWN)
    card.write_text(f"{text}\n\n## On real scans\n\n{sentence}\n\n| | stack |\n|---|---|\n{rows}\n", encoding="utf-8")
    seal(replace(spec, metrics={**(spec.metrics or {}), "external_check": check}), bundle)


def _meaning(found: float, wrong: float) -> str:
    # What a reader of an answer should take from the two shares; the limits are those of a useful test.
    if wrong > 0.5:
        return "Its probabilities run too high on real scans: a yes alone means little until it is calibrated."
    if found < 0.5:
        return "Its probabilities run too low on real scans: a no alone means little until it is calibrated."
    return "Its probabilities have not been calibrated on real scans."


def _write_line(reason: str, evaluation, n: int) -> None:  # type: ignore[no-untyped-def]
    page = ROOT / "docs" / "looks.md"
    number = sum(line.startswith("| ") and line[2].isdigit() for line in page.read_text("utf-8").splitlines()) + 1
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    figures = evaluation.models["stack"].figures
    told = "; ".join(
        f"{what} {figures[key].value:.3f} [{figures[key].low:.3f}, {figures[key].high:.3f}]"
        for key, what in (("auc", "AUC osteoporosis/rest"), ("auc_normal_vs_osteoporosis", "normal/osteoporosis"))
    )
    day = datetime.now(UTC).date().isoformat()
    with page.open("a", encoding="utf-8") as stream:
        stream.write(f"| {number} | {day} | {commit} | {reason} | {n} unique scans, stack | {told} |\n")


if __name__ == "__main__":
    main()
