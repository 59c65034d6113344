"""The top of the sacrum and the iliac wings in space, projected along the beam.

The sacrum hangs in the frame of S1's upper endplate (right, down into the bone, back), the wings in a frame of the
pelvis that the same endplate carries. Left and right are alike but for a few per cent.
"""

from __future__ import annotations

import numpy as np

from spinecare.phantom import solids
from spinecare.phantom.maps import Float, Plane, Visit
from spinecare.phantom.population import People
from spinecare.phantom.skeleton import Skeleton, Vertebra, posed, rotation
from spinecare.phantom.solids import Cloud
from spinecare.scan import Bool, Float32

# S1's endplate slopes by 41 +- 8 degrees standing (Vialle et al. 2005, J Bone Joint Surg Am 87:260), less with
# raised legs. What people differ by is two thirds pelvic incidence and one third pelvic tilt.
LYING_SLOPE_DEG, TILT_SHARE, PELVIC_TILT_SD_DEG = 33.0, 0.35, 5.0

# Breadth across the auricular surfaces: half, mm, with the SD that people of one size still have (Oman Med J 2018,
# PMC5799488: women 108.7 +- 11 mm; a man's sacrum is hardly broader than a woman's, though he is taller).
HALF_ALAR_MM = {"F": 53.5, "M": 53.0}
HALF_ALAR_SD_MM = 3.0
# Height of S1 in front (MRI, Int J Pharma Bio Sci 2015 6:B398: 28.2 +- 2.1 men, 28.9 +- 3.3 women).
S1_HEIGHT_MM, S1_HEIGHT_SD_MM = 28.5, 2.3

# The iliac crest from the posterior superior spine to beyond its top, and the wing's lower end beneath each of those
# points, in the pelvis' frame from the middle of S1's endplate, mm (right, down, back). The top at L4 or L4/L5 in 87 %
# of people (Chakraverty et al. 2007, J Anat 210:232), the back spine at S2 (McGaugh et al. 2007, Clin Anat 20:819).
# The inner part was matched to the mean of 64 real pictures (even groups), as were the two factors of density.
CREST_MM = np.array(
    [
        [39.0, 54.0, 52.0],
        [44.0, 30.0, 50.0],
        [55.0, 11.0, 44.0],
        [69.0, -9.0, 33.0],
        [82.0, -28.0, 16.0],
        [102.0, -35.0, -8.0],
    ]
)
FOOT_MM = np.array(
    [
        [45.0, 84.0, 46.0],
        [49.0, 84.0, 38.0],
        [53.0, 80.0, 28.0],
        [58.0, 66.0, 18.0],
        [64.0, 52.0, 8.0],
        [74.0, 50.0, -6.0],
    ]
)
CREST_UP_SD_MM, CREST_OUT_SD_MM = 6.0, 3.5
SACRUM_DENSITY, WING_DENSITY = 1.08, 1.8


def project_pelvis(
    skeleton: Skeleton, person: People, plane: Plane, visit: Visit, rng: np.random.Generator
) -> tuple[Float32, Float32, Bool]:
    """Sacrum and iliac wings of one person on the plane.

    Parameters
    ----------
    skeleton
        The spine at rest; `visit` lays it on the table, and the pelvis with it.
    person
        One row of `People`: sex, height and bone density are used.
    rng
        The person's pelvis comes from it; the same state gives the same pelvis at each visit.

    Returns
    -------
    bone
        float32 (rows, cols): areal bone mineral, g/cm2.
    thickness_cm
        float32 (rows, cols): bone tissue in the beam.
    sacrum
        bool (rows, cols): where the sacrum lies.
    """
    s1 = posed(skeleton, visit).sacrum
    density = float(person.bmd[0].mean())
    size = float(person.height_cm[0]) / (175.0 if person.sex[0] == "M" else 161.0)
    alar = size * rng.normal(HALF_ALAR_MM[str(person.sex[0])], HALF_ALAR_SD_MM)
    sacrum = _sacrum(s1, alar, rng).scaled(SACRUM_DENSITY * density**1.05 * float(np.exp(0.10 * rng.standard_normal())))
    wings = _wings(size, alar, rng).scaled(WING_DENSITY * density * float(np.exp(0.14 * rng.standard_normal())))
    # The pelvis is one bone with its sacrum: a steep endplate is for the most part its shape (pelvic incidence),
    # for the rest the pelvis' tilt.
    slope = float(np.degrees(np.arcsin(skeleton.sacrum.axes[1, 2])))
    tilt = TILT_SHARE * (slope - LYING_SLOPE_DEG) + PELVIC_TILT_SD_DEG * rng.standard_normal()
    level = rotation(0.0, np.radians(tilt - slope), 0.0)
    bone, thickness = solids.project(sacrum.moved(s1.centre, s1.axes), plane)
    beside, wide = solids.project(wings.moved(s1.centre, level @ s1.axes), plane)
    return bone + beside, thickness + wide, np.asarray(thickness > 0.5)


