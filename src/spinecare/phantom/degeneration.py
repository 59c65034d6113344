"""Where degeneration puts mineral on a vertebra: spurs at the rims, facets, endplates; uneven and one-sided."""

from __future__ import annotations

import numpy as np

from spinecare.phantom.skeleton import Vertebra
from spinecare.phantom.vertebra import Shadow
from spinecare.scan import Float32

# How many times its mean over the level the densest degeneration is at most.
PEAK = 7.0


def added(shadow: Shadow, bone: Vertebra, worn: float, rng: np.random.Generator) -> Float32:
    """Mineral of degeneration over one vertebra, in units that `anatomy` scales to the drawn mean.

    Parameters
    ----------
    shadow
        Its projection: own coordinates of the pixels.
    bone
        The vertebra.
    worn
        What is added on the whole, g/cm2: spurs grow longer with it.
    rng
        Sites and sides.

    Returns
    -------
    float32, shape of the shadow
        Not negative.
    """
    x, y = shadow.own_x, shadow.own_y
    W, H = bone.half_width, bone.half_height
    out = np.zeros(x.shape, np.float32)
    # A few sites take most of it.
    spur, facet, plate = (rng.gamma(shape, 1.0, 4) for shape in (0.8, 0.8, 0.6))
    share = rng.dirichlet([1.2, 1.0, 1.0])
    size = float(np.clip(worn / 0.12, 0.05, 1.8))
    jitter = rng.standard_normal((3, 4))
    for i, (side, end) in enumerate([(-1, -1), (1, -1), (-1, 1), (1, 1)]):
        strong = float(np.clip(spur[i], 0, 3)) * size
        if strong > 0.05:
            # A beak: out of the rim, then bent towards the disc; strong ones reach the neighbour.
            out_by, along = 1.0 + 2.0 * min(strong, 2.5), (0.5 + 2.2 * max(strong - 0.6, 0)) * end
            place = (W * 0.97 + 0.35 * out_by, end * (H - 1.5) + 0.5 * along)
            out += _blob(
                x, y, side * place[0], place[1], 1.2 + 0.6 * out_by, 1.6 + 0.9 * abs(along), spur[i] * share[0]
            )
        place = (W * (0.55 + 0.06 * jitter[0, i]), H * (0.95 + 0.08 * jitter[1, i]))
        out += _blob(x, y, side * place[0], end * place[1], 0.17 * W, 0.32 * H, facet[i] * share[1])
        along_x = side * W * (0.5 + 0.15 * jitter[2, i])
        out += _blob(x, y, along_x, end * (H - 1.5), 0.38 * W, 1.8, 1.2 * plate[i] * share[2])
    # Bone has no more room than it has: peaks saturate at some times the level's mean.
    over = out[(np.abs(x) < W) & (np.abs(y) < H + 4)]
    most = PEAK * float(over.mean()) if over.size else 1.0
    return out / (1 + out / np.float32(most + 1e-9))


def _blob(x: Float32, y: Float32, x0: float, y0: float, sx: float, sy: float, height: float) -> Float32:
    q = (x - np.float32(x0)) ** 2 * np.float32(0.5 / sx**2) + (y - np.float32(y0)) ** 2 * np.float32(0.5 / sy**2)
    return np.float32(height) * np.exp(-q)
