"""The words and the layout of `docs/phantom.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.phantom.row import Row

HEAD = """\
# Virtual patients: the DXA simulator and its evidence

Made by `make phantom-evidence`; do not edit by hand (the words stand in `benchmarks/phantom/page.py`).

`spinecare.phantom` makes people, not pictures: the picture is what comes out at the end of the same way that a
real one takes, and everything on that way is known.

1. **Who** (`population.py`): sex, age, ethnicity, height, weight, BMD and area of L1–L4 as NHANES 2017–2020
   measured them, younger adults from published means, degeneration by itself, and how fat lies.
2. **Bones** (`skeleton.py`, `vertebra.py`, `ribs.py`, `pelvis.py`): T9–L5 in three dimensions, each vertebra on
   its own grid with shell, endplates, arch and processes, ribs, sacrum and iliac crests; trabecular bone is a
   random field (`trabeculae.py`). `anatomy.py` projects them as the person lies on the table, and each level
   keeps the BMD and area that was drawn.
3. **Physics** (`body.py`, `xray.py`, `densitometer.py`): soft tissue, two tube spectra, Beer–Lambert, scatter,
   counts; then two-material decomposition, a soft-tissue baseline and calibration. What the densitometer
   *reads* differs from what was drawn, as in life.
4. **Picture** (`scanner.py`): window, resampling, and the operator's ROI burned in.
5. **Truth** (`cohort.py`, `truth.py`): BMD as drawn and as measured, T-score and class (both of the *measured*
   BMD), the part of the spine that each pixel shows, boxes, Cobb angle, fractures.

![Twenty-four virtual scans, no class chosen](phantom-sheet.png)

Twenty-four virtual people as they come ({sheet}); none was picked.
"""

TAIL = """\
## Commands

```
spinecare phantom make --n 1000 --seed 1 --out cohort              # pictures, label maps, manifest.csv, truth.csv
spinecare phantom make --n 1000 --seed 1 --out even --balance      # a third of each class, with sampling weights
spinecare phantom make --n 20000 --seed 1 --out people --truth-only  # people without pictures
spinecare phantom show --n 24 --truth --out sheet.png              # a contact sheet with the truth over it
make phantom-evidence                                              # everything on this page anew (an hour)
python -m benchmarks.phantom --only speed,population               # these topics anew, the others as last measured
```

The same seed and index give the same person and the same pixels, whatever the number of processes. An
interrupted `make` goes on where it stopped. `measured_by` in `truth.csv` says whether a scan was simulated
(`scan`) or only its error drawn (`estimate`, with `--truth-only`). With `--balance`, `weight` leads back to
people as they come: `docs/decisions/balance-by-importance.md`.

## Limits

- The real pictures that the look was set on are Hologic screen crops of one source with unknown settings; only
  their look was used (even scan groups), never a diagnosis. The iDXA style was set on a single scan.
- NHANES has no spine scans below 50 in these years; younger people come from published means, their
  correlations from the older.
- Complete cases only: the oldest men with heavy degeneration are mostly missing from NHANES' valid levels;
  degeneration is fitted to the invalidity codes instead.
- No metal, no contrast agent, no vertebroplasty, no laminectomy, no transitional vertebrae, no movement during
  the scan.
- What a network learns here it learns from this simulator. The row "real against virtual" says how well the two
  can still be told apart.
"""


@dataclass(frozen=True)
class Topic:
    """What one topic measured: rows, further tables (title to Markdown), and how it was made."""

    name: str
    rows: tuple[Row, ...]
    tables: dict[str, str] = field(default_factory=dict)
    made: str = ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def table(topics: Sequence[Topic]) -> str:
    """Rows of all topics as one Markdown table, their notes numbered below it."""
    lines = ["| what | at least | measured | met |", "|---|---|---|---|"]
    notes: list[str] = []
    for topic in topics:
        for row in topic.rows:
            mark = {True: "yes", False: "**no**", None: ""}[row.met]
            what = _cell(row.what)
            if row.note:
                notes.append(f"{len(notes) + 1}. {_cell(row.note)}")
                what += f" ({len(notes)})"
            lines.append(f"| {what} | {_cell(row.asked)} | {_cell(row.measured)} | {mark} |")
    return "\n".join(lines) + ("\n\nNotes:\n\n" + "\n".join(notes) if notes else "")


def page(topics: Sequence[Topic], missing: Sequence[str], sheet: str) -> str:
    """The whole page.

    Parameters
    ----------
    topics
        In the order of the page.
    missing
        Names of topics that have not been measured yet; the page says so.
    sheet
        How the contact sheet was made.
    """
    parts = [HEAD.format(sheet=sheet), "## Evidence\n", table(topics)]
    if missing:
        parts.append(f"\nNot measured yet: {', '.join(missing)}.")
    for topic in topics:
        for title, text in topic.tables.items():
            parts.append(f"\n### {title}\n\n{text.strip()}")
    parts.append("\n" + TAIL.rstrip())
    made = "\n".join(f"- {topic.name}: {topic.made}" for topic in topics if topic.made)
    if made:
        parts.append(f"\n## When this was measured\n\n{made}")
    return "\n".join(parts) + "\n"
