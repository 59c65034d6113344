"""Where a person's vertebrae stand and how big they are: T9-L5 in three dimensions, in mm.

Coordinates as in `maps`: x to the picture's right, y down, z backwards. Proportions come from
`tables/morphometry.json`; heights follow the person's height, widths the drawn areas.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np

from spinecare.phantom.maps import Float, Visit
from spinecare.phantom.population import People
from spinecare.scan import LEVEL_NAMES

VERTEBRAE: tuple[str, ...] = ("T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
FIRST = VERTEBRAE.index("L1")

# Mean distance between neighbours of L1-L4, against height: the sum of body and disc heights in the table
# (35 mm at 170 cm).
PITCH_MM_PER_HEIGHT_CM = 0.2055
# How much of (distance between separators) x (body width) the outline of L1-L4 holds before it is moved to the drawn
# area: facets and roots of transverse processes stand out lower down.
FILL = np.array([0.95, 0.945, 0.97, 0.97])
# Where in a pitch, from the body's middle, an operator's lines run: in the darkest of the disc, which facets shade
# from above; under L4, whose disc is wide and oblique, close to its endplate.
LINES = (0.515, 0.515, 0.515, 0.515, 0.465)
# How raised legs turn each vertebra when they flatten the lordosis, a share of the whole change (T9 ... L5, S1).
FLEXION_SHARE = np.array([0.30, 0.30, 0.30, 0.30, 0.30, 0.20, 0.05, -0.15, -0.40, -0.70])
# Share of height lost in Genant's grades 1-3 (Genant et al. 1993: 20-25, 25-40, over 40 %).
GENANT_LOSS = np.array([0.0, 0.22, 0.32, 0.45])


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra's place and size.

    name
        "T9" ... "L5"; "S1" for the sacrum's frame.
    centre
        float64 (3,): the body's centre (x, y, z), mm. For S1: the middle of its upper endplate.
    axes
        float64 (3, 3), rows: its own rightward, downward (to the feet) and backward unit vectors in the plane's
        coordinates. A point p has the own coordinates `axes @ (p - centre)`; a point q of its own frame lies at
        `centre + axes.T @ q`.
    half_width, half_height, half_depth
        Of the body, mm (half width at the endplates, half height the mean of front and back). For S1 its
        endplate's; half height is 0.
    wedge_mm
        How much higher the body is in front than at the back.
    fracture_grade, fracture_kind
        Genant 0-3; "" or "wedge", "biconcave", "crush".
    """

    name: str
    centre: Float
    axes: Float
    half_width: float
    half_height: float
    half_depth: float
    wedge_mm: float = 0.0
    fracture_grade: int = 0
    fracture_kind: str = ""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A person's spine at rest (visit of zeros). `posed` lays it on the table as at one visit.

    vertebrae
        T9 ... L5.
    sacrum
        The frame of S1's upper endplate: its downward axis points into the sacrum.
    separators
        float64 (5, 2): lines above L1 and below each of L1-L4 as y = a + b x, mm.
    cobb_deg
        The angle between the most tilted of T12-L5 in the coronal plane.
    fracture_grade
        Genant grade per lumbar level L1-L4.
    """

    vertebrae: tuple[Vertebra, ...]
    sacrum: Vertebra
    separators: Float
    cobb_deg: float
    fracture_grade: dict[str, int]

    def __getitem__(self, name: str) -> Vertebra:
        return self.sacrum if name == "S1" else self.vertebrae[VERTEBRAE.index(name)]


@cache
def morphometry() -> dict[str, Float]:
    """The columns of `tables/morphometry.json`: float64 (9,), T9 first, or scalars as (1,); mm and degrees."""
    text = (resources.files("spinecare.phantom") / "tables/morphometry.json").read_text(encoding="utf-8")
    columns = {k: v for k, v in json.loads(text).items() if isinstance(v, (list, float)) and k != "levels"}
    return {name: np.atleast_1d(np.asarray(values, dtype=np.float64)) for name, values in columns.items()}


def rotation(coronal: float, sagittal: float, axial: float) -> Float:
    """The own axes (rows) of a bone turned from the plane's axes, radians.

    coronal
        Clockwise in the picture: the downward axis leans to the picture's left.
    sagittal
        The front goes down and the back goes up (as L5 lies).
    axial
        About the long axis: the back goes to the picture's right.
    """
    c, s = np.cos(coronal), np.sin(coronal)
    in_plane = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    c, s = np.cos(sagittal), np.sin(sagittal)
    tip = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(axial), np.sin(axial)
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return np.asarray(turn @ tip @ in_plane)


def build(person: People, rng: np.random.Generator) -> Skeleton:
    """The spine of one person (a table of one row): sizes follow height and drawn areas.

    Parameters
    ----------
    person
        One row of `People`.
    rng
        Shapes come from it.
    """
    table, n = morphometry(), len(VERTEBRAE)
    grades, kinds = _fractures(float(person.bmd_total[0]), rng)
    back, front = (table[f"height_{side}"] * np.exp(0.025 * rng.standard_normal(n)) for side in ("back", "front"))
    disc = table["disc"] * np.exp(0.12 * rng.standard_normal() + 0.10 * rng.standard_normal(n))
    # Discs thin with age, most where degeneration is (Twomey and Taylor 1985: little in the mean, much in some).
    worn = np.interp(np.arange(n), FIRST + np.arange(4), person.degeneration[0])
    disc *= np.clip(1 - 1.2 * worn * rng.random(n), 0.45, 1)
    pitch = (back + front) / 2 + disc
    mean = PITCH_MM_PER_HEIGHT_CM * float(person.height_cm[0]) * np.exp(0.025 * rng.standard_normal())
    scale = mean / pitch[FIRST : FIRST + 4].mean()
    lost = GENANT_LOSS[grades] * rng.uniform(0.85, 1.15, n)
    # An area off its neighbours' line is half a matter of height, half of width.
    area = person.area[0]
    trend = np.exp(np.polyval(np.polyfit(np.arange(4), np.log(area), 1), np.arange(4)))
    tall = np.concatenate([[1, 1, 1, 1], (area / trend) ** 0.5, [1]])
    back, front, pitch = (column * scale * tall for column in (back, front, pitch))
    pitch -= 0.35 * lost * (back + front) / 2
    back, front = _fractured(back, front, lost, kinds)
    # Distances between separators: from mid-disc to mid-disc.
    y = np.concatenate([[0.0], np.cumsum((pitch[1:] + pitch[:-1]) / 2)])
    y -= (y[FIRST + 1] + y[FIRST + 2]) / 2
    half_width = _half_widths(area, pitch, rng)
    tilt, axial, x = _bends(y, rng)
    sagittal, sacral = _sagittal(rng)
    z = _depths(y, sagittal)
    vertebrae = tuple(
        Vertebra(
            name=VERTEBRAE[k],
            centre=np.array([x[k], y[k], z[k]]),
            axes=rotation(tilt[k], sagittal[k], axial[k]),
            half_width=float(half_width[k]),
            half_height=float((back[k] + front[k]) / 4),
            half_depth=float(half_width[k] * table["depth"][k] / (table["width_upper"] + table["width_lower"])[k] * 2),
            wedge_mm=float(front[k] - back[k]),
            fracture_grade=int(grades[k]),
            fracture_kind=kinds[k],
        )
        for k in range(n)
    )
    degrees = np.degrees(tilt[FIRST - 1 :])
    return Skeleton(
        vertebrae,
        _sacrum(vertebrae[-1], tilt[-1], sacral, pitch[-1] / 2),
        _separators(x, y, tilt, pitch),
        float(degrees.max() - degrees.min()),
        {name: int(grades[FIRST + i]) for i, name in enumerate(LEVEL_NAMES)},
    )


def _fractures(bmd: float, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    # Rare, commoner in weak bone, and where they are in life: T12-L1 most.
    n = len(VERTEBRAE)
    where = np.array([0.6, 0.6, 1.0, 1.8, 1.8, 1.0, 0.8, 0.7, 0.4])
    risk = where * (0.002 + 0.06 / (1 + np.exp((bmd - 0.76) / 0.045)))
    grades = np.where(rng.random(n) < risk, rng.choice([1, 2, 3], n, p=[0.5, 0.35, 0.15]), 0)
    kinds = rng.choice(["wedge", "biconcave", "crush"], n, p=[0.55, 0.3, 0.15])
    return grades, [str(kind) if grade else "" for kind, grade in zip(kinds, grades, strict=True)]


def _fractured(back: Float, front: Float, lost: Float, kinds: list[str]) -> tuple[Float, Float]:
    wedge, crush = (np.array([kind == name for kind in kinds]) for name in ("wedge", "crush"))
    return back * (1 - lost * crush), front * (1 - lost * (wedge | crush))


def _half_widths(area: Float, pitch: Float, rng: np.random.Generator) -> Float:
    table = morphometry()
    own = (table["width_upper"] + table["width_lower"]) / 4
    wide = area * 100 / pitch[FIRST : FIRST + 4] / 2 / FILL
    above = wide[0] * own[:FIRST] / own[FIRST] * np.exp(0.02 * rng.standard_normal(FIRST))
    below = wide[3] * own[-1:] / own[-2] * np.exp(0.04 * rng.standard_normal(1))
    return np.concatenate([above, wide, below])


def _bends(y: Float, rng: np.random.Generator) -> tuple[Float, Float, Float]:
    # Coronal tilt, axial rotation (radians) and x (mm): one slow bend and a lean; one person in ten has a
    # scoliosis, whose spinous processes turn to the hollow side.
    n = len(y)
    size = rng.normal(0, 1.3) if rng.random() < 0.9 else rng.choice([-1, 1]) * rng.uniform(5, 14)
    phase = rng.uniform(-1.2, 1.2)
    length = rng.uniform(40, 62)
    tilt = np.radians(rng.normal(0, 0.9)) + np.radians(size) * np.sin(y / length + phase)
    tilt += np.radians(0.6) * rng.standard_normal(n)
    x = np.concatenate([[0.0], np.cumsum(-np.tan((tilt[1:] + tilt[:-1]) / 2) * np.diff(y))])
    x -= x[FIRST : FIRST + 4].mean()
    turn = -np.radians(0.8 * size * np.cos(y / length + phase)) * rng.uniform(0.3, 1.0)
    axial = turn + np.radians(rng.normal(0, 1.5)) + np.radians(0.8) * rng.standard_normal(n)
    return tilt, axial, x


def _sagittal(rng: np.random.Generator) -> tuple[Float, float]:
    # Sagittal tilts of T9-L5 and of S1's endplate, radians.
    table = morphometry()
    more, all_over = np.clip(rng.normal(1.0, 0.25), 0.3, 1.7), rng.normal(0, 2.8)
    levels = np.concatenate([table["tilt_deg"], table["sacrum_tilt_deg"]])
    degrees = more * levels + all_over + rng.normal(0, 1.6, len(levels))
    return np.radians(degrees[:-1]), float(np.radians(degrees[-1]))


def _depths(y: Float, sagittal: Float) -> Float:
    # z of the bodies' centres: each pair's mean tilt leads from one to the next; 0 between L2 and L3.
    z = np.concatenate([[0.0], np.cumsum(np.tan((sagittal[1:] + sagittal[:-1]) / 2) * np.diff(y))])
    return np.asarray(z - (z[FIRST + 1] + z[FIRST + 2]) / 2)


def _sacrum(last: Vertebra, coronal: float, sagittal: float, below: float) -> Vertebra:
    table = morphometry()
    scale = last.half_width / float(table["width_lower"][-1]) * 2
    axes = rotation(coronal, sagittal, 0.0)
    between = (axes[1] + last.axes[1]) / 2
    disc = float(table["disc"][-1]) * scale * 0.5
    centre = last.centre + last.axes[1] * last.half_height + between * max(disc * 2, below - last.half_height)
    size = scale / 2
    return Vertebra(
        "S1", centre, axes, float(table["sacrum_width"][0] * size), 0.0, float(table["sacrum_depth"][0] * size)
    )


def _separators(x: Float, y: Float, tilt: Float, pitch: Float) -> Float:
    lines = []
    for k in range(FIRST - 1, FIRST + 4):
        middle, slope = (x[k] + x[k + 1]) / 2, np.tan((tilt[k] + tilt[k + 1]) / 2)
        # Operators tilt a separator only where the disc clearly is.
        slope = slope if abs(slope) > np.tan(np.radians(3.0)) else 0.0
        lines.append((y[k] + LINES[k + 1 - FIRST] * pitch[k] - slope * middle, slope))
    return np.array(lines)


def posed(skeleton: Skeleton, visit: Visit) -> Skeleton:
    """The skeleton as it lies at one visit: flexed, rolled about the long axis, turned in the plane, shifted.

    Parameters
    ----------
    skeleton
        From `build`.
    visit
        Zeros give the skeleton as it is.
    """
    bones = [*skeleton.vertebrae, skeleton.sacrum]
    flexed = np.radians(visit.flexion_deg) * FLEXION_SHARE
    y = np.array([bone.centre[1] for bone in bones])
    deeper = _depths(y, flexed)
    turn, roll = np.radians(visit.turn_deg), np.radians(visit.roll_deg)
    c, s = np.cos(roll), np.sin(roll)
    rolled = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(turn), np.sin(turn)
    whole = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ rolled
    shift = np.array([visit.shift_x_mm, visit.shift_y_mm, 0.0])
    moved = [
        replace(
            bone,
            centre=whole @ np.add(bone.centre, (0, 0, deep)) + shift,
            axes=rotation(0.0, tip, 0.0) @ bone.axes @ whole.T,
        )
        for bone, tip, deep in zip(bones, flexed, deeper, strict=True)
    ]
    lines = []
    for (a, b), k in zip(skeleton.separators, range(FIRST - 1, FIRST + 4), strict=True):
        # The line's point between the two bodies goes where they go.
        before, after = ((pair[k].centre + pair[k + 1].centre) / 2 for pair in (bones, moved))
        y = a + b * before[0]
        x = after[0] - np.sin(turn) * (y - before[1])
        slope = np.tan(np.arctan(b) + turn)
        lines.append((after[1] + np.cos(turn) * (y - before[1]) - slope * x, slope))
    return replace(skeleton, vertebrae=tuple(moved[:-1]), sacrum=moved[-1], separators=np.array(lines))
