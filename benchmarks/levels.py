"""How well the image alone finds L1-L4: against the operator's yellow boxes on the real Hologic pictures.

    python benchmarks/levels.py                     # the default bundle's way, both halves, a table
    python benchmarks/levels.py --locator image     # image processing, without a network
    python benchmarks/levels.py --bundle runs/x/bundle --half dev --each   # one line a scan, worst last
    python benchmarks/levels.py --half dev --sheet sheet.png --worst

Each scan has five boundaries: the top of L1, L1/L2, L2/L3, L3/L4 and the bottom of L4. They are read where
the middle column of the operator's box crosses them, since separators may slant. The error of a boundary is
its distance in rows over the mean height of a level in that scan. The drawing is taken off before the picture is
looked at. Shares are of all scans (what is refused counts as missed) and, beside that, of those that were told.
Dice compares the bone that was found with the region inside the operator's bone outline. Scans of even group
number are for development, those of odd group number are held out: nothing is tuned on them. No label of the
manifest is read.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spinecare.bundle.read import open_level_network, open_levels
from spinecare.io.read import read_scan
from spinecare.prepare.locate import Located, Locator, locate_levels
from spinecare.prepare.network import locator
from spinecare.prepare.pipeline import clean_scan, find_levels
from spinecare.scan import Level, Scan

SPINE_DXA = Path(__file__).resolve().parents[2] / "shared" / "data" / "spine_dxa"
BOUNDARIES = ("L1 top", "L1/L2", "L2/L3", "L3/L4", "L4 bottom")
WITHIN = 0.15
MISNUMBERED = 0.5

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One scan.

    errors
        (5,) signed, in level heights: positive where the image's boundary lies below the operator's; nan when
        nothing was found.
    level_height
        Mean height of a level in rows of the scan.
    operator, found
        (5,) rows of the boundaries at `columns` (5,).
    dice
        Of the bone found and the operator's outline; nan without an outline, or when nothing was found.
    """

    name: str
    held_out: bool
    errors: Float
    level_height: float
    confidence: float
    operator: Float
    found: Float
    columns: Float
    dice: float = math.nan


