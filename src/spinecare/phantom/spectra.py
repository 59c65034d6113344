"""Makes `tables/spectra.json`: tube spectra and attenuation that `phantom.xray` reads.

    python -m spinecare.phantom.spectra src/spinecare/phantom/tables/spectra.json

Only this needs spekpy and xraydb (extra `train`); drawing patients needs the table alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

# Hologic's fan-beam machines switch the tube between 100 and 140 kVp and put a brass filter into the 140 kVp pulse
# (Blake and Fogelman 1997, Semin Nucl Med 27:210; Stein, US patent 4,811,373). The filters' thickness is not
# published: chosen so that the mean energies behind a body lie near 60 and 95 keV.
ANODE_DEG = 12.0
FIXED_AL_MM = 4.0
BRASS_MM = 2.0
BRASS = "Copper Alloy (Cartridge Brass)"
KVP = {"low": 100.0, "high": 140.0}

# Detector: energy-integrating scintillator on photodiodes, cadmium tungstate.
CDWO4_CM = 0.3
CDWO4_G_CM3 = 7.9

# Bins of 5 keV; below 25 keV nothing passes a body.
EDGES_KEV = np.arange(25.0, 141.0, 5.0)

# Mass fractions: hydroxyapatite Ca10(PO4)6(OH)2; skeletal muscle and adipose tissue of ICRU Report 44 (1989),
# appendix A, as NIST lists them (physics.nist.gov/PhysRefData/XrayMassCoef/tab2.html).
BONE = {"Ca": 10 * 40.078, "P": 6 * 30.974, "O": 26 * 15.999, "H": 2 * 1.008}
LEAN = {"H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001, "P": 0.002, "S": 0.003, "Cl": 0.001, "K": 0.004}
FAT = {"H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "S": 0.001, "Cl": 0.001}
MATERIALS = {"bone": BONE, "lean": LEAN, "fat": FAT}


def mass_attenuation(material: str, energies_kev: Float) -> Float:
    """Total mass attenuation coefficients from xraydb (Elam, Ravel and Sieber 2002), cm2/g.

    Parameters
    ----------
    material
        "bone" (hydroxyapatite), "lean" (ICRU muscle) or "fat" (ICRU adipose tissue).
    energies_kev
        float64 (n,).
    """
    import xraydb

    parts = MATERIALS[material]
    ev = np.asarray(energies_kev, np.float64) * 1e3
    total = sum(parts.values())
    return np.asarray(sum(share / total * xraydb.mu_elam(symbol, ev) for symbol, share in parts.items()))


def make() -> dict[str, Any]:
    """Compute the table.

    Returns
    -------
    dict
        `energies_kev` (n,), `low` and `high` (n,): share of the detector's signal of the unattenuated beam per bin;
        `quanta_per_mm2_ugy`: quanta in that signal per mm2 and uGy of entrance air kerma; `bone`, `lean`, `fat`
        (n,): cm2/g.
    """
    import spekpy
    import xraydb

    grid = np.arange(EDGES_KEV[0] + 0.5, EDGES_KEV[-1], 1.0)
    absorbed = 1 - np.exp(-CDWO4_CM * xraydb.material_mu("CdWO4", grid * 1e3, density=CDWO4_G_CM3))
    body = np.exp(-15.0 * mass_attenuation("lean", grid))
    signals, quanta = {}, {}
    for name, kvp in KVP.items():
        tube = spekpy.Spek(kvp=kvp, th=ANODE_DEG, dk=1.0, z=100.0).filter("Al", FIXED_AL_MM)
        if name == "high":
            tube.filter(BRASS, BRASS_MM)
        kev, per_cm2 = tube.get_spectrum()
        fluence = np.interp(grid, kev, per_cm2, right=0.0) / 100 / tube.get_kerma()
        signals[name] = fluence * absorbed * grid
        # One "quantum" is the signal of a photon as the variance weighs them behind a body: E[q^2] / E[q].
        behind = fluence * absorbed * body
        unit = (behind * grid**2).sum() / (behind * grid).sum()
        quanta[name] = float(signals[name].sum() / unit)
    which = np.digitize(grid, EDGES_KEV) - 1
    weight = (signals["low"] / signals["low"].sum() + signals["high"] / signals["high"].sum()) * body
    bins = np.arange(len(EDGES_KEV) - 1)

    def mean(values: Float) -> Float:
        return np.array([(values * weight)[which == b].sum() / weight[which == b].sum() for b in bins])

    table: dict[str, Any] = {
        "source": "spekpy (Poludniowski et al. 2021, Med Phys 48:3630) and xraydb (Elam et al. 2002)",
        "versions": {"spekpy": spekpy.__version__, "xraydb": xraydb.__version__},
        "command": "python -m spinecare.phantom.spectra src/spinecare/phantom/tables/spectra.json",
        "setup": f"W {ANODE_DEG:g} deg, {FIXED_AL_MM:g} mm Al; 100 kVp / 140 kVp + {BRASS_MM:g} mm brass; "
        f"{CDWO4_CM * 10:g} mm CdWO4, energy-integrating",
        "energies_kev": mean(grid).round(4).tolist(),
        "quanta_per_mm2_ugy": {name: round(value, 1) for name, value in quanta.items()},
    }
    for name, signal in signals.items():
        binned = np.array([signal[which == b].sum() for b in bins])
        table[name] = (binned / binned.sum()).round(8).tolist()
    for material in MATERIALS:
        table[material] = mean(mass_attenuation(material, grid)).round(8).tolist()
    return table


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
