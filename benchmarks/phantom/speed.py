"""How fast virtual patients are made, and how much memory that takes: a cohort on two processes, as a user makes one.

    python -m benchmarks.phantom.speed --n 60

The command line is run in a process of its own; its memory and its children's are read from /proc ten times a second.
The sum of resident sets counts shared pages once for each process, so it is an upper bound; the sum of proportional
sets (PSS) counts them once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.phantom.row import Row

WORKERS = 2
FLOOR_PER_S = 3.0
CEILING_GB = 1.5
EVERY_S = 0.1
# A load average a core above this means that others work here too.
QUIET = 0.35


@dataclass(frozen=True)
class Run:
    """One cohort: people, seconds from the command to its end, and the largest sums of memory seen, bytes."""

    n: int
    seconds: float
    resident: int
    proportional: int
    load: float

    @property
    def per_second(self) -> float:
        """People a second, start of the program included."""
        return self.n / self.seconds


def family(pid: int) -> list[int]:
    """The ids of a process and of everything that it has started."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    except OSError:  # it ended while it was looked at
        pass
    return found


def memory(pid: int) -> tuple[int, int]:
    """Resident and proportional set of a process, bytes; zeros when it is gone."""
    values = {"Rss:": 0, "Pss:": 0}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, *rest = line.split()
            if name in values:
                values[name] = int(rest[0]) * 1024
    except OSError:
        pass
    return values["Rss:"], values["Pss:"]


def watch(command: list[str], env: dict[str, str]) -> tuple[float, int, int]:
    """Run a command: seconds, peak resident and peak proportional memory of it and its children, bytes.

    Raises
    ------
    RuntimeError
        When the command fails.
    """
    started = time.perf_counter()
    resident = proportional = 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=env, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            sizes = [memory(pid) for pid in family(process.pid)]
            resident = max(resident, sum(size[0] for size in sizes))
            proportional = max(proportional, sum(size[1] for size in sizes))
            time.sleep(EVERY_S)
        seconds = time.perf_counter() - started
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-2000:]}")
    return seconds, resident, proportional


def measure(n: int = 60, seed: int = 5, balance: bool = False) -> Run:
    """Make a cohort of n people on two processes."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--n", str(n), "--seed", str(seed), "--out", folder, "--workers", str(WORKERS)]
        command = [sys.executable, "-m", "spinecare", "phantom", "make", *options, *(["--balance"] if balance else [])]
        return Run(n, *watch(command, {**os.environ, "OMP_NUM_THREADS": "1"}), load)


def rows(n: int = 60, seed: int = 5) -> list[Row]:
    """People a second and peak memory, as they come and balanced."""
    out = []
    for balance in (False, True):
        run = measure(n, seed, balance)
        how = " with --balance" if balance else ""
        busy = f" The machine was busy with other work (load {run.load:.1f} a core)." if run.load > QUIET else ""
        out.append(
            Row(
                f"speed, {n} people{how}, {WORKERS} processes on {os.cpu_count()} cores",
                "at least 3 people/s, less than 1.5 GB",
                f"{run.per_second:.1f} people/s; peak {run.resident / 1e9:.2f} GB "
                f"(shared pages counted once: {run.proportional / 1e9:.2f} GB)",
                run.per_second >= FLOOR_PER_S and run.resident < CEILING_GB * 1e9,
                "`spinecare phantom make` from its start to its end, imports, files and masks included." + busy,
            )
        )
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    for row in rows(options.n, options.seed):
        print(f"{row.what}\n  {row.measured}\n  {row.note}")
