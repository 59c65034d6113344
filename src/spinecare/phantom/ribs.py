"""The last ribs, T9-T12, now and then one at L1: tubes in space, projected along the beam.

A rib leaves its vertebra outwards, backwards and down, swings forward further out, and goes down all the way. Seen
along the beam it is a faint streak; how it lies tells T12 from L1, and so priors are as wide as in life.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.phantom import solids
from spinecare.phantom.maps import Float, Plane, Visit
from spinecare.phantom.population import People
from spinecare.phantom.skeleton import VERTEBRAE, Skeleton, Vertebra, posed
from spinecare.phantom.solids import Cloud
from spinecare.scan import Float32

STEP_MM = 0.8
SEEN_MM = 150.0
"""Of a rib, from its head: the rest lies beside every picture."""


@dataclass(frozen=True)
class Course:
    """How the ribs of one level run in the mean.

    head_down
        Where the head sits on the body: half heights below its middle (T9 and T10 sit on the upper rim, the
        last two below it).
    length_mm, length_sd_mm
        Along the bone. The twelfth varies most: 2-20 cm, as textbooks have it.
    back_deg
        Direction at the head, from outwards towards the back.
    round_mm
        Radius of the chest's curve: how fast the rib swings forward again.
    down_deg, steepen_deg
        Slope below the horizontal at the head, and what it gains by 70 mm.
    half_high_mm
        Half the height of the blade.
    """

    head_down: float
    length_mm: float
    length_sd_mm: float
    back_deg: float
    round_mm: float
    down_deg: float
    steepen_deg: float
    half_high_mm: float


# The lower ribs go down by some 10 to 40 degrees and more the further out (Weaver et al. 2014, J Anat 225:246); where
# streaks leave the spine and how they slope was matched to the mean of 64 real pictures (even groups).
COURSES: dict[str, Course] = {
    "T9": Course(-0.95, 260, 20, 46, 74, 8, 22, 6.0),
    "T10": Course(-0.80, 230, 22, 46, 74, 9, 22, 5.8),
    "T11": Course(-0.35, 175, 28, 46, 74, 11, 22, 5.3),
    "T12": Course(-0.25, 98, 34, 42, 80, 15, 22, 4.4),
    "L1": Course(-0.10, 34, 14, 30, 90, 12, 14, 3.0),
}
# Cortical thickness of ribs is 0.5-1.0 mm (Holcombe et al. 2019, J Anat 235:883).
SHELL_MM = 0.70
SPONGY_G_CM3 = 0.075
# Of the 64 pictures again: what a rib shows of itself in the mean.
STRENGTH = 1.15
NO_TWELFTH, STUBBY_TWELFTH, LUMBAR_RIB = 0.04, 0.08, 0.015


def project_ribs(
    skeleton: Skeleton, person: People, plane: Plane, visit: Visit, rng: np.random.Generator
) -> tuple[Float32, Float32]:
    """The last ribs of one person on the plane.

    Parameters
    ----------
    skeleton
        The spine at rest; `visit` lays it on the table, and the ribs with it.
    person
        One row of `People`: weak bone has weak ribs.
    rng
        The person's ribs come from it; the same state gives the same ribs at each visit.

    Returns
    -------
    bone
        float32 (rows, cols): areal bone mineral, g/cm2.
    thickness_cm
        float32 (rows, cols): bone tissue in the beam.
    """
    lying = posed(skeleton, visit)
    strength = STRENGTH * float(person.bmd[0].mean()) ** 0.8 * float(np.exp(0.32 * rng.standard_normal()))
    slope, swing = rng.normal(0, 6), rng.normal(0, 6)  # what all ribs of a person share
    clouds = []
    for name, course in COURSES.items():
        vertebra = lying.vertebrae[VERTEBRAE.index(name)]
        level = rng.normal(0, [3.0, 4.0])
        for side, (length, factor) in enumerate(_lengths(name, course, rng)):
            turned = rng.normal(0, 3.0, 2) + level + [slope, swing]
            thick = strength * factor * float(np.exp(0.15 * rng.standard_normal()))
            if length > 8:
                own = _blade(_axis(course, vertebra, length, *turned), course, length, thick, rng)
                own = own if side else solids.mirrored(own)
                clouds.append(own.moved(vertebra.centre, vertebra.axes))
    return solids.project(solids.joined(clouds), plane)


def _lengths(name: str, course: Course, rng: np.random.Generator) -> list[tuple[float, float]]:
    # Length and strength of the left and right rib: like each other, but not the same; 0 mm for none.
    fate, both, sides = rng.random(), rng.standard_normal(), rng.standard_normal(2)
    length = course.length_mm + course.length_sd_mm * (0.85 * both + 0.53 * sides)
    if name == "T12":
        length = np.clip(length, 28, 165)
        if fate < NO_TWELFTH:
            length *= 0
        elif fate < NO_TWELFTH + STUBBY_TWELFTH:
            length = rng.uniform(14, 40, 2)
    elif name == "L1":
        # One side or both; the rest have none.
        present = (fate < LUMBAR_RIB) & (rng.random(2) < 0.75)
        length = np.where(present, np.clip(length, 12, 60), 0.0)
    strength = {"L1": 0.8, "T12": 0.9}.get(name, 1.0)
    return [(float(value), strength) for value in length]


def _axis(course: Course, vertebra: Vertebra, length: float, slope: float, swing: float) -> Float:
    # The right-hand rib's middle line in the vertebra's own frame, from the head outwards, (n, 3).
    s = np.arange(0.0, min(length, SEEN_MM), STEP_MM)
    back = np.radians(course.back_deg + swing) - s / course.round_mm
    # Behind, the chest is tightly curved; further out, widely.
    back = np.where(back > 0, back, 0.5 * back)
    down = np.radians(course.down_deg + slope + course.steepen_deg * np.minimum(s / 70, 1.6))
    step = np.stack([np.cos(down) * np.cos(back), np.sin(down), np.cos(down) * np.sin(back)], axis=1) * STEP_MM
    head = [0.88 * vertebra.half_width, course.head_down * vertebra.half_height, 0.55 * vertebra.half_depth]
    return np.asarray(head + np.cumsum(step, axis=0) - step[0])


def _blade(axis: Float, course: Course, length: float, strength: float, rng: np.random.Generator) -> Cloud:
    # The head is thick and round, the shaft a flat blade that ends in a tip.
    s: Float = np.arange(len(axis), dtype=np.float64) * STEP_MM
    left = length - s
    high = course.half_high_mm * (0.78 + 0.22 * np.clip((s - 8) / 20, 0, 1)) * np.sqrt(np.clip((left + 2) / 18, 0.1, 1))
    # No rib is even: blade and shell swell and thin along it, the head is round, the end thin.
    swell = 1 + 0.09 * _waves(s, rng)
    shell = SHELL_MM * (1 + 0.22 * _waves(s, rng)) * np.interp(left, [0, 40], [0.7, 1])
    flat = 2.8 + 0.8 * np.exp(-s / 15)
    blade = solids.tube(axis, (0.0, 1.0, 0.0), high * swell, flat, shell, SPONGY_G_CM3, around=16, rings=2)
    return blade.scaled(strength)


def _waves(s: Float, rng: np.random.Generator) -> Float:
    # A slow wave of unit variance along s, mm.
    size, phase = rng.standard_normal(3), rng.uniform(0, 2 * np.pi, 3)
    return np.asarray(sum(a * np.cos(s / d + p) for a, d, p in zip(size, (6.0, 11.0, 24.0), phase, strict=True)) * 0.8)
