"""What finished runs left on disk, opened: a study, claims, audit, ablations, a search, bounds, reports of bundles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinecare.study.decisions import DECISIONS_FILE
from spinecare.study.summary import Summary, read_summary

STUDY = "spinecare study MANIFEST --config CONFIG --out RUN"
CLAIMS = "spinecare claims MANIFEST --out RUN"
TUNE = "spinecare tune MANIFEST --config SEARCH --trials N --out RUN"
LOOK = 'python benchmarks/look.py --this-is-a-look "REASON" --report REPORT'
VIRTUAL = "python -m benchmarks.phantom.model --n 2100 --report REPORT"


@dataclass(frozen=True, eq=False)
class Found:
    """What was given, each None where it was not.

    study, decisions
        The study's figures, and what its decisions are worth.
    claims, audit, ablations, tuning, bounds
        What the commands wrote, as JSON values.
    look, virtual
        `metrics.json` of a bundle's report on real scans, and on virtual test people.
    pages
        Part → a page in Markdown that its command wrote.
    paths
        Part → where it was read from.
    """

    study: Summary | None = None
    decisions: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    audit: dict[str, Any] | None = None
    ablations: dict[str, Any] | None = None
    tuning: dict[str, Any] | None = None
    bounds: dict[str, Any] | None = None
    look: dict[str, Any] | None = None
    virtual: dict[str, Any] | None = None
    pages: dict[str, str] | None = None
    paths: dict[str, Path] | None = None


# Part → the JSON file that its command leaves in a run's folder.
FILES = {
    "claims": "claims.json",
    "audit": "audit.json",
    "ablations": "ablate.json",
    "tuning": "tuned.json",
    "bounds": "bounds.json",
    "look": "metrics.json",
    "virtual": "metrics.json",
}


def find(given: dict[str, Path | None]) -> Found:
    """Open what was given.

    Parameters
    ----------
    given
        Part → a run's folder, or the file itself.

    Raises
    ------
    SystemExit
        When something was given that is not there or cannot be read; what was not given is no mistake.
    """
    read: dict[str, Any] = {}
    pages: dict[str, str] = {}
    for part, file in FILES.items():
        path = given.get(part)
        if path is None:
            continue
        path = path / file if path.is_dir() else path
        try:
            read[part] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{part}: {path} cannot be read ({error}). Give the folder of a finished run.") from error
        page = path.with_suffix(".md")
        if part not in ("look", "virtual") and page.is_file():
            pages[part] = page.read_text("utf-8")
    run = given.get("study")
    if run is not None:
        read["study"] = read_summary(run)
        kept = run / DECISIONS_FILE
        read["decisions"] = json.loads(kept.read_text("utf-8")) if kept.is_file() else None
    return Found(**read, pages=pages, paths={part: path for part, path in given.items() if path is not None})
