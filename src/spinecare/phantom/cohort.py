"""Whole cohorts of virtual patients: the same person for the same seed and index, whoever draws it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from spinecare.errors import PhantomError
from spinecare.phantom import anatomy, population, scanner
from spinecare.phantom.population import People
from spinecare.phantom.scanner import STYLES, Framing, Style
from spinecare.scan import LABELS, LEVEL_NAMES, Float32, Patient, Scan, Source, Truth, View

GENERATOR = "spinecare phantom 1"
DEVICES: dict[Style, str] = {"hologic": "virtual Hologic", "idxa": "virtual GE Lunar iDXA"}
_PERSON, _PLACE, _PIXELS, _OVERLAY = range(4)  # streams of randomness of one index, so that none shifts another


def _rng(seed: int, index: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, index, stream])


def draw_person(seed: int, index: int, balance: bool = False) -> tuple[People, float]:
    """One person (a table of one row) and their sampling weight.

    With `balance` the classes take turns, and the weight is the class's share among unbalanced people
    over one third.
    """
    rng = _rng(seed, index, _PERSON)
    if not balance:
        return population.draw_people(rng, 1), 1.0
    label = LABELS[index % len(LABELS)]
    return population.draw_of_class(rng, label), population.prevalence()[label] * len(LABELS)


def draw_scan(
    seed: int, index: int, style: Style = "hologic", *, balance: bool = False, overlay: bool = True
) -> tuple[Scan, Truth, People]:
    """Draw one virtual patient with the scan and the truth beside it.

    Parameters
    ----------
    seed, index
        The same two numbers give the same person and the same pixels.
    style
        "hologic": 224 x 224 screen crop with the operator's ROI burned in yellow, aspect lost. "idxa": grey,
        780 x 716 at 0.25 mm.
    balance
        As in `draw_person`.
    overlay
        False leaves the ROI away; nothing else changes.

    Returns
    -------
    scan, truth, person
        `truth.masks` and `truth.polygons` in pixels of the scan; `person` is a table of one row.

    Raises
    ------
    PhantomError
        For a style that does not exist.
    """
    if style not in STYLES:
        raise PhantomError(f"There is no style {style!r}. Choose one of {', '.join(STYLES)}.")
    person, _ = draw_person(seed, index, balance)
    spine, framing = _plan(person, seed, index, style)
    rng = _rng(seed, index, _PIXELS)
    drawn = anatomy.draw(person, spine, framing.grid, rng)
    grey = np.rint(scanner.expose(drawn, person, framing.grid, style, rng)).astype(np.float32)
    colour = None
    if style == "hologic":
        layers = scanner.overlay_of(framing, drawn.masks, _rng(seed, index, _OVERLAY))
        none = np.zeros_like(grey)
        colour = scanner.burn(grey, *(layers if overlay else (none, none)))
        # As a reader of the file would make it: ITU-R BT.601 luma, in whole grey levels.
        grey = np.asarray(Image.fromarray(colour).convert("L"), dtype=np.float32)
    key = f"v{seed}-{index:06d}"
    known = style == "idxa"
    scan = Scan(
        pixels=grey,
        white=255.0,
        source=Source(key, hashlib.sha256(grey.tobytes()).hexdigest(), "image/png"),
        patient=_patient(person, key),
        colour=colour,
        spacing_mm=(framing.grid.mm_row, framing.grid.mm_col) if known else None,
        spacing_source="simulated" if known else "unknown",
        view=View.AP_SPINE,
        device=DEVICES[style],
    )
    truth = Truth(
        bmd_g_cm2=_by_level(person.bmd),
        bmd_measured_g_cm2=_by_level(person.measured),
        area_cm2=_by_level(person.area),
        t_score=float(person.t_score[0]),
        label=population.label_of(float(person.t_score[0])),
        masks=dict(zip(LEVEL_NAMES, drawn.masks, strict=True)),
        polygons=framing.polygons(),
        cobb_deg=spine.cobb_deg,
        fracture_grade=spine.fracture_grade,
    )
    return scan, truth, person


def _plan(person: People, seed: int, index: int, style: Style) -> tuple[anatomy.Spine, Framing]:
    rng = _rng(seed, index, _PLACE)
    spine = anatomy.place(person, rng)
    return spine, scanner.frame(spine, style, rng)


def _by_level(values: population.Float) -> dict[str, float]:
    return dict(zip(LEVEL_NAMES, map(float, values[0]), strict=True))


def _patient(person: People, key: str) -> Patient:
    return Patient(
        key=key,
        sex="F" if person.sex[0] == "F" else "M",
        age_years=float(person.age_years[0]),
        height_cm=float(person.height_cm[0]),
        weight_kg=float(person.weight_kg[0]),
        ethnicity=str(person.ethnicity[0]),
    )


def make_cohort(
    n: int,
    seed: int,
    style: Style = "hologic",
    out: Path = Path("cohort"),
    balance: bool = False,
    truth_only: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make a folder of virtual patients: `images/`, `manifest.csv`, `truth.csv`, `cohort.json`.

    Pictures that are there already are kept, so an interrupted call goes on where it stopped.

    Parameters
    ----------
    n, seed, style, balance
        What to draw; as in `draw_scan`.
    out
        The folder; it may hold an unfinished cohort of the same settings.
    truth_only
        Draw people without pictures; only `truth.csv` is written.
    workers
        Processes; 1 stays in this one. None takes as many as there are processors.
    progress
        Called with (done, n) now and then.

    Returns
    -------
    Path
        Of `manifest.csv` (of `truth.csv` with `truth_only`).

    Raises
    ------
    PhantomError
        For n below 1, an unknown style, or a folder that holds another cohort.
    """
    if n < 1:
        raise PhantomError(f"Cannot make a cohort of {n}. Ask for at least one person.")
    if style not in STYLES:
        raise PhantomError(f"There is no style {style!r}. Choose one of {', '.join(STYLES)}.")
    out.mkdir(parents=True, exist_ok=True)
    _same_cohort(out, {"generator": GENERATOR, "seed": seed, "style": style, "balance": balance})
    if not truth_only:
        (out / "images").mkdir(exist_ok=True)
    work = partial(_make_one, seed=seed, style=style, out=out, balance=balance, truth_only=truth_only)
    rows: list[dict[str, Any]] = []
    for row in _map(work, n, workers):
        rows.append(row)
        if progress is not None:
            progress(len(rows), n)
    _write(out / "truth.csv", [{k: v for k, v in row.items() if k not in MANIFEST_ONLY} for row in rows])
    if truth_only:
        return out / "truth.csv"
    # A clinic's manifest knows the BMD that was measured; the bone as drawn stands in truth.csv.
    measured = {f"bmd_l{i}": f"bmd_measured_l{i}" for i in range(1, 5)}
    _write(out / "manifest.csv", [{k: row[measured.get(k, k)] for k in MANIFEST_COLUMNS} for row in rows])
    return out / "manifest.csv"