def _grainy(cloud: Cloud, contrast: float, rng: np.random.Generator) -> Cloud:
    # Struts and gaps: single points carry more or less.
    noise = rng.standard_normal(len(cloud.mass_mg), dtype=np.float32)
    return cloud.scaled(np.maximum(1 + np.float32(contrast) * noise, 0))


def _sacrum(s1: Vertebra, alar: float, rng: np.random.Generator) -> Cloud:
    w, d = s1.half_width, s1.half_depth
    high = float(rng.normal(S1_HEIGHT_MM, S1_HEIGHT_SD_MM))
    vary = np.exp(0.18 * rng.standard_normal(8))
    roof = rng.normal(0, 2.5)  # how low the arch of S1 begins
    facet = rng.normal(0, [1.5, 2.0, 1.5])
    # Bodies of S1 and of what follows, curving back, waisted; an endplate on top, what is left of a disc between.
    path = solids.smooth_path(np.array([[0, 0, 0], [0, 12, 0.5], [0, high, 5]]), 1.0)
    wide, deep = (np.interp(path[:, 1], [0, 12, high], shares) for shares in ([1.0, 0.92, 0.80], [1.0, 0.82, 0.58]))
    caps = (0.9 * vary[0], 0.8)
    body = solids.tube(path, (1, 0, 0), w * wide, d * deep, 0.2, 0.150, around=32, rings=4, caps_mm=caps)
    path = solids.smooth_path(np.array([[0, high + 2, 5], [0, high + 24, 13], [0, high + 60, 30]]), 1.2)
    wide, deep = (np.linspace(*ends, len(path)) for ends in ((0.78, 0.56), (0.56, 0.34)))
    below = solids.tube(path, (1, 0, 0), w * wide, d * deep, 0.15, 0.150, caps_mm=(0.8, 0))
    ridge = solids.smooth_path(np.array([[0, 17 + roof, 33], [0, 28, 33], [0, 52, 31]]), 1.0)
    crest = solids.tube(ridge, (1, 0, 0), 3.2 * vary[1], 4.5, 0.2, 0.40, around=16, rings=2)
    left, right = (_side(w, d, high, alar, roof, facet, vary, 1 + 0.04 * rng.standard_normal()) for _ in range(2))
    return _grainy(solids.joined([body, below, crest, solids.mirrored(left), right]), 0.35, rng)


def _side(w: float, d: float, high: float, alar: float, roof: float, facet: Float, vary: Float, uneven: float) -> Cloud:
    # The right half's paired parts.
    outer = alar * uneven
    knots = [[0.55 * w, 0.42 * high, 4.0], [0.5 * (w + outer), 0.72 * high, 4.0], [outer, 1.22 * high, 8.0]]
    wing = solids.smooth_path(np.array(knots), 1.0)
    share = np.linspace(0, 1, len(wing))
    ala = solids.tube(
        wing,
        (0, 1, 0),
        high * np.interp(share, [0, 0.4, 1], [0.50, 0.60, 0.60]),
        d * np.interp(share, [0, 0.5, 1], [0.85, 0.80, 0.60]),
        np.interp(share, [0, 0.4, 1], [0.50, 0.40, 0.30]) * vary[2],
        # Dense where the pedicle of S1 runs, almost empty further out (Peretz et al. 1998, Spine 23:971).
        np.interp(share, [0, 0.15, 0.45, 0.7, 1], [0.19, 0.17, 0.110, 0.045, 0.025]) * vary[3],
        around=28,
        rings=4,
    )
    # The first foramen goes through from front to back between body, ala and S2.
    q = ala.points
    hole = ((q[:, 0] - 0.74 * w) / 5.5) ** 2 + ((q[:, 1] - 1.04 * high) / 5.5) ** 2
    ala = ala.scaled(np.asarray(1 - 0.85 * np.exp(-(hole**2)), np.float32))
    # The joint with L5: a thick process that stands up from behind the pedicle.
    knots = [[0.88 * w, 10, 0.95 * d], [0.96 * w + facet[0], 0, 20], [1.0 * w + facet[0], -10 + facet[1], 23]]
    joint = solids.smooth_path(np.array(knots), 0.7)
    taper = np.sqrt(np.clip(1.05 - np.linspace(0, 1, len(joint)) ** 3, 0.05, 1))
    process = solids.tube(
        joint, (1, 0, 0.4), 6.3 * taper, 4.0 * taper, 0.85 * vary[4], 0.22, around=20, rings=2, caps_mm=(0.0, 0.6)
    )
    lamina = solids.tube(
        solids.smooth_path([[0.86 * w, 12, 20], [0.50 * w, 16 + 0.7 * roof, 28], [0, 20 + roof, 33]], 0.8),
        (0, 1, 0),
        5.2,
        2.6,
        0.9 * vary[5],
        0.12,
        around=18,
        rings=2,
    )
    behind = solids.smooth_path([[0.5 * w, 22, 27], [0.5 * w, 54, 27]], 1.2)
    wall = solids.tube(behind, (1, 0, 0), 0.46 * w, 2.5, 0.1, 0.45, around=20, rings=3)
    # What S2 and S3 add beside their bodies, behind the first foramen.
    knots = [[0.95 * w, high + 6, 8], [0.90 * w, high + 28, 14], [0.80 * w, high + 60, 28]]
    beside = solids.tube(solids.smooth_path(np.array(knots), 1.2), (1, 0, 0), 15.0, 10.0, 0.15, 0.120, around=20)
    return solids.joined([ala, process, lamina, wall, beside])


