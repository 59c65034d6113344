"""What is a person's own about their vertebrae: proportions of parts, shares of cortical and trabecular bone.

Middles were set to the mean picture of 59 real scans (spine_dxa, even groups), spreads to what differs among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The middle of a young adult's spine BMD (Hologic, L1-L4), g/cm2: where the densities below hold.
YOUNG_BMD = 1.05
# Bone mineral in compact bone, g/cm3 (apparent, haversian pores included).
COMPACT_G_CM3 = 1.05


@dataclass(frozen=True)
class Look:
    """One person's vertebrae, priors wide on purpose: real spines differ as much.

    core_g_cm3
        Bone mineral in the body's trabecular core: about 0.17 at 30 years, half of that at 80 (QCT; Kalender et
        al. 1989, Eur J Radiol 9:75).
    shell_mm, endplate_mm, arch_mm
        Thickness of compact bone: the body's wall 0.3-0.5, endplates 0.5-0.8 (Silva et al. 1994, Bone 15:409;
        Edwards et al. 2001, Spine 26:218), the arch about 1. Drawn thinner than that (see `Look.draw`): with the
        thicknesses of the papers the shells outshine the core beside real pictures of this sharpness.
    arch_core_g_cm3
        Trabecular bone inside the arch.
    coarse, contrast, upright
        Of the trabecular field: size against the usual, standard deviation against the mean, length of struts
        along the body's axis against across.
    waist, square, concave, endplate_lower
        Of the body: how much narrower in the middle; the cross-section (see `Centrum`); how deep the upper endplate is
        hollowed, a share of half the height; the lower endplate's thickness against the upper's.
    arch_drop, arch_turn
        How low the arch hangs, a share of half the height; how far it lies to the right, a share of the canal's width.
    pedicle, canal, facet, lamina, spinous_width, spinous_length, transverse
        Sizes against the usual.
    spinous_drop, spinous_split, transverse_rise
        Degrees more than usual that the spinous process falls; how far its lower border splits, 0-1; how far
        transverse processes point up, a share of half the height.
    """

    core_g_cm3: float
    shell_mm: float
    endplate_mm: float
    arch_mm: float
    arch_core_g_cm3: float
    coarse: float
    contrast: float
    upright: float
    waist: float
    square: float
    concave: float
    endplate_lower: float
    arch_drop: float
    pedicle: float
    canal: float
    facet: float
    lamina: float
    spinous_width: float
    spinous_drop: float
    spinous_length: float
    spinous_split: float
    transverse: float
    transverse_rise: float
    arch_turn: float

    @staticmethod
    def draw(bmd: float, texture: float, rng: np.random.Generator) -> Look:
        """Draw a person's look.

        Parameters
        ----------
        bmd
            Mean areal BMD of L1-L4, g/cm2: trabecular bone goes first, compact bone later (Riggs et al. 2004,
            J Bone Miner Res 19:1945).
        texture
            Standard normal: coarseness that BMD does not explain.
        rng
            The rest comes from it.
        """
        g = rng.standard_normal(22)
        share = float(np.clip(bmd / YOUNG_BMD, 0.4, 1.6))
        weak = float(np.clip((YOUNG_BMD - bmd) / 0.35, -1.0, 1.5))
        return Look(
            core_g_cm3=0.155 * share**1.6 * np.exp(0.10 * g[0] - 0.05 * texture),
            shell_mm=0.27 * share**0.6 * np.exp(0.15 * g[1]),
            endplate_mm=0.08 * share**0.5 * np.exp(0.20 * g[2]),
            arch_mm=0.65 * share**0.7 * np.exp(0.15 * g[3]),
            arch_core_g_cm3=0.19 * share**1.2 * np.exp(0.15 * g[4]),
            coarse=float(np.exp(0.18 * weak + 0.20 * texture)),
            contrast=float(np.clip(0.72 * np.exp(0.25 * weak + 0.22 * texture), 0.25, 1.4)),
            upright=1.7 * float(np.exp(0.20 * weak + 0.10 * texture + 0.10 * g[5])),
            waist=float(np.clip(0.06 + 0.03 * g[6], 0.0, 0.15)),
            square=float(np.clip(1.15 + 0.30 * g[7], 0.5, 1.8)),
            concave=float(np.clip(0.10 + 0.035 * g[8] + 0.06 * max(weak, 0), 0.03, 0.28)),
            endplate_lower=float(np.exp(0.05 + 0.25 * g[9])),
            arch_drop=0.055 * g[10],
            pedicle=float(np.exp(0.10 * g[11])),
            canal=float(np.exp(0.06 * g[12])),
            facet=float(np.exp(0.16 * g[13])),
            lamina=float(np.exp(0.13 * g[14])),
            spinous_width=float(np.exp(0.22 * g[15])),
            spinous_drop=4.0 * g[16],
            spinous_length=float(np.exp(0.12 * g[17])),
            spinous_split=float(np.clip(0.35 + 0.3 * g[18], 0, 1)),
            transverse=float(np.exp(0.15 * g[19])),
            transverse_rise=0.12 * g[20],
            arch_turn=0.03 * g[21],
        )
