"""A vertebra's arch as rods and plates: pedicles, laminae, facets, spinous and transverse processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.phantom.look import Look
from spinecare.phantom.rods import Rod
from spinecare.phantom.skeleton import VERTEBRAE, Vertebra, morphometry

FORWARD = (0.0, 0.0, 1.0)
DOWN = (0.0, 1.0, 0.0)
SIDE = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """The rods of one vertebra in its own frame: `arch`, and the `left` and `right` transverse process."""

    arch: list[Rod]
    left: list[Rod]
    right: list[Rod]

    def all(self) -> list[Rod]:
        """Every rod."""
        return [*self.arch, *self.left, *self.right]


def plan(bone: Vertebra, look: Look, rng: np.random.Generator) -> Plan:
    """Lay out the arch behind one body.

    Parameters
    ----------
    bone
        Its name picks the row of the morphometry table, its body the scale.
    look
        The person's proportions.
    rng
        What differs between the vertebrae and sides of one person.
    """
    k = VERTEBRAE.index(bone.name)
    table = {name: float(values[k]) for name, values in morphometry().items() if len(values) == len(VERTEBRAE)}
    lumbar = bone.name.startswith("L")
    W, H, D = bone.half_width, bone.half_height, bone.half_depth
    wide = 4 * W / (table["width_upper"] + table["width_lower"])
    # Arches keep their height when a body breaks.
    tall = (wide * 4 * H / (table["height_back"] + table["height_front"])) ** 0.5 if not bone.fracture_grade else wide
    full = tall * (table["height_back"] + table["height_front"]) / 4
    vary = 1 + 0.06 * rng.standard_normal((2, 19))
    drop = (look.arch_drop - 0.12 + 0.04 * rng.standard_normal()) * full
    behind = D + table["canal_depth"] * wide
    sides = [_side(table, look, sign, vary[i], wide, tall, full, D, drop, lumbar) for i, sign in enumerate((-1, 1))]
    middle = _spinous(table, look, vary[:, -3:], wide, tall, full, behind, drop)
    arch = [*sides[0][0], *sides[1][0], *middle]
    return Plan(arch, sides[0][1], sides[1][1])


def _side(
    table: dict[str, float],
    look: Look,
    sign: int,
    vary: np.ndarray,
    wide: float,
    tall: float,
    H: float,
    D: float,
    drop: float,
    lumbar: bool,
) -> tuple[list[Rod], list[Rod]]:
    mm, core = look.arch_mm, look.arch_core_g_cm3
    skew = look.arch_turn * table["canal_width"]
    pw, ph = (
        1.2 * table["pedicle_width"] * wide * look.pedicle * vary[0],
        0.88 * table["pedicle_height"] * tall * vary[1],
    )
    # The beam sees pedicles that converge to the front, and the facets' inner edges before them: the window
    # between is narrower than the canal.
    canal = 0.80 * table["canal_width"] * wide * look.canal
    deep = table["canal_depth"] * wide
    up = (canal + pw) / 2
    high = -H + ph / 2 + 0.8 + 0.5 * drop

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return (sign * x + skew * (z - D) / deep, y, z)

    pedicle = Rod(
        at(up, high, D - 3), at(up * 1.02, high + 1, D + 0.6 * deep), SIDE, pw / 2, ph / 2, 0.3 * mm, 0.6 * core
    )
    lh = table["lamina_height"] * tall * 0.32 * vary[2] * look.lamina**0.5
    thick = 3.0 * wide * look.lamina * vary[3]
    lamina = Rod(
        at(canal / 2 + 0.2 * pw, 0.10 * H + drop, D + 0.6 * deep),
        at(1.0, 0.62 * H + drop, D + deep + 3),
        DOWN,
        lh,
        thick,
        mm,
        core,
    )
    upper = table["facet_apart_upper"] * wide / 2 * look.canal * vary[4]
    lower = table["facet_apart_lower"] * wide / 2 * look.canal * vary[5]
    f = wide * look.facet
    thin, broad = (4.7 * f, 6.0 * f) if lumbar else (5.4 * f, 3.2 * f)
    superior = Rod(
        at(up, high + 0.1 * H, D + 0.7 * deep),
        at(upper * 0.98, -H - 5.5 * vary[6] * tall, D + 0.75 * deep),
        SIDE,
        thin * vary[7],
        broad * vary[7],
        1.0 * mm,
        core,
    )
    inferior = Rod(
        at(0.42 * lower, 0.35 * H + drop, D + 0.95 * deep),
        at(lower * 0.97, H + (table["disc"] + 5.0 * vary[8]) * tall, D + 0.95 * deep),
        SIDE,
        (4.8 if lumbar else 5.2) * f * vary[9],
        (6.0 if lumbar else 3.2) * f * vary[9],
        1.0 * mm,
        core * 1.2,
    )
    pars = Rod(
        at(canal / 2 + 0.2 * pw, -0.3 * H, D + 0.7 * deep),
        at(1.3 * lower, 0.95 * H + drop, D + 0.9 * deep),
        SIDE,
        6.2 * wide * vary[10],
        4.4 * wide * vary[10],
        1.2 * mm,
        core,
    )
    # L5's arch is short and stands higher behind its tipped body.
    reach = 0.75 if table["spinous_length"] < 22 else 1.30
    # The laminae's lower borders: the inverted V below the spinous process.
    limb = Rod(
        at(0.8, 0.30 * H + drop, D + deep + 2),
        at((0.25 + 0.5 * look.spinous_split) * lower, H * (reach + 0.1 * (vary[14] - 1) / 0.06) + drop, D + deep),
        SIDE,
        3.2 * wide * vary[15] * look.spinous_width,
        3.2 * wide,
        0.8 * mm,
        core,
    )
    span = table["transverse_span"] * wide / 2 * look.transverse * vary[11]
    th = table["transverse_height"] * tall * 0.46 * vary[12]
    rise = (0.28 + look.transverse_rise + 0.1 * (vary[13] - 1) / 0.06) * H
    if lumbar:
        start, end = at(up + 0.3 * pw, 0.6 * high, D + 3), at(span, 0.6 * high - rise, D + 9)
    else:
        start, end = at(up, 0.3 * high, D + 0.6 * deep), at(span, 0.3 * high - 0.4 * rise, D + deep + 8)
    transverse = Rod(start, end, DOWN, th, table["transverse_depth"] / 2 * wide, 0.55 * mm, 0.7 * core, 0.3)
    return [pedicle, lamina, superior, inferior, pars, limb], [transverse]


def _spinous(
    table: dict[str, float],
    look: Look,
    vary: np.ndarray,
    wide: float,
    tall: float,
    H: float,
    behind: float,
    drop: float,
) -> list[Rod]:
    mm, core = look.arch_mm, look.arch_core_g_cm3
    long = table["spinous_length"] * wide * look.spinous_length * vary[0, 0]
    high = table["spinous_height"] * tall * 0.43 * vary[1, 0]
    fall = np.radians(table["spinous_drop_deg"] + look.spinous_drop)
    lean = 0.05 * (vary[0, 1] - 1) / 0.06
    top = 0.15 * H + drop
    step = np.array([lean, np.sin(fall), np.cos(fall)]) * long
    half = 2.6 * wide * look.spinous_width * vary[1, 1]

    def at(share: float, y: float) -> tuple[float, float, float]:
        return (float(step[0] * share), float(top + y + step[1] * share), float(behind + 3 + step[2] * share))

    plate = Rod(at(0, 0.60 * high), at(1, 0.60 * high), SIDE, half, high, 0.5 * mm, 0.7 * core)
    border = Rod(
        at(0.1, 0.90 * high),
        at(1, 0.95 * high),
        SIDE,
        half * (1.0 + 0.6 * look.spinous_split),
        0.45 * high,
        0.4 * mm,
        core,
    )
    return [plate, border]
