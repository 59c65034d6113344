"""How much the real service does: clients in a second process, on loopback, against `spinecare serve --demo`.

    python benchmarks/load.py                                    # 2,000 assessments, 1, 4 and 16 clients, SQLite
    python benchmarks/load.py --database $(tests/postgres.sh start)
    python benchmarks/load.py --files 60 --json

Each client sends one file, waits for its answer (the synchronous API) and sends the next. Meanwhile one more client
looks at pages, as people do while others upload. Beside it, in the same run and on the same files, stands what one
process does by `spinecare.load().assess`: the service may not cost much more than its model. No file is sent twice,
so nothing is answered from the store. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service import Service, distinct_files, scratch_database, scratch_folder

CLIENTS = (1, 4, 16)
PAGES = ("/", "/worklist", "/about", "/faq")
PAGE_PAUSE_S = 0.25
WARM = 8


def clients_main(url: str, clients: int, first: int, n: int, seed: int, results: Any) -> None:
    """The second process: `clients` threads that send the files first … first + n, and one that looks at pages."""
    files = distinct_files(first + n, seed)[first:]
    todo = iter(files)
    lock, over = threading.Lock(), threading.Event()
    took: list[float] = []
    pages: list[float] = []
    statuses: Counter[int] = Counter()

    def send() -> None:
        with httpx.Client(timeout=120) as client:
            while True:
                with lock:
                    one = next(todo, None)
                if one is None:
                    return
                begun = time.perf_counter()
                answer = client.post(f"{url}/api/v1/assessments", files={"file": one})
                seconds = time.perf_counter() - begun
                with lock:
                    took.append(seconds)
                    statuses[answer.status_code] += 1

    def look() -> None:
        with httpx.Client(timeout=60) as client:
            i = 0
            while not over.is_set():
                begun = time.perf_counter()
                answer = client.get(url + PAGES[i % len(PAGES)], follow_redirects=True)
                pages.append(time.perf_counter() - begun)
                with lock:
                    statuses[answer.status_code] += answer.status_code >= 500
                i += 1
                over.wait(PAGE_PAUSE_S)

    looker = threading.Thread(target=look)
    threads = [threading.Thread(target=send) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in (looker, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    over.set()
    looker.join()
    results.put((seconds, took, pages, dict(statuses)))


def by_clients(url: str, clients: int, first: int, n: int, seed: int) -> dict[str, Any]:
    """One step of the load, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=clients_main, args=(url, clients, first, n, seed, results))
    process.start()
    seconds, took, pages, statuses = results.get()
    process.join()
    return {
        "clients": clients,
        "files": n,
        "per_s": round(n / seconds, 2),
        "api_ms": quantiles(took),
        "page_ms": quantiles(pages),
        "statuses": {str(status): count for status, count in sorted(statuses.items()) if count},
    }


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and the longest, in milliseconds."""
    if not seconds:
        return {}
    values = np.quantile(np.asarray(seconds) * 1e3, (0.5, 0.95, 0.99, 1.0))
    return dict(zip(("p50", "p95", "p99", "max"), (round(float(v), 1) for v in values), strict=True))


REFERENCE = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from service import distinct_files
import spinecare
from spinecare.errors import SpineCareError
files = distinct_files(int(sys.argv[2]), int(sys.argv[3]))
assessor = spinecare.load()
def one(name, data):
    try:
        assessor.assess(data, name)
    except SpineCareError:
        pass
for name, data in files[:4]:
    one(name, data)
begun = time.perf_counter()
for name, data in files:
    one(name, data)
print(json.dumps({"files": len(files), "per_s": round(len(files) / (time.perf_counter() - begun), 2)}))
"""


def reference(n: int, seed: int) -> dict[str, Any]:
    """The same kind of files through `spinecare.load().assess`, one after the other, in one process."""
    command = [sys.executable, "-c", REFERENCE, str(Path(__file__).parent), str(n), str(seed)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def run(files: int, clients: tuple[int, ...], seed: int, database: str, data: Path) -> dict[str, Any]:
    """Every step, with the reference before and after, and memory before and after all of it."""
    per_step = files // len(clients)
    service = Service(data, database)
    begin = service.start()
    try:
        by_clients(service.url, 2, 0, WARM, seed + 1)
        before, load_before = service.memory_mb(), os.getloadavg()[0]
        sample = min(per_step, 100)
        references = [reference(sample, seed + 2)]
        steps = [by_clients(service.url, n, i * per_step, per_step, seed) for i, n in enumerate(clients)]
        references.append(reference(sample, seed + 2))
        after = service.memory_mb()
        status = service.stop()
    finally:
        service.kill()
    alone = float(np.mean([one["per_s"] for one in references]))
    return {
        "database": "postgresql" if database else "sqlite",
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_before": round(load_before, 2),
        },
        "start_s": round(begin, 2),
        "files": per_step * len(clients),
        "steps": [{**step, "ratio_to_library": round(step["per_s"] / alone, 2)} for step in steps],
        "library_per_s": [one["per_s"] for one in references],
        "memory_mb": {
            when: {name: round(mb) for name, mb in memory.items()}
            for when, memory in (("before", before), ("after", after))
        },
        "exit_status": status,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def markdown(result: dict[str, Any]) -> str:
    """The result as tables."""
    machine, memory = result["machine"], result["memory_mb"]
    lines = [
        f"{result['files']} assessments, {result['database']}, {machine['cpu']}, {machine['cores']} cores,"
        f" load before {machine['load_before']}.",
        "",
        "| clients | assessments/s | of the library | API p50 | p95 | p99 ms | page p50 | p95 | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for step in result["steps"]:
        api, pages = step["api_ms"], step["page_ms"]
        lines.append(
            f"| {step['clients']} | {step['per_s']} | {step['ratio_to_library']} | {api['p50']} | {api['p95']} |"
            f" {api['p99']} | {pages['p50']} | {pages['p95']} | {pages['p99']} |"
        )
    lines += [
        "",
        f"The library alone, in one process: {' and '.join(str(one) for one in result['library_per_s'])} a second.",
        f"Memory of the service {memory['before']['service']} MB before and {memory['after']['service']} MB after;"
        f" of its workers together {memory['before']['workers']} and {memory['after']['workers']} MB.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command; 0 when every request was answered with 200."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="in all, shared evenly by the steps")
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", default="", help="URL of a PostgreSQL server; a new database is made there")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument("--out", type=Path, help="write the JSON there too")
    given = parser.parse_args()
    with scratch_folder() as folder, scratch_database(given.database) as database:
        result = run(given.files, tuple(given.clients), given.seed, database, folder / "data")
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2) if given.json else markdown(result))
    return 0 if all(set(step["statuses"]) <= {"200"} for step in result["steps"]) else 1


if __name__ == "__main__":
    sys.exit(main())