def _wings(size: float, alar: float, rng: np.random.Generator) -> Cloud:
    # Both wings: blade and rim. Uneven sides; the crest's top higher or lower, nearer or wider.
    up, out = rng.normal(2, CREST_UP_SD_MM), alar - HALF_ALAR_MM["M"] * size + rng.normal(0, CREST_OUT_SD_MM)
    flare = rng.normal(1, 0.12)
    table, ridge = np.array([1.15, 0.8]) * np.exp([0.15, 0.40] * rng.standard_normal(2))
    bumps = np.concatenate([rng.normal(0, 2.5, (len(CREST_MM), 2)), np.zeros((len(CREST_MM), 1))], axis=1)
    clouds = []
    for side in range(2):
        own_up, own_out, waves = rng.normal(up, 2.0), rng.normal(out, 1.5), rng.standard_normal((4, 2))
        top = np.array([0.1, 0.3, 0.7, 1.0, 1.0, 1.0])
        crest = CREST_MM * size + np.stack([own_out * (0.6 + 0.4 * top), -own_up * top, 0 * top], axis=1)
        crest += bumps + rng.normal(0, 1.0, bumps.shape)
        foot = FOOT_MM * size + [own_out * 0.6, 0, 0]
        crest[:, 0] = foot[:, 0] + (crest[:, 0] - foot[:, 0]) * np.where(crest[:, 0] > foot[:, 0], flare, 1.0)
        rim = solids.smooth_path(crest, 0.9)
        low = np.stack([np.interp(np.linspace(0, 5, len(rim)), np.arange(6), foot[:, k]) for k in range(3)], axis=1)
        clouds.append(_wing(rim, low, table, ridge, waves, side))
    return _grainy(solids.joined(clouds), 0.25, rng)


def _wing(rim: Float, low: Float, table: float, ridge: float, waves: Float, side: int) -> Cloud:
    n = 90
    t, s = np.linspace(0, 1, n)[None, :, None], np.linspace(0, 1, len(rim))[:, None]
    surface = rim[:, None] * (1 - t) + low[:, None] * t
    # The fossa is hollowed towards the back and outwards by some 6 mm.
    surface = surface + 6.0 * np.sin(np.pi * t) * np.array([0.6, 0.0, 0.8])
    down = t[..., 0]
    # Thick along the crest and towards the hip joint; thin in the middle of the fossa.
    thick = np.interp(s, [0, 0.3, 0.6, 1], [7, 8, 8, 7]) * (0.9 + 0.2 * np.exp(-down / 0.2) + 0.1 * down**2)
    patches = 1 + 0.10 * sum(
        a * np.sin(2 * np.pi * (s * (1.5 + k) + down * (0.7 + 0.6 * k)) + 3 * b) for k, (a, b) in enumerate(waves)
    )
    blade = solids.sheet(surface, thick, table * patches * (1.5 - 0.7 * down), 0.14)
    edge = solids.tube(rim + np.array([0.0, 4.0, 0.0]), (1, 0, 0.6), 7.5, 5.5, 0.45 * ridge, 0.10, around=20, rings=2)
    wing = solids.joined([blade, edge])
    return wing if side else solids.mirrored(wing)
