"""One virtual patient from person to picture: the rooms of the simulator, one after the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from spinecare.errors import PhantomError
from spinecare.phantom import anatomy, body, densitometer, population, roi_overlay, scanner, skeleton
from spinecare.phantom.balance import (
    BODY,
    DISPLAY,
    EXPOSURE,
    OVERLAY,
    PERSON,
    POSITION,
    SKELETON,
    Lot,
    of_class,
    total,
)
from spinecare.phantom.maps import BmdMap, Float, Projection, Visit
from spinecare.phantom.population import People
from spinecare.phantom.scanner import STYLES, Framing, Style
from spinecare.phantom.truth import by_level
from spinecare.scan import LEVEL_NAMES, Label, Patient, Scan, Source, Truth, UInt8, View

DEVICES: dict[Style, str] = {"hologic": "virtual Hologic", "idxa": "virtual GE Lunar iDXA"}

# How differently a person lies from one visit to the next, SD. Operators centre the spine within a centimetre and
# straighten it on the table within a degree or two; the pelvis rolls and the leg block flattens the lordosis by a few
# degrees more or less. What this does to BMD is checked by the short-term precision in docs/phantom.md.
SHIFT_X_MM, SHIFT_Y_MM, TURN_DEG, ROLL_DEG, FLEXION_DEG = 4.0, 8.0, 1.0, 2.0, 2.5


@dataclass(frozen=True, eq=False)
class Exposed:
    """A person after the scanner's arm has passed, before anything is displayed.

    measured
        float64 (4,): BMD of L1-L4 as the densitometer reads it, g/cm2.
    t_score, label
        From the measured L1-L4 BMD.
    """

    person: People
    lot: Lot
    visit: int
    projection: Projection
    bmd_map: BmdMap
    measured: Float
    t_score: float
    label: Label


def draw_visit(rng: np.random.Generator) -> Visit:
    """How a person lies on the table this time."""
    return Visit(
        shift_x_mm=float(rng.normal(0, SHIFT_X_MM)),
        shift_y_mm=float(rng.normal(0, SHIFT_Y_MM)),
        turn_deg=float(rng.normal(0, TURN_DEG)),
        roll_deg=float(rng.normal(0, ROLL_DEG)),
        flexion_deg=float(rng.normal(0, FLEXION_DEG)),
    )


def draw_person(lot: Lot) -> People:
    """The person of a lot as the population comes: a table of one row."""
    return population.draw_people(lot.rng(PERSON), 1)


def expose(person: People, lot: Lot, visit: int = 0) -> Exposed:
    """Lay a person on the table, scan them, and read their BMD.

    Parameters
    ----------
    person
        One row of `People`.
    lot
        Where the randomness of their shape and of this scan comes from.
    visit
        0 for the first scan; another number is the same person, laid down and scanned anew.
    """
    bones = skeleton.build(person, lot.rng(SKELETON))
    rng = lot.rng(POSITION, visit)
    plane = scanner.scan_plane(person)
    # The shape's other stream: trabeculae must not repeat the numbers that the sizes were made of.
    projection = anatomy.project(bones, person, plane, draw_visit(rng), lot.rng(SKELETON, 1))
    tissue = body.soft_tissue(person, projection, plane, lot.rng(BODY))
    bmd_map = densitometer.scan_bmd(projection, tissue, plane, lot.rng(EXPOSURE, visit))
    measured = np.asarray(densitometer.read_bmd(bmd_map, projection.masks), dtype=np.float64)
    t_score = float(population.t_score_of(total(person, measured[None]))[0])
    return Exposed(person, lot, visit, projection, bmd_map, measured, t_score, population.label_of(t_score))


def show(made: Exposed, style: Style, overlay: bool = True) -> tuple[Scan, Truth]:
    """Display a scan as a clinic exports it, with the truth in pixels of that picture.

    Parameters
    ----------
    made
        From `expose`.
    style, overlay
        As in `draw_scan`.
    """
    person, lot, projection = made.person, made.lot, made.projection
    plane = scanner.scan_plane(person, style)
    grey, framing = scanner.display(made.bmd_map, projection, plane, person, style, lot.rng(DISPLAY, made.visit))
    grey = np.rint(grey)
    colour = None
    if style == "hologic":
        drawing = None
        if overlay:
            rng = lot.rng(OVERLAY, made.visit)
            drawing = roi_overlay.overlay_of(framing, made.bmd_map, projection, plane, rng)
        colour = roi_overlay.burn(grey, drawing)
        # As a reader of the file would make it: ITU-R BT.601 luma, in whole grey levels.
        grey = np.asarray(Image.fromarray(colour).convert("L"), dtype=np.float32)
    known = style == "idxa"
    scan = Scan(
        pixels=grey,
        white=255.0,
        source=Source(lot.key, hashlib.sha256(grey.tobytes()).hexdigest(), "image/png"),
        patient=_patient(person, lot.key),
        colour=colour,
        spacing_mm=framing.spacing_mm if known else None,
        spacing_source="simulated" if known else "unknown",
        view=View.AP_SPINE,
        device=DEVICES[style],
    )
    parts = _parts_shown(projection.parts, framing)
    truth = Truth(
        bmd_g_cm2=by_level(person.bmd),
        bmd_measured_g_cm2=by_level(made.measured),
        area_cm2=by_level(person.area),
        t_score=made.t_score,
        label=made.label,
        masks={name: parts == number for number, name in enumerate(LEVEL_NAMES, 1)},
        polygons=framing.polygons(),
        cobb_deg=projection.cobb_deg,
        fracture_grade={name: projection.fracture_grade[name] for name in LEVEL_NAMES},
        parts=parts,
    )
    return scan, truth


def _parts_shown(parts: UInt8, framing: Framing) -> UInt8:
    # Each pixel shows the part that covers most of it.
    shares = [framing.warp((parts == number).astype(np.float32)) for number in range(1, 1 + int(parts.max()))]
    cover = np.stack([1 - np.sum(shares, axis=0), *shares])
    return np.asarray(cover.argmax(axis=0), dtype=np.uint8)


def _patient(person: People, key: str) -> Patient:
    return Patient(
        key=key,
        sex="F" if person.sex[0] == "F" else "M",
        age_years=float(person.age_years[0]),
        height_cm=float(person.height_cm[0]),
        weight_kg=float(person.weight_kg[0]),
        ethnicity=str(person.ethnicity[0]),
    )


def draw_scan(
    seed: int,
    index: int,
    style: Style = "hologic",
    *,
    balance: bool = False,
    overlay: bool = True,
    visit: int = 0,
) -> tuple[Scan, Truth, People]:
    """Draw one virtual patient with the scan and the truth beside it.

    Parameters
    ----------
    seed, index
        The same two numbers give the same person and the same pixels.
    style
        "hologic": screen crop with the operator's ROI burned in yellow, aspect lost. "idxa": grey, sharp, its
        spacing known.
    balance
        The person's class is the one whose turn it is at this index.
    overlay
        False leaves the ROI away; nothing else changes.
    visit
        0 for the first scan; another number lays the same person down and scans them anew. With `balance` it is
        the first scan that has the class.

    Returns
    -------
    scan, truth, person
        `truth.masks`, `truth.parts` and `truth.polygons` in pixels of the scan; `person` is a table of one row.

    Raises
    ------
    PhantomError
        For a style that does not exist, or a negative seed, index or visit.
    """
    check_style(style)
    if min(seed, index, visit) < 0:
        raise PhantomError(f"Seed {seed}, index {index} and visit {visit} must not be negative.")
    made, _ = exposed(seed, index, balance, visit)
    scan, known = show(made, style, overlay)
    return scan, known, made.person


def check_style(style: str) -> None:
    """Raise PhantomError for a style that does not exist."""
    if style not in STYLES:
        raise PhantomError(f"There is no style {style!r}. Choose one of {', '.join(STYLES)}.")


# Who was found for an index; scans are too big to keep, people are not.
_found: dict[tuple[int, int], tuple[People, Lot, float]] = {}
_FOUND_AT_MOST = 4096


def exposed(seed: int, index: int, balance: bool, visit: int = 0) -> tuple[Exposed, float]:
    """The scan of an index before its display, and its raw weight (1 without balance)."""
    lot = Lot(seed, index)
    if not balance:
        return expose(draw_person(lot), lot, visit), 1.0
    if (seed, index) in _found:
        person, lot, weight = _found[seed, index]
        return expose(person, lot, visit), weight
    first, lot, weight = of_class(lot, expose, lambda made: made.label)
    if len(_found) >= _FOUND_AT_MOST:
        _found.clear()
    _found[seed, index] = first.person, lot, weight
    return (first if visit == 0 else expose(first.person, lot, visit)), weight
