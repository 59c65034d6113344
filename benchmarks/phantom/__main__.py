"""Measures what the simulator must show, and writes `docs/phantom.md` with its contact sheet.

    python -m benchmarks.phantom                       # everything; an hour on two cores
    python -m benchmarks.phantom --only speed,physics  # these anew, the others as last measured
    python -m benchmarks.phantom --only none           # the page anew from what was measured

Each topic's result is kept as JSON under `runs/phantom-evidence/`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.phantom.page import Topic, page
from benchmarks.phantom.row import Row

ROOT = Path(__file__).resolve().parents[2]
# In the order of the page. Each module has `rows(n, seed)`, and may have `tables(n, seed)`: title to Markdown.
TOPICS: dict[str, str] = {
    "population": "benchmarks.phantom.population",
    "physics": "benchmarks.phantom.physics",
    "classes": "benchmarks.phantom.classes",
    "realness": "benchmarks.phantom.realness",
    "levels": "benchmarks.phantom.levels",
    "real": "benchmarks.phantom.real",
    "model": "benchmarks.phantom.model",
    "speed": "benchmarks.phantom.speed",
}
SHEET_N, SHEET_SEED = 24, 24
SHEET_COLOURS = 128


def measure(name: str, options: dict[str, int]) -> Topic:
    """Run one topic."""
    module = importlib.import_module(TOPICS[name])
    started = time.perf_counter()
    # A comparison of numpy numbers gives numpy's own bool, which JSON does not know.
    rows = tuple(replace(row, met=None if row.met is None else bool(row.met)) for row in module.rows(**options))
    tables: dict[str, str] = module.tables(**options) if hasattr(module, "tables") else {}
    seconds = time.perf_counter() - started
    return Topic(name, rows, tables, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_commit()}, {seconds:.0f} s")


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD")
    if not commit:
        return "no commit known"
    return f"commit {commit}" + (" with changes on top" if git("status", "--porcelain", "src", "benchmarks") else "")


def save(topic: Topic, folder: Path) -> None:
    """Keep a topic's result."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{topic.name}.json").write_text(json.dumps(asdict(topic), indent=1) + "\n", encoding="utf-8")


def load(name: str, folder: Path) -> Topic | None:
    """A topic's kept result, or None."""
    file = folder / f"{name}.json"
    if not file.is_file():
        return None
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Topic(kept["name"], tuple(Row(**row) for row in kept["rows"]), kept["tables"], kept["made"])


def draw_sheet(file: Path, n: int = SHEET_N, seed: int = SHEET_SEED) -> str:
    """Write the contact sheet; how it was made."""
    from spinecare.phantom.cohort import contact_sheet

    # Grey pictures with yellow lines need few colours; a full-colour PNG of grain would be three times as big. The rare
    # red name is too small to get a colour of its own by itself.
    sheet = contact_sheet(n, seed)
    colours = (sheet.quantize(SHEET_COLOURS).getpalette() or [])[: 3 * SHEET_COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + [part for red in range(60, 241, 30) for part in (red, red // 7, red // 6)])
    sheet.quantize(palette=palette, dither=Image.Dither.NONE).save(file, optimize=True)
    return f"`spinecare phantom show --n {n} --seed {seed}`"


def numbers(texts: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of ["speed=30"]: {"speed": {"n": 30}}."""
    pairs = (text.split("=") for text in texts)
    return {name: {"n": int(n)} for name, n in pairs}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.phantom", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="topics to measure anew, with commas; 'none' for none")
    parser.add_argument("--n", action="append", default=[], metavar="TOPIC=N", help="another n for a topic")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "phantom.md")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "phantom-evidence")
    options = parser.parse_args(arguments)
    wanted = list(TOPICS) if options.only is None else [one for one in options.only.split(",") if one != "none"]
    if unknown := [name for name in wanted if name not in TOPICS]:
        parser.error(f"no such topic: {', '.join(unknown)}; there are {', '.join(TOPICS)}")
    sizes = numbers(options.n)
    failed = []
    for name in wanted:
        print(f"{name} ...", flush=True)
        try:
            topic = measure(name, sizes.get(name, {}))
        except Exception:  # an hour of other topics must not be lost to one of them
            traceback.print_exc()
            failed.append(name)
            continue
        save(topic, options.runs)
        for row in topic.rows:
            print(f"  {'no ' if row.met is False else ''}{row.what}: {row.measured}", flush=True)
    sheet = draw_sheet(options.out.parent / "phantom-sheet.png")
    kept = {name: load(name, options.runs) for name in TOPICS}
    there = [topic for topic in kept.values() if topic is not None]
    options.out.write_text(page(there, [name for name in TOPICS if kept[name] is None], sheet), encoding="utf-8")
    print(options.out)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}; the page has what was kept of them")


if __name__ == "__main__":
    main()