MANIFEST_COLUMNS: tuple[str, ...] = (
    "path", "label", "patient_id", "age_years", "sex", "height_cm", "weight_kg",
    "bmd_l1", "bmd_l2", "bmd_l3", "bmd_l4", "t_score", "bmd_scale", "t_reference", "view", "device", "weight",
)  # fmt: skip
MANIFEST_ONLY = {"path", "bmd_scale", "t_reference", "view", "device"}


def _map(work: Callable[[int], dict[str, Any]], n: int, workers: int | None) -> Iterator[dict[str, Any]]:
    if workers == 1 or n < 8:
        yield from map(work, range(n))
        return
    with ProcessPoolExecutor(workers) as pool:
        try:
            yield from pool.map(work, range(n), chunksize=max(1, min(32, n // 16)))
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def _same_cohort(out: Path, settings: dict[str, Any]) -> None:
    file = out / "cohort.json"
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != settings:
        raise PhantomError(f"{out} holds a cohort of other settings. Choose another folder, or remove this one.")
    file.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _make_one(index: int, *, seed: int, style: Style, out: Path, balance: bool, truth_only: bool) -> dict[str, Any]:
    person, weight = draw_person(seed, index, balance)
    spine, framing = _plan(person, seed, index, style)
    key = f"v{seed}-{index:06d}"
    path = Path("images") / (key + (".png" if style == "hologic" else ".dcm"))
    if not truth_only and not (out / path).is_file():
        scan, _, _ = draw_scan(seed, index, style, balance=balance)
        # Written under another name first: an interrupt never leaves half a picture that looks finished.
        part = out / f"{path}.part"
        part.write_bytes(_encode(scan))
        part.rename(out / path)
    return _row(person, weight, spine, framing, key) | {
        "path": path.as_posix(),
        "bmd_scale": "hologic",
        "t_reference": f"{population.t_reference()['name']} v{population.t_reference()['version']}",
        "view": str(View.AP_SPINE),
        "device": DEVICES[style],
    }


def _row(person: People, weight: float, spine: anatomy.Spine, framing: Framing, key: str) -> dict[str, Any]:
    levels = [name.lower() for name in LEVEL_NAMES]
    row: dict[str, Any] = {
        "patient_id": key,
        "sex": str(person.sex[0]),
        "age_years": round(float(person.age_years[0]), 1),
        "ethnicity": str(person.ethnicity[0]),
        "height_cm": round(float(person.height_cm[0]), 1),
        "weight_kg": round(float(person.weight_kg[0]), 1),
        "weight": round(weight, 6),
    }
    # The order of DESIGN 7; what it does not name comes after.
    for name, values in (("bmd", person.bmd), ("area", person.area)):
        row |= _per_level(name, values)
    row |= {
        "bmd_total": round(float(person.bmd_total[0]), 4),
        "bmd_measured_total": round(float(person.bmd_measured_total[0]), 4),
        "t_score": round(float(person.t_score[0]), 4),
        "label": str(person.label[0]),
        "cobb_deg": round(spine.cobb_deg, 2),
    }
    row |= _per_level("bmd_measured", person.measured)
    for level, grade, polygon in zip(levels, spine.fracture_grade.values(), framing.polygons().values(), strict=True):
        row |= {f"fracture_{level}": grade, f"polygon_{level}": polygon_text(polygon)}
    return row


def _per_level(name: str, values: population.Float) -> dict[str, float]:
    """A table of one row, (1, 4), as columns name_l1 ... name_l4."""
    return {f"{name}_{level.lower()}": round(v, 4) for level, v in _by_level(values).items()}


def polygon_text(polygon: Float32) -> str:
    """A polygon (n, 2) as `truth.csv` keeps it: "row col" pairs, semicolons between."""
    return ";".join(f"{r:.2f} {c:.2f}" for r, c in polygon)


def polygon_from(text: str) -> Float32:
    """The polygon that `polygon_text` wrote, float32 (n, 2) (row, col)."""
    return np.array([pair.split() for pair in text.split(";")], dtype=np.float32)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _encode(scan: Scan) -> bytes:
    buffer = io.BytesIO()
    if scan.colour is not None:
        Image.fromarray(scan.colour).save(buffer, "PNG")
    else:
        from spinecare.phantom.dicom import write_dicom

        write_dicom(scan, buffer)
    return buffer.getvalue()


def contact_sheet(
    n: int,
    seed: int,
    style: Style = "hologic",
    *,
    balance: bool = False,
    truth: bool = False,
    overlay: bool = True,
) -> Image.Image:
    """n virtual patients side by side, each 224 pixels wide; `truth` draws level boxes and bone masks."""
    width, columns = 224, min(n, 6)
    sheet: Image.Image | None = None
    for index in range(n):
        scan, known, _ = draw_scan(seed, index, style, balance=balance, overlay=overlay)
        grey = scan.pixels.astype(np.uint8)
        tile = np.dstack([grey] * 3) if scan.colour is None else scan.colour.copy()
        if truth:
            tile = _with_truth(tile, known)
        height = round(width * tile.shape[0] / tile.shape[1])
        if sheet is None:
            sheet = Image.new("RGB", (columns * (width + 4), -(-n // columns) * (height + 4)))
        picture = Image.fromarray(tile).resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (index % columns * (width + 4), index // columns * (height + 4)))
    assert sheet is not None
    return sheet


def _with_truth(tile: npt.NDArray[np.uint8], truth: Truth) -> npt.NDArray[np.uint8]:
    bone = np.any(list(truth.masks.values()), axis=0)
    tile = np.where(bone[..., None], tile // 2 + np.array([0, 90, 40], np.uint8), tile)
    picture = Image.fromarray(tile)
    for polygon in truth.polygons.values():
        ImageDraw.Draw(picture).polygon([(float(c), float(r)) for r, c in polygon], outline=(255, 60, 160))
    return np.asarray(picture)
