"""The real service as a process, for the benchmarks that watch it: start it, ask it, kill it, measure it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
START_S = 120.0


@dataclass(eq=False)
class Service:
    """`spinecare serve --demo` in a process group of its own."""

    data: Path
    database: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    url: str = ""

    def start(self) -> float:
        """Start it and wait until it says where it is; the seconds that took."""
        begun = time.perf_counter()
        command = [sys.executable, "-m", "spinecare", "serve", "--demo", "--port", "0", "--data", str(self.data)]
        if self.database:
            command += ["--database", self.database]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=(self.data.parent / f"{self.data.name}.log").open("a"),
            text=True,
            # Settings of this machine's own installation are none of this one's.
            env={**{k: v for k, v in os.environ.items() if not k.startswith("SPINECARE_")}, **self.settings},
            start_new_session=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://[\w.:\[\]]+", line):
                self.url = found[0]
                return time.perf_counter() - begun
        raise RuntimeError(f"the service did not start; {self.data}.log says why")

    def kill(self) -> None:
        """SIGKILL to the service alone: its workers have to notice by themselves."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM, and wait for its end; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(120)
        self.process = None
        return status

    def workers(self) -> list[int]:
        """The process ids of its worker processes."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in children for pid in path.read_text().split()]

    def memory_mb(self) -> dict[str, float]:
        """Resident memory now: of the service, and of its workers together."""
        assert self.process is not None
        return {"service": rss_mb(self.process.pid), "workers": sum(rss_mb(pid) for pid in self.workers())}


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MiB; 0 when there is none."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def real_files() -> list[Path]:
    """Real scans, where they are: one DICOM file and the pictures."""
    pictures = sorted((SHARED_DATA / "spine_dxa" / "images").glob("*.png"))
    return [path for path in [SHARED_DATA / "idxa_dicom" / "ap_spine.dcm", *pictures] if path.is_file()]


def distinct_files(n: int, seed: int = 0, scratch: Path | None = None) -> list[tuple[str, bytes]]:
    """`n` files that no byte-for-byte comparison takes for one another: (name, bytes).

    Real scans with a word of their own in them (a PNG text chunk, another SOPInstanceUID), or virtual patients where
    there are none. The pixels of a copy are those of its original.
    """
    sources = [path.read_bytes() for path in real_files()] or _virtual(min(n, 12), seed, scratch)
    made = []
    for i in range(n):
        data = sources[i % len(sources)]
        word = f"{seed}-{i}"
        made.append((f"scan-{i:05d}", with_text(data, word) if data.startswith(b"\x89PNG") else with_uid(data, word)))
    return made


def with_text(png: bytes, word: str) -> bytes:
    """A PNG with one more text chunk before its end, which changes no pixel."""
    end = png.rindex(b"\0\0\0\0IEND")
    body = b"tEXtComment\0" + word.encode()
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return png[:end] + chunk + png[end:]


def with_uid(dicom: bytes, word: str) -> bytes:
    """A DICOM file as another instance: the same picture under a SOPInstanceUID of its own."""
    import io

    import pydicom
    from pydicom.uid import generate_uid

    dataset = pydicom.dcmread(io.BytesIO(dicom))
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[word])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def _virtual(n: int, seed: int, scratch: Path | None) -> list[bytes]:
    import csv

    from spinecare.phantom.cohort import make_cohort

    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        manifest = make_cohort(n, seed, out=Path(folder))
        with manifest.open(newline="") as file:
            return [(manifest.parent / row["path"]).read_bytes() for row in csv.DictReader(file)]


@contextlib.contextmanager
def scratch_database(server: str) -> Iterator[str]:
    """A new database on a PostgreSQL server, dropped at the end; "" (SQLite) for no server."""
    if not server:
        yield ""
        return
    import psycopg
    from sqlalchemy.engine import make_url

    name = f"spinecare_bench_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def scratch_folder(keep: bool = False) -> Iterator[Path]:
    """A folder for a service's data, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="spinecare-bench-"))
    try:
        yield folder
    finally:
        if keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
