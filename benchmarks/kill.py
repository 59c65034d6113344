"""Is what was accepted ever lost, or done twice? Kills the real service while files come in, and counts.

    python benchmarks/kill.py                                   # 200 files, 10 kills, SQLite
    python benchmarks/kill.py --database $(tests/postgres.sh start)
    python benchmarks/kill.py --files 20 --kills 2 --json

Clients send files one by one; at random moments (seeded) the service gets SIGKILL and is started again. A file
is *accepted* when its request was answered 2xx; a client whose request broke off sends the file again, as a browser
does, so some files come twice. At the end each accepted file must have exactly one assessment, done, with the file and
all its pictures intact; the queue must be empty, and the audit log whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import queue
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from service import Service, distinct_files, scratch_database, scratch_folder
from spinecare.settings import SiteSettings
from spinecare.store import audit
from spinecare.store.models import AssessmentRow, AuditEntry, ScanRow, State, Upload
from spinecare.store.site import open_store

CLIENTS = 3
END_S = 900.0


class Sender:
    """Clients that send every file until it is accepted, whatever happens to the service."""

    def __init__(self, service: Service, files: list[tuple[str, bytes]], stop_at: float) -> None:
        self.service, self.stop_at = service, stop_at
        self.todo: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        for one in files:
            self.todo.put(one)
        self.accepted: dict[str, str] = {}
        self.broken = 0
        self.refused: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _send(self) -> None:
        with httpx.Client(timeout=60) as client:
            while time.monotonic() < self.stop_at:
                try:
                    name, data = self.todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    answer = client.post(
                        f"{self.service.url}/api/v1/assessments",
                        files={"file": (name, data)},
                        headers={"Prefer": "respond-async"},
                    )
                except httpx.HTTPError as error:
                    with self._lock:
                        self.broken += not isinstance(error, httpx.ConnectError)
                    self.todo.put((name, data))
                    time.sleep(0.1)
                    continue
                with self._lock:
                    if answer.is_success:
                        self.accepted[hashlib.sha256(data).hexdigest()] = name
                    else:
                        self.refused[answer.status_code] += 1
                if not answer.is_success:
                    self.todo.put((name, data))
                    time.sleep(0.1)


def run(files: int, kills: int, seed: int, database: str, data: Path, watch: Any = None) -> dict[str, Any]:
    """Send, kill, start again, wait, count. The numbers, and `lost`, `twice`, `damaged` … which should be 0."""
    rng = random.Random(seed)
    sent = distinct_files(files, seed)
    service = Service(data, database)
    begun = time.monotonic()
    settings = SiteSettings(data=data, database=database)
    starts = [service.start()]
    sender = Sender(service, sent, begun + END_S)
    try:
        for i in range(kills):
            # While files come in: each part of the upload gets its share of the kills. Then, within half a second, at
            # any moment of an assessment.
            part = files * (i + 1) / (kills + 1)
            while len(sender.accepted) < part and sender.running():
                time.sleep(0.005)
            time.sleep(rng.uniform(0.0, 0.5))
            service.kill()
            if watch:
                watch(f"kill {i + 1} of {kills}: {len(sender.accepted)} accepted")
            starts.append(service.start())
        while sender.running():
            time.sleep(0.05)
        last = time.monotonic()
        while (left := _open(settings)) and time.monotonic() < begun + END_S:
            if watch and time.monotonic() - last > 10:
                last = time.monotonic()
                watch(f"{left} still to do")
            time.sleep(0.2)
        status = service.stop()
    finally:
        service.kill()
    return {
        "database": "postgresql" if database else "sqlite",
        "files": files,
        "kills": kills,
        "seed": seed,
        "accepted": len(sender.accepted),
        "requests_broken_off": sender.broken,
        "requests_refused": dict(sender.refused),
        "exit_status": status,
        "restart_s": round(max(starts), 2),
        "seconds": round(time.monotonic() - begun, 1),
        **count(settings, set(sender.accepted)),
    }


def _open(settings: SiteSettings) -> int:
    db, _ = open_store(settings)
    try:
        with db.read() as session:
            still = select(func.count()).where(AssessmentRow.state.in_((State.QUEUED, State.RUNNING)))
            return session.scalar(still) or 0
    finally:
        db.close()


def count(settings: SiteSettings, accepted: set[str]) -> dict[str, Any]:
    """What became of the accepted files, as the store says once the service has ended."""
    db, files = open_store(settings)
    lost, twice, damaged, attempts, tries = 0, 0, 0, Counter[int](), Counter[str]()
    try:
        with db.read() as session:
            rows = session.execute(select(AssessmentRow, ScanRow.sha256).join(ScanRow)).all()
            of_file: dict[str, list[AssessmentRow]] = {}
            for row, sha256 in rows:
                of_file.setdefault(sha256, []).append(row)
            ends = session.execute(
                select(AuditEntry.object_key, func.count())
                .where(AuditEntry.action == audit.Action.ASSESS)
                .group_by(AuditEntry.object_key)
            ).all()
            finished = {str(key): int(n) for key, n in ends}
            uploads = session.scalar(select(func.count()).select_from(Upload)) or 0
        for sha256 in accepted:
            found = of_file.get(sha256, [])
            done = [row for row in found if row.state == State.DONE]
            lost += not done
            twice += len(found) > 1 or any(finished.get(row.key, 0) != 1 for row in done)
            damaged += sum(not _intact(files, sha256, row) for row in done)
        for row, _ in rows:
            attempts[row.attempt] += 1
            tries[row.outcome or row.state] += 1
        return {
            "lost": lost,
            "twice": twice,
            "damaged": damaged,
            "assessments": len(rows),
            "uploads": uploads,
            "outcomes": dict(tries),
            "attempts": {str(n): attempts[n] for n in sorted(attempts)},
            "audit_broken_at": audit.check(db),
            "left_half_written": len(list((files.folder / "incoming").iterdir())),
        }
    finally:
        db.close()


def _intact(files: Any, sha256: str, row: AssessmentRow) -> bool:
    assert row.record is not None
    pictures = row.record["display"]["pictures"].values()
    try:
        for one in (sha256, *(picture["sha256"] for picture in pictures)):
            files.get(one)
    except Exception:
        return False
    return row.record["sha256"] == sha256


def good(result: dict[str, Any]) -> bool:
    """Whether nothing was lost, nothing done twice, nothing damaged, and everything was accepted in the end."""
    none = ("lost", "twice", "damaged", "exit_status")
    return (
        result["accepted"] == result["files"]
        and not any(result[name] for name in none)
        and result["audit_broken_at"] is None
    )


def markdown(result: dict[str, Any]) -> str:
    """The result as a table."""
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in result.items())
    return f"| kill -9 | |\n|---|---|\n{rows}\n"


def main() -> int:
    """The command; 0 when nothing was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", default="", help="URL of a PostgreSQL server; a new database is made there")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--out", type=Path, help="write the JSON there too")
    parser.add_argument("--keep", action="store_true", help="leave the data folder")
    given = parser.parse_args()
    with scratch_folder(given.keep) as folder, scratch_database(given.database) as database:
        result = run(
            given.files, given.kills, given.seed, database, folder / "data", lambda line: print(line, file=sys.stderr)
        )
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2) if given.json else markdown(result))
    return 0 if good(result) else 1


if __name__ == "__main__":
    sys.exit(main())
