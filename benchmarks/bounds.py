"""The two bounds beside a study's figures, from virtual patients: writes `bounds.json` and `bounds.md`.

    python -m benchmarks.bounds COHORT/manifest.csv --out runs/bounds
    python -m benchmarks.bounds COHORT/manifest.csv --out runs/bounds --study study.toml --sizes 127,1000,4000,8000 \\
        --split RUN/split.csv --mix normal=0.3,low_bone_mass=0.3,osteoporosis=0.4

The members and combiners are those of a study's config, without the fine-tuned ones. Where they read networks of the
package's bundle, people of that bundle's own cohort may be tested only with `--split`, the training run's `split.csv`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from spinecare.errors import SpineCareError
from spinecare.learn.recipe import Step
from spinecare.study.ablations import only
from spinecare.study.bounds import BoundSettings, bounds
from spinecare.study.settings import StudySettings

SECONDS_BETWEEN_LINES = 30.0


def shares(text: str) -> dict[str, float]:
    """Of "normal=0.3,…": {"normal": 0.3, …}."""
    return {name.strip(): float(share) for name, share in (part.split("=") for part in text.split(","))}


def lines() -> Callable[[Step], None]:
    """A progress callback that prints now and then."""
    last: dict[str, float] = {}

    def step(s: Step) -> None:
        now = time.monotonic()
        if s.remark or s.done == s.total or now - last.get(s.stage, -1e9) >= SECONDS_BETWEEN_LINES:
            last[s.stage] = now
            print(f"{s.stage}: {s.done} of {s.total} {s.remark}", flush=True)

    return step


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bounds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = BoundSettings()
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", type=Path, help="a study's TOML; default: the one in the package")
    parser.add_argument("--members", help="only these of its members, with commas")
    parser.add_argument("--sizes", default=",".join(map(str, usual.sizes)))
    parser.add_argument("--draws", type=int, default=usual.draws)
    parser.add_argument("--test", type=int, default=usual.test)
    parser.add_argument("--second", type=int, default=usual.second, help="test people scanned again; 0: none")
    parser.add_argument("--mix", type=shares, help="class shares to weight the test people to")
    parser.add_argument("--split", type=Path, help="split.csv of the training run whose cohort this is")
    parser.add_argument("--workers", type=int, default=2)
    o = parser.parse_args(arguments)
    settings = BoundSettings(tuple(int(size) for size in o.sizes.split(",")), o.draws, o.test, o.second, o.mix)
    try:
        study = replace(StudySettings.from_toml(o.study), workers=o.workers)
        if o.members:
            study = only(study, o.members.split(","))
        told = bounds(o.manifest, study, o.out, settings, lines(), split=o.split)
    except SpineCareError as error:
        parser.exit(1, f"{error}\n")
    for one in told["bounds"]:
        print(f"{one['name']}: " + ", ".join(f"{key} {f['value']:.3f}" for key, f in one["figures"].items()))
    print(o.out / "bounds.md")


if __name__ == "__main__":
    main()
