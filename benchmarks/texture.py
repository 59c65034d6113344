"""How long the texture of one raw crop takes, and each of its parts, on one thread.

    python benchmarks/texture.py               # the real scans beside the checkout, or a noisy box spine
    python benchmarks/texture.py --repeats 20 --json

Each part is timed on the regions that `texture` gives it (the spine band and four levels, or the band alone). Medians
of processor time, so that other work on the machine counts little; the target is 25 ms a picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from spinecare.learn.data import see
from spinecare.measure.texture import (
    TEXTURE_NAMES,
    first_order,
    fractal,
    gabor,
    glcm,
    gradients,
    lbp,
    runs,
    texture_row,
    variogram,
)
from spinecare.measure.texture.regions import in_grey_levels, level_cores, spine_band
from spinecare.scan import Float32
from spinecare.settings import PrepareSettings

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "spine_dxa" / "images"
TARGET_MS = 25.0


def some_crops(n: int) -> tuple[list[Float32], str]:
    """Raw crops, and what they are."""
    seen = [see(str(path), PrepareSettings(), more=True).raw for path in sorted(SHARED_DATA.glob("*.png"))[:n]]
    crops = [raw.astype(np.float32) for raw in seen if raw is not None]
    if crops:
        return crops, f"{len(crops)} real scans"
    rng = np.random.default_rng(0)
    spine = np.where(np.abs(np.arange(96) - 47.5) < 24, 0.6, 0.2)
    noisy = np.clip(spine + rng.normal(0.0, 0.08, (n, 192, 96)), 0.0, 1.0).astype(np.float32)
    return list(noisy), f"{n} box spines with noise"


def parts(raw: Float32) -> dict[str, Callable[[], object]]:
    """Each part of `texture`, ready to be called."""
    windows = [spine_band(raw.shape), *level_cores(raw.shape)]
    fine = in_grey_levels(raw)
    coarse = fine // 2
    return {
        "grey levels": lambda: in_grey_levels(raw),
        "first order": lambda: [first_order.first_order(w.of(raw)) for w in windows],
        "co-occurrence": lambda: [glcm.glcm(w.of(fine)) for w in windows],
        "run lengths": lambda: [runs.runs(w.of(coarse)) for w in windows],
        "fractal": lambda: [fractal.fractal(w.of(raw)) for w in windows],
        "variogram": lambda: [variogram.variogram(w.of(raw)) for w in windows],
        "gradients": lambda: gradients.gradients(raw, windows),
        "binary patterns": lambda: lbp.lbp(raw, windows[0]),
        "gabor": lambda: gabor.gabor(windows[0].of(raw)),
    }


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median of `repeats` calls after one that doesn't count."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1e3 * statistics.median(taken)


def measure(repeats: int, n: int) -> dict[str, object]:
    """Processor milliseconds a picture, whole and by part: medians over pictures of medians over repeats."""
    cv2.setNumThreads(1)
    crops, what = some_crops(n)
    whole = statistics.median(median_ms(lambda raw=raw: texture_row(raw), repeats) for raw in crops)
    by_part: dict[str, list[float]] = {}
    for raw in crops:
        for name, call in parts(raw).items():
            by_part.setdefault(name, []).append(median_ms(call, repeats))
    return {
        "pictures": what,
        "repeats": repeats,
        "numbers": len(TEXTURE_NAMES),
        "load_1min": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "target_ms": TARGET_MS,
        "whole_ms": whole,
        "parts_ms": {name: statistics.median(taken) for name, taken in by_part.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = measure(options.repeats, options.pictures)
    if options.json:
        print(json.dumps(found))
        return
    print(
        f"{found['pictures']}, {found['numbers']} numbers each, load {found['load_1min']:.1f} on {found['cores']} cores"
    )
    print(f"whole            {found['whole_ms']:6.2f} ms  (target {TARGET_MS:.0f})")
    for name, ms in found["parts_ms"].items():  # type: ignore[attr-defined]
        print(f"  {name:<15}{ms:6.2f} ms")


if __name__ == "__main__":
    main()
