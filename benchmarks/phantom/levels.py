"""Levels on real scans, the overlay taken off: the bundle's network, from virtual patients, and image processing."""

from __future__ import annotations

from typing import Any

from benchmarks.levels import SPINE_DXA, open_locator, read_rows, summarise
from benchmarks.phantom.row import Row
from spinecare.prepare.locate import locate_levels

AT_LEAST = 0.85


def _share(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['share']:.1%} [{low:.1%}, {high:.1%}]"


def rows() -> list[Row]:
    """The rows of `docs/phantom.md` about levels; none where there are no real scans or the bundle has no network."""
    network = open_locator(None)
    if network is None or not SPINE_DXA.is_dir():
        return []
    read = {way: read_rows(SPINE_DXA, "both", locate)[0] for way, locate in (("n", network), ("i", locate_levels))}

    def told(key: str, put: Any = _share) -> str:
        every = {way: put(summarise(part)[key]) for way, part in read.items()}
        halves = {
            name: put(summarise([r for r in read["n"] if r.held_out == held])[key])
            for name, held in (("even", False), ("odd", True))
        }
        return f"{every['n']}; even half {halves['even']}, odd half {halves['odd']}; image processing {every['i']}"

    def dice(figure: dict[str, Any]) -> str:
        return f"{figure['mean']:.3f} [{figure['interval'][0]:.3f}, {figure['interval'][1]:.3f}]"

    whole = summarise(read["n"])
    n = whole["scans"]
    return [
        Row(
            f"levels from the image alone, {n} real crops, yellow lines taken off first: scans with all five "
            "boundaries within 15 % of a level's height",
            f"{AT_LEAST:.0%}",
            told("all_five_within"),
            whole["all_five_within"]["share"] >= AT_LEAST,
            "Refused scans count as missed. Augmentation, weights and limits were chosen on the even half. Labels of "
            "the manifest are not read.",
        ),
        Row("the same: boundaries within 15 %", "report", told("boundaries_within"), None),
        Row(
            "the same: refused, as the number is not sure",
            "report",
            f"{1 - whole['found']['share']:.1%} ({n - whole['found']['hits']} of {n})",
            None,
        ),
        Row(
            "the same: numbered otherwise than the operator did",
            "report",
            told("misnumbered"),
            None,
            "Image processing refuses none. The operator is the reference, also where a rib joins what they call L1.",
        ),
        Row(
            "Dice of the bone found against the region inside the yellow outline, of told scans",
            f"{AT_LEAST}",
            told("dice", dice),
            whole["dice"]["mean"] >= AT_LEAST,
        ),
    ]


if __name__ == "__main__":
    for row in rows():
        print(f"{row.what}\n  {row.measured}")
