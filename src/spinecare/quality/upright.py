"""Which end of an AP lumbar spine is up: signs that change their sign when the picture is turned.

All come from anatomy. The vertebrae grow wider from L1 to L4 (Panjabi et al. 1992, Human lumbar vertebrae:
quantitative three-dimensional anatomy, Spine 17:299-306). Ribs leave the spine outward and down. Laminae and the
spinous process form a roof over the lower half of each vertebra, and the edges of a vertebra flare towards its
lower endplate. Beside the middle, the tone changes faster at one end of a vertebra than at the other.
"""

from __future__ import annotations

import numpy as np

from spinecare.quality.band import Float, smooth_down
from spinecare.scan import Float32

# What a usual upright scan shows, so that every sign is about +1 there and -1 upside down; and its weight.
USUAL = {"growth": 0.30, "rims": 0.10, "flanks": 0.13, "roof": 0.08, "sawtooth": 3.8}
WEIGHTS = {"growth": 0.5, "rims": 0.18, "flanks": 0.12, "roof": 0.05, "sawtooth": 0.15}


def upright_signs(strip: Float32, across: Float, growth: float) -> dict[str, float]:
    """Signs of which end is up, each near +1 in a usual upright scan and near -1 in one that is upside down.

    Parameters
    ----------
    strip, across
        The straightened band, from `band.straighten`.
    growth
        From `band.signs`.
    """
    picture = strip.astype(np.float64)
    down = np.asarray(np.gradient(picture, axis=0))
    outward = np.asarray(np.gradient(picture, axis=1)) * np.sign(across)
    distance = np.abs(across)

    def oblique(near: float, far: float) -> float:
        """-1 ... 1: positive where edges run outward and down, between two distances from the middle."""
        here = (distance >= near) & (distance < far)
        along, over = down[:, here], outward[:, here]
        scale = float(np.sqrt((along**2).sum() * (over**2).sum()))
        return -float((along * over).sum()) / scale if scale > 1e-12 else 0.0

    beside = (distance > 0.4) & (distance < 0.8)
    texture = strip - smooth_down(strip, 6.0)
    line = smooth_down(texture[:, beside].mean(axis=1, keepdims=True), 1.0).ravel()
    spread = float(line.std())
    rise = [float(((line[k:] - line[:-k]) ** 3).mean()) for k in (2, 3, 4, 5)]
    raw = {
        "growth": growth,
        "rims": oblique(0.8, 1.1),
        "flanks": oblique(1.1, 1.9),
        "roof": oblique(0.05, 0.35),
        "sawtooth": sum(rise) / spread**3 if spread > 1e-6 else 0.0,
    }
    return {name: float(np.clip(value / USUAL[name], -2.0, 2.0)) for name, value in raw.items()}


def upright_score(signs: dict[str, float]) -> float:
    """Weighted mean of the signs: about +1 upright, about -1 upside down."""
    return sum(WEIGHTS[name] * value for name, value in signs.items())