def crossing(polygon: npt.ArrayLike, column: float) -> tuple[float, float]:
    """First and last row where a polygon (points, 2) of (row, col) meets a column, moved into its range."""
    p = np.asarray(polygon, dtype=float)
    q = np.roll(p, -1, axis=0)
    c = float(np.clip(column, p[:, 1].min() + 1e-3, p[:, 1].max() - 1e-3))
    cut = (p[:, 1] - c) * (q[:, 1] - c) <= 0
    cut &= p[:, 1] != q[:, 1]
    a, b = p[cut], q[cut]
    rows = a[:, 0] + (c - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return float(rows.min()), float(rows.max())


def boundaries(levels: Sequence[Level], columns: Float) -> Float:
    """Rows (5,) of the boundaries of four levels at `columns` (5,); between two levels it is their mean."""
    below = [crossing(level.polygon, columns[i])[0] for i, level in enumerate(levels)]
    above = [crossing(level.polygon, columns[i + 1])[1] for i, level in enumerate(levels)]
    inner = [(above[i] + below[i + 1]) / 2 for i in range(len(levels) - 1)]
    return np.array([below[0], *inner, above[-1]])


def middle_columns(levels: Sequence[Level]) -> Float:
    """The middle column (5,) of the operator's box at each boundary."""
    middle = [(np.min(level.polygon[:, 1]) + np.max(level.polygon[:, 1])) / 2 for level in levels]
    return np.array([middle[0], *[(a + b) / 2 for a, b in pairwise(middle)], middle[-1]])


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Overlap of two regions: 2 |a and b| / (|a| + |b|) (Dice 1945)."""
    size = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / size if size else math.nan


def bone_of(located: Located) -> npt.NDArray[np.bool_]:
    """The bone found, bool (rows, cols): the network's, or the band between L1's top and L4's bottom."""
    if located.bone is not None:
        return located.bone
    rows = len(located.centre)
    # The picture's width is not known here: as far as the boxes reach.
    cols = int(max(level.polygon[:, 1].max() for level in located.levels)) + 2
    row, col = np.arange(rows)[:, None], np.arange(cols)[None]
    inside = (col >= located.left[:, None]) & (col <= located.right[:, None])
    return inside & (row >= located.boundaries[0]) & (row <= located.boundaries[-1])


def overlap(located: Located, outline: npt.NDArray[np.bool_] | None) -> float:
    """Dice of what was found and the region inside the operator's outline; nan where there is none of either."""
    if outline is None or not located.levels:
        return math.nan
    bone = bone_of(located)
    whole = np.zeros(outline.shape, dtype=np.bool_)
    cols = min(outline.shape[1], bone.shape[1])
    whole[:, :cols] = bone[:, :cols]
    return dice(whole, outline)


def compare(scan: Scan, name: str, held_out: bool, locate: Locator = locate_levels) -> Row | None:
    """Errors of one scan, or None when it has no four operator boxes to compare with."""
    found = find_levels(scan, locate)
    operator, image = found.overlay.levels, found.located.levels
    if len(operator) != 4:
        return None
    columns = middle_columns(operator)
    truth = boundaries(operator, columns)
    height = float((truth[-1] - truth[0]) / 4)
    rows = boundaries(image, columns) if len(image) == 4 else np.full(5, np.nan)
    confidence = float(found.located.confidence)
    same = overlap(found.located, found.overlay.bone_outline)
    return Row(name, held_out, (rows - truth) / height, height, confidence, truth, rows, columns, same)


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927, 10.1080/01621459.1927.10502953)."""
    if n == 0:
        return math.nan, math.nan
    p = hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_share(hits: npt.NDArray[np.bool_], n_boot: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the share in (scans, boundaries), whole scans drawn with replacement."""
    if not len(hits):
        return math.nan, math.nan
    draws = np.random.default_rng(seed).integers(0, len(hits), (n_boot, len(hits)))
    low, high = np.quantile(hits.mean(axis=1)[draws].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def share(hits: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A share of scans with its Wilson interval."""
    k, n = int(hits.sum()), len(hits)
    return {"share": k / n if n else math.nan, "hits": k, "n": n, "interval": wilson(k, n)}


def mean_and_interval(values: Float, n_boot: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The mean of the finite values with its percentile interval (bootstrap over scans), and the share from 0.85 on."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"mean": math.nan, "n": 0, "interval": (math.nan, math.nan), "at_least_085": math.nan}
    draws = np.random.default_rng(seed).integers(0, len(known), (n_boot, len(known)))
    low, high = np.quantile(known[draws].mean(axis=1), (0.025, 0.975))
    least = float((known >= 0.85).mean())
    return {"mean": float(known.mean()), "n": len(known), "interval": (float(low), float(high)), "at_least_085": least}


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of one half."""
    errors = np.array([r.errors for r in rows]).reshape(-1, 5)
    found = np.isfinite(errors).all(axis=1)
    inside = np.abs(errors) <= WITHIN  # nan compares False: a scan that was not found counts as missed
    shift = np.median(errors, axis=1)
    seen = errors[found]
    return {
        "scans": len(rows),
        "found": share(found),
        "boundaries_within": {
            "share": float(inside.mean()) if len(rows) else math.nan,
            "hits": int(inside.sum()),
            "n": int(inside.size),
            "interval": bootstrap_share(inside),
        },
        "all_five_within": share(inside.all(axis=1)),
        "told_boundaries_within": {
            "share": float(inside[found].mean()) if found.any() else math.nan,
            "hits": int(inside[found].sum()),
            "n": int(inside[found].size),
            "interval": bootstrap_share(inside[found]),
        },
        "told_all_five_within": share(inside[found].all(axis=1)),
        "told_misnumbered": share(np.abs(shift[found]) > MISNUMBERED),
        "dice": mean_and_interval(np.array([r.dice for r in rows])),
        "misnumbered": share(found & (np.abs(shift) > MISNUMBERED)),
        "one_too_low": int((found & (shift > MISNUMBERED)).sum()),
        "one_too_high": int((found & (shift < -MISNUMBERED)).sum()),
        "by_boundary": {
            name: {
                "within": float(inside[:, i].mean()) if len(rows) else math.nan,
                "median_signed": float(np.median(seen[:, i])) if len(seen) else math.nan,
                "median_absolute": float(np.median(np.abs(seen[:, i]))) if len(seen) else math.nan,
                "p90_absolute": float(np.quantile(np.abs(seen[:, i]), 0.9)) if len(seen) else math.nan,
            }
            for i, name in enumerate(BOUNDARIES)
        },
    }


def draw_sheet(rows: Iterable[Row], folder: Path, out: Path, width: int = 8, cell: int = 224) -> None:
    """Contact sheet: the picture without overlay, the operator's boundaries yellow, the image's cyan."""
    from PIL import Image, ImageDraw

    tiles = []
    for row in rows:
        clean = clean_scan(read_scan(folder / row.name)).clean
        picture = Image.fromarray(np.uint8(np.clip(clean, 0, 1) * 255)).convert("RGB").resize((cell, cell))
        draw = ImageDraw.Draw(picture)
        scale = np.array([cell / clean.shape[0], cell / clean.shape[1]])
        for lines, colour, left, right in (
            (row.operator, "yellow", -0.6, 0.2),
            (row.found, "cyan", -0.2, 0.6),
        ):
            for line, column in zip(lines, row.columns, strict=True):
                if np.isfinite(line):
                    ends = (column + left * 60) * scale[1], (column + right * 60) * scale[1]
                    draw.line([(ends[0], line * scale[0]), (ends[1], line * scale[0])], fill=colour, width=2)
        worst = np.max(np.abs(row.errors)) if np.isfinite(row.errors).all() else math.nan
        draw.text((3, 3), f"{Path(row.name).stem} {worst:.2f} c{row.confidence:.2f}", fill="white")
        tiles.append(picture)
    sheet = Image.new("RGB", (width * cell, max(1, -(-len(tiles) // width)) * cell))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % width * cell, i // width * cell))
    sheet.save(out)


def read_rows(folder: Path, half: str, locate: Locator = locate_levels) -> tuple[list[Row], list[str], float]:
    """Compare the first picture of every group: rows, names without four operator boxes, seconds a scan."""
    with (folder / "manifest.csv").open(newline="") as file:
        entries = [e for e in csv.DictReader(file) if e["first_of_group"] == "1"]
    rows: list[Row] = []
    without: list[str] = []
    started = time.perf_counter()
    read = 0
    for entry in entries:
        held_out = int("".join(filter(str.isdigit, entry["group"]))) % 2 == 1
        if half != "both" and held_out != (half == "held"):
            continue
        read += 1
        row = compare(read_scan(folder / entry["path"]), entry["path"], held_out, locate)
        if row is None:
            without.append(entry["path"])
        else:
            rows.append(row)
    return rows, without, (time.perf_counter() - started) / max(1, read)


def print_summary(name: str, figures: dict[str, Any]) -> None:
    """One half as text."""

    def line(text: str, key: str) -> None:
        f = figures[key]
        low, high = f["interval"]
        print(f"  {text:34s} {f['share']:6.1%}  [{low:.1%}, {high:.1%}]  {f['hits']}/{f['n']}")

    print(f"{name}: {figures['scans']} scans")
    line("told (the rest is refused)", "found")
    line(f"boundaries within {WITHIN:.0%}", "boundaries_within")
    line(f"scans with all five within {WITHIN:.0%}", "all_five_within")
    line(f"mis-numbered (> {MISNUMBERED} level)", "misnumbered")
    line(f"of told: boundaries within {WITHIN:.0%}", "told_boundaries_within")
    line(f"of told: all five within {WITHIN:.0%}", "told_all_five_within")
    line("of told: mis-numbered", "told_misnumbered")
    d = figures["dice"]
    low, high = d["interval"]
    print(f"  {'Dice with the bone outline':34s} {d['mean']:6.3f}  [{low:.3f}, {high:.3f}]  n {d['n']}", end="")
    print(f"; at least 0.85 in {d['at_least_085']:.1%}")
    print(f"    too low {figures['one_too_low']}, too high {figures['one_too_high']}")
    for boundary, f in figures["by_boundary"].items():
        print(
            f"    {boundary:10s} within {f['within']:6.1%}  median signed {f['median_signed']:+.3f}"
            f"  median |e| {f['median_absolute']:.3f}  p90 |e| {f['p90_absolute']:.3f}"
        )


def open_locator(folder: Path | None) -> Locator | None:
    """The way of a bundle with a level network, or of a folder that `spinecare levels-train` left."""
    if folder is not None and (folder / "levels.json").is_file():
        from spinecare.learn.levels_data import read_levels

        spec = read_levels(folder)
        return locator(open_level_network(spec, (folder / spec.model).read_bytes()))
    network = open_levels(folder)
    return None if network is None else locator(network)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=SPINE_DXA, help="folder with manifest.csv")
    parser.add_argument("--half", choices=("dev", "held", "both"), default="both")
    parser.add_argument("--locator", choices=("network", "image"), default="network", help="how levels are found")
    parser.add_argument(
        "--bundle", type=Path, help="a bundle, or a folder of `levels-train`; else the package's bundle"
    )
    parser.add_argument("--each", action="store_true", help="one line a scan, worst last")
    parser.add_argument("--sheet", type=Path, help="draw a contact sheet there (look at it; never commit it)")
    parser.add_argument("--worst", action="store_true", help="sheet in the order of the worst boundary first")
    parser.add_argument("--limit", type=int, default=64, help="pictures on the sheet")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    locate = locate_levels if options.locator == "image" else open_locator(options.bundle)
    if locate is None:
        parser.error("this bundle has no level network; name another with --bundle, or say --locator image")
    rows, without, seconds = read_rows(options.folder, options.half, locate)
    halves = {
        "development half (even groups)": [r for r in rows if not r.held_out],
        "held-out half (odd groups)": [r for r in rows if r.held_out],
    }
    figures = {name: summarise(part) for name, part in halves.items() if part}
    if options.json:
        print(json.dumps({"halves": figures, "without_operator_boxes": without, "seconds_per_scan": seconds}))
    else:
        for name, part in figures.items():
            print_summary(name, part)
        print(f"no four operator boxes read: {len(without)} {without}; {seconds * 1000:.0f} ms a scan")
    worst_first = sorted(rows, key=lambda r: -np.nan_to_num(np.abs(r.errors), nan=9.0).max())
    if options.each:
        for r in reversed(worst_first):
            print(f"{r.name:24s} c{r.confidence:.2f} " + " ".join(f"{e:+.2f}" for e in r.errors))
    if options.sheet:
        draw_sheet((worst_first if options.worst else rows)[: options.limit], options.folder, options.sheet)


if __name__ == "__main__":
    main()
