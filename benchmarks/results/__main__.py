"""Gathers what finished runs found into `docs/results.md`: tables only from files that the commands wrote.

    python -m benchmarks.results --study runs/study --claims runs/claims --audit runs/study --ablate runs/study \\
        --tune runs/tune --bounds runs/bounds/bounds.json --look runs/look --virtual runs/virtual --out docs/results.md

What is not given is "not made". Reading these files is no look at labels; the commands that wrote them were.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.results.figures import copy_figures
from benchmarks.results.page import LIMITS, limits, page
from benchmarks.results.sections import sections
from benchmarks.results.sources import find
from benchmarks.results.wanted import rows

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "study": "folder of `spinecare study`",
    "claims": "folder of `spinecare claims`",
    "audit": "folder of `spinecare study --audit`",
    "ablate": "folder of `spinecare study --ablate`",
    "tune": "folder of `spinecare tune`",
    "bounds": "bounds.json",
    "look": "folder of the report of `benchmarks/look.py`",
    "virtual": "folder of the report of `benchmarks.phantom.model`",
}
NAMES = {"ablate": "ablations", "tune": "tuning"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read what was given, write the page, say each row."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, about in PARTS.items():
        parser.add_argument(f"--{name}", type=Path, help=about)
    parser.add_argument("--limits", type=Path, default=LIMITS, help="what limits rows that were not reached")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results.md")
    options = parser.parse_args(arguments)
    given = {name: getattr(options, name) for name in PARTS}
    found = find({NAMES.get(name, name): path for name, path in given.items()})
    measured = rows(found)
    why = limits(options.limits.read_text("utf-8"))
    parts = sections(found)
    for title, pictures in copy_figures(found.paths or {}, options.out.with_suffix("")).items():
        parts[title] += f"\n\n{pictures}"
    options.out.write_text(page(measured, parts, why, _made(given)), encoding="utf-8")
    for row in measured:
        print(f"{row.verdict}: {row.what}: {row.measured or '–'}")
    print(options.out)


def _made(given: dict[str, Path | None]) -> str:
    told = " ".join(f"--{name} {_near(path)}" for name, path in given.items() if path is not None)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}, with\n\n"
        f"```\npython -m benchmarks.results {told}\n```"
    )


def _near(path: Path) -> Path:
    """A path below the checkout from there, another by its last two names: where runs are kept is nobody's business."""
    full = path.resolve()
    return full.relative_to(ROOT) if full.is_relative_to(ROOT) else Path("…", *full.parts[-2:])


if __name__ == "__main__":
    main()
