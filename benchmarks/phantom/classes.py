"""Does the forecast that balancing rests on hold: classes of scanned people, error of the forecast, scans thrown away.

    python -m benchmarks.phantom.classes --n 600

docs/decisions/balance-by-importance.md says what for.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from benchmarks.phantom.row import Row
from spinecare.phantom import balance, population
from spinecare.phantom.chain import exposed
from spinecare.phantom.cohort import processes
from spinecare.phantom.fit_error import scanned
from spinecare.scan import LABELS

# Not the seed that the table was fitted on.
SEED = 60_001


def _attempts(index: int, seed: int) -> int:
    made, _ = exposed(seed, index, balance=True)
    return made.lot.attempt + 1


def rows(n: int = 600, seed: int = SEED) -> list[Row]:
    """Three rows: shares of the classes, the forecast's error, scans per balanced person (a fifth of n)."""
    people, measured = scanned(n, seed)
    t_score = population.t_score_of(balance.total(people, measured))
    labels = [population.label_of(float(t)) for t in t_score]
    shares, off = [], []
    for label, expected in balance.prevalence().items():
        share = float(np.mean([one == label for one in labels]))
        error = np.sqrt(expected * (1 - expected) / n)
        shares.append(f"{label} {share:.1%} (foreseen {expected:.1%})")
        off.append(abs(share - expected) / error)
    sd = balance.t_sd(people)
    z = (t_score - population.t_score_of(balance.total(people, balance.expected(people)))) / sd
    blind = np.mean([1 / share for share in balance.prevalence().values()])
    with processes(None) as pool:
        tried = list(pool.map(partial(_attempts, seed=seed), range(max(len(LABELS), n // 5)), chunksize=4))
    return [
        Row(
            f"classes of {n} scanned people, as they come, against those that `--balance` reckons with",
            "each within 3 standard errors",
            "; ".join(shares),
            max(off) <= 3,
            "The T-score is of what the scanner read. Weights lead back to these shares.",
        ),
        Row(
            f"what the scanner reads of them against what was expected: T-score's error over its fitted SD (n = {n})",
            "mean 0 ± 0.15, SD 1 ± 0.15",
            f"mean {z.mean():+.2f}, SD {z.std(ddof=1):.2f}; the fitted SD is {sd.mean():.2f} T, "
            f"{sd.mean() * population.t_reference()['sd_g_cm2']:.3f} g/cm2",
            abs(z.mean()) <= 0.15 and abs(z.std(ddof=1) - 1) <= 0.15,
            "Expected: bone as drawn, degeneration, uneven fat. A miss costs scans, and biases the classes' shares a "
            "little, no more: `python -m spinecare.phantom.fit_error` fits it anew.",
        ),
        Row(
            f"scans simulated for each person of a balanced cohort ({len(tried)} people)",
            "report",
            f"{np.mean(tried):.2f}",
            None,
            f"Drawing until the class comes would need {blind:.1f}.",
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    for row in rows(options.n, options.seed):
        print(f"{row.what}\n  {row.measured}\n  {row.note}")
