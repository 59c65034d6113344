"""Truth on disk: the columns of `truth.csv` and `manifest.csv`, polygons as text, label maps as pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spinecare.phantom import population
from spinecare.phantom.maps import Float
from spinecare.phantom.population import People
from spinecare.scan import LEVEL_NAMES, Float32, Label, UInt8

MANIFEST_COLUMNS: tuple[str, ...] = (
    "path", "label", "patient_id", "age_years", "sex", "height_cm", "weight_kg",
    "bmd_l1", "bmd_l2", "bmd_l3", "bmd_l4", "t_score", "bmd_scale", "t_reference", "view", "device", "weight",
)  # fmt: skip
# A row also holds what only the manifest shows, and the raw weight that a cohort's own is made of.
NOT_IN_TRUTH = {"path", "bmd_scale", "t_reference", "view", "device", "raw_weight"}

# Label maps: what `Projection.parts` counts, in colours that a person can tell apart.
PART_NAMES: tuple[str, ...] = ("nothing", "L1", "L2", "L3", "L4", "spine above L1", "L5 and sacrum")
PART_COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178),
)  # fmt: skip


def by_level(values: Float) -> dict[str, float]:
    """(1, 4) or (4,) values by level name."""
    return dict(zip(LEVEL_NAMES, map(float, np.ravel(values)), strict=True))


def row_of(
    key: str,
    person: People,
    measured: Float,
    t_score: float,
    label: Label,
    measured_by: str,
    *,
    cobb_deg: float,
    fracture_grade: Mapping[str, int],
    polygons: Mapping[str, Float32] | None = None,
) -> dict[str, Any]:
    """One line of `truth.csv`, columns in the order of DESIGN 7; what it does not name comes after.

    Parameters
    ----------
    person
        One row of `People`.
    measured
        (4,) g/cm2, by a scan or as an estimate (`measured_by`).
    polygons
        In pixels of the picture; None where there is none, and the columns stay empty.
    """
    row: dict[str, Any] = {
        "patient_id": key,
        "sex": str(person.sex[0]),
        "age_years": round(float(person.age_years[0]), 1),
        "ethnicity": str(person.ethnicity[0]),
        "height_cm": round(float(person.height_cm[0]), 1),
        "weight_kg": round(float(person.weight_kg[0]), 1),
        "weight": 1.0,
    }
    row |= _per_level("bmd", person.bmd) | _per_level("area", person.area)
    share = person.area[0] / person.area[0].sum()
    row |= {
        "bmd_total": round(float(person.bmd_total[0]), 4),
        "bmd_measured_total": round(float(np.ravel(measured) @ share), 4),
        "t_score": round(t_score, 4),
        "label": str(label),
        "cobb_deg": round(float(cobb_deg), 2),
    }
    row |= _per_level("bmd_measured", measured)
    for name in LEVEL_NAMES:
        row |= {
            f"fracture_{name.lower()}": int(fracture_grade[name]),
            f"polygon_{name.lower()}": "" if polygons is None else polygon_text(polygons[name]),
        }
    row |= _per_level("degeneration", person.degeneration)
    return row | {"measured_by": measured_by}


def _per_level(name: str, values: Float) -> dict[str, float]:
    return {f"{name}_{level.lower()}": round(v, 4) for level, v in by_level(values).items()}


def t_reference_name() -> str:
    """The T-score's reference as the manifest names it."""
    reference = population.t_reference()
    return f"{reference['name']} v{reference['version']}"


def truth_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `truth.csv` shows of a row."""
    return {name: value for name, value in row.items() if name not in NOT_IN_TRUTH}


def manifest_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `manifest.csv` shows: a clinic knows the BMD that was measured; bone as drawn stands in `truth.csv`."""
    measured = {f"bmd_l{i}": f"bmd_measured_l{i}" for i in range(1, 5)}
    return {name: row[measured.get(name, name)] for name in MANIFEST_COLUMNS}


def polygon_text(polygon: Float32) -> str:
    """A polygon (n, 2) as `truth.csv` keeps it: "row col" pairs, semicolons between."""
    return ";".join(f"{r:.2f} {c:.2f}" for r, c in polygon)


def polygon_from(text: str) -> Float32:
    """The polygon that `polygon_text` wrote, float32 (n, 2) (row, col)."""
    return np.array([pair.split() for pair in text.split(";")], dtype=np.float32)


def parts_png(parts: UInt8) -> bytes:
    """A label map, uint8 (rows, cols) of 0-6, as a PNG with a palette."""
    image = Image.fromarray(parts, "P")
    image.putpalette([value for colour in PART_COLOURS for value in colour])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def read_parts(file: Path) -> UInt8:
    """The label map that `parts_png` wrote, uint8 (rows, cols)."""
    return np.asarray(Image.open(file), dtype=np.uint8)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows under another name first: an interrupt leaves the old file or the new one."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
