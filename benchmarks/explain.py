"""Do the class maps follow the heads they explain? Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.

    python -m benchmarks.explain [--n 60] [--folder ../shared/data/spine_dxa] [--seed 1]

For each scan and member: |r| between the member's map and the maps of heads whose weights are shuffled over the
channels. A map that hardly changes shows where the network is active, not what speaks for osteoporosis, and is not
shown. No label is read.
Scans are virtual patients, or the pictures of a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spinecare.assessor import load
from spinecare.errors import ScanError
from spinecare.explain.maps import MOST_ALIKE, likeness_to_shuffled
from spinecare.io.read import read_scan
from spinecare.phantom.cohort import draw_scan
from spinecare.scan import Assessment, Scan


def scans(n: int, folder: Path | None, seed: int) -> Iterator[Scan]:
    """The scans to look at."""
    if folder is None:
        yield from (draw_scan(seed, index, "idxa" if index % 2 else "hologic", balance=True)[0] for index in range(n))
        return
    for path in sorted(folder.rglob("*.png"))[:n]:
        try:
            yield read_scan(path)
        except ScanError:
            continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    assessor = load()
    likeness: dict[str, list[float]] = {}
    for scan in scans(given.n, given.folder, given.seed):
        answer = assessor.assess(scan)
        if not isinstance(answer, Assessment):
            continue
        for name, features in answer.features.items():
            weight, bias = assessor.bundle.heads[f"{name}.weight"], assessor.bundle.heads[f"{name}.bias"]
            likeness.setdefault(name, []).append(likeness_to_shuffled(features, weight, bias))
    print(
        "| member | scans | median |r| with shuffled heads | 10 % to 90 % of scans | not shown |\n|---|---|---|---|---|"
    )
    for name, values in likeness.items():
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
        hidden = np.mean(np.array(values) > MOST_ALIKE)
        print(f"| {name} | {len(values)} | {middle:.2f} | {low:.2f} to {high:.2f} | {100 * hidden:.0f} % |")


if __name__ == "__main__":
    main()
