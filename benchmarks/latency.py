"""How long one scan takes, from file to Assessment, against the published design, interleaved in one run.

    python benchmarks/latency.py            # the real scans beside the checkout, or a virtual patient
    python benchmarks/latency.py --file scan.dcm --repeats 50 --json

Each repeat runs ours and then theirs on the same file, so that whatever else the machine does hits both.
Medians; the ratio's interval is a bootstrap over the repeats. `spinecare assess FILE --json` is timed as a
cold command too. Run it on a quiet machine: eager PyTorch suffers more than we do when cores are shared, which
flatters the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import spinecare
from spinecare.scan import Refused

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Load average a core above which other work is going on.
QUIET = 0.35
Float = npt.NDArray[np.float64]


# Idle threads of either side go on spinning for a while; neither may run into the other's time.
PAUSE_S = 0.3


def default_files(scratch: Path) -> list[Path]:
    """The real iDXA scan and one Hologic picture where they are, else a virtual patient."""
    real = [SHARED_DATA / "idxa_dicom" / "ap_spine.dcm", SHARED_DATA / "spine_dxa" / "images" / "s002.png"]
    there = [path for path in real if path.is_file()]
    if there:
        return there
    import csv

    from spinecare.phantom.cohort import make_cohort

    manifest = make_cohort(1, 0, out=scratch)
    with manifest.open(newline="") as file:
        return [manifest.parent / next(csv.DictReader(file))["path"]]


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"median_ms": float(np.median(milliseconds)), "p95_ms": float(np.quantile(milliseconds, 0.95))}


def ratio_of_medians(theirs: Float, ours: Float, n_boot: int = 5000, seed: int = 0) -> dict[str, float]:
    """Median of theirs over median of ours, with a 95 % bootstrap interval over the paired repeats."""
    draws = np.random.default_rng(seed).integers(0, len(ours), (n_boot, len(ours)))
    low, high = np.quantile(np.median(theirs[draws], axis=1) / np.median(ours[draws], axis=1), (0.025, 0.975))
    return {"ratio": float(np.median(theirs) / np.median(ours)), "low": float(low), "high": float(high)}


def time_file(assessor: Any, published: Any, path: Path, repeats: int, warm_up: int = 3) -> dict[str, Any]:
    """Ours and theirs in turn on one file; the first `warm_up` rounds are thrown away."""
    ours, theirs = [], []
    our_stages: dict[str, list[float]] = {}
    their_parts: dict[str, list[float]] = {}
    for round_ in range(warm_up + repeats):
        time.sleep(PAUSE_S)
        start = time.perf_counter()
        answer = assessor.assess(path)
        mine = (time.perf_counter() - start) * 1000
        if isinstance(answer, Refused):
            sys.exit(f"{path.name} was refused ({answer.code}): time a file that gets an answer.")
        time.sleep(PAUSE_S)
        start = time.perf_counter()
        _, parts = published.assess(path)
        other = (time.perf_counter() - start) * 1000
        if round_ < warm_up:
            continue
        ours.append(mine)
        theirs.append(other)
        for name, spent in (answer.timings_ms).items():
            our_stages.setdefault(name, []).append(spent)
        for name, spent in parts.items():
            their_parts.setdefault(name, []).append(spent)
    return {
        "file": path.name,
        "repeats": repeats,
        "ours": summary(ours),
        "ours_by_stage": {name: summary(spent) for name, spent in our_stages.items()},
        "published": summary(theirs),
        "published_by_part": {name: summary(spent) for name, spent in their_parts.items()},
        "published_over_ours": ratio_of_medians(np.array(theirs), np.array(ours)),
    }


def time_command(path: Path, bundle: Path | None, times: int = 5) -> dict[str, Any]:
    """Seconds of `spinecare assess FILE --json` in a new process."""
    command = [sys.executable, "-m", "spinecare", "assess", str(path), "--json"]
    if bundle is not None:
        command += ["--bundle", str(bundle)]
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        if done.returncode != 0:
            sys.exit(f"The command failed on {path.name}: {done.stderr.strip()[-400:]}")
    return {"file": path.name, "times": times, "median_s": statistics.median(seconds), "max_s": max(seconds)}


def machine(load_average: float | None) -> dict[str, Any]:
    """What the numbers depend on."""
    import onnxruntime
    import torch

    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "onnxruntime": onnxruntime.__version__,
        "python": sys.version.split()[0],
        "load_average": load_average,
    }


def print_table(result: dict[str, Any]) -> None:
    """The result as text."""

    def line(text: str, figures: dict[str, float], indent: str = "") -> None:
        print(f"  {indent + text:34s} {figures['median_ms']:9.1f} ms  {figures['p95_ms']:9.1f} ms")

    facts = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    print(facts)
    if (result["machine"]["load_average"] or 0) > QUIET * result["machine"]["cores"]:
        print("WARNING: the machine was busy when this began; the ratio is not to be trusted.")
    print(f"once: loading {result['load_s']:.2f} s")
    for entry in result["files"]:
        print(f"\n{entry['file']}, {entry['repeats']} interleaved repeats{'':8s} median        95th percentile")
        line("SpineCare, file to Assessment", entry["ours"])
        for name, figures in entry["ours_by_stage"].items():
            line(name, figures, "  ")
        line("published design", entry["published"])
        for name, figures in entry["published_by_part"].items():
            line(name, figures, "  ")
        ratio = entry["published_over_ours"]
        print(f"  published / SpineCare: {ratio['ratio']:.1f} [{ratio['low']:.1f}, {ratio['high']:.1f}]")
    for entry in result["cold_command"]:
        print(
            f"\ncold command on {entry['file']}: median {entry['median_s']:.2f} s of {entry['times']}"
            f" (slowest {entry['max_s']:.2f} s)"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--file", type=Path, action="append", help="a scan; may be given more than once")
    parser.add_argument("--bundle", type=Path, help="a bundle's folder; the one in the package when absent")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, help="threads for PyTorch; its default when absent")
    parser.add_argument("--cold", type=int, default=5, help="runs of the cold command; 0 leaves it out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as scratch:
        files = options.file or default_files(Path(scratch))
        # Before torch is imported and busy: the command starts with nothing warm but the disk cache.
        cold = [time_command(path, options.bundle, options.cold) for path in files if options.cold]
        start = time.perf_counter()
        assessor = spinecare.load(options.bundle)
        load_s = time.perf_counter() - start

        import torch

        from published import Published

        if options.threads:
            torch.set_num_threads(options.threads)
        published = Published()
        result = {
            "machine": machine(load_average),
            "load_s": load_s,
            "files": [time_file(assessor, published, path, options.repeats) for path in files],
            "cold_command": cold,
        }
    if options.json:
        print(json.dumps(result))
    else:
        print_table(result)


if __name__ == "__main__":
    main()
