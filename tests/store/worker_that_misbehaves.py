"""A worker process whose file says what it does: it crashes, hangs, fills its memory, writes rubbish."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

from spinecare.store import worker

MODEL = {"name": "bad", "version": "1", "sha256": "cd" * 32, "trained_on": "nobody"}


def answer(data: bytes) -> tuple[dict, list[bytes]]:
    record = {"sha256": hashlib.sha256(data).hexdigest(), "outcome": "assessed", "display": {"pictures": {}}}
    header = {"record": record, "identity": {"clinic_id": str(os.getpid())}, "pictures": ["scan"]}
    return header, [b"\x89PNG\r\n\x1a\n and so on"]


def main() -> None:
    settings = worker.json.loads(sys.argv[1])
    out = worker._keep_stdout_clean()
    worker._limit_memory(settings["memory_mb"] * 2**20)
    worker.write_frame(out, {"model": MODEL}, [])
    while (question := worker.read_frame(sys.stdin.buffer, settings["max_bytes"])) is not None:
        _, (data,) = question
        word, _, rest = data.decode("latin-1").partition(":")
        good, pictures = answer(data)
        if word == "crash":
            ctypes.string_at(0)
        elif word == "crash_once" and not Path(rest).exists():
            Path(rest).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "hang":
            time.sleep(600)
        elif word == "child":  # and one of its own that would outlive it
            pid = os.fork()
            if pid == 0:
                time.sleep(600)
            Path(rest).write_text(str(pid))
            time.sleep(600)
        elif word == "memory":
            try:
                bytearray(8 * 2**30)
            except MemoryError:
                worker.write_frame(out, {"failed": "memory"}, [])
                return
        elif word == "fault":
            worker.write_frame(out, {"failed": "ZeroDivisionError"}, [])
            continue
        elif word == "print":
            print("a library says hello")
            os.write(1, b"and so does C\n")
        elif word == "rubbish":
            out.write(b"Warning: this is not a frame at all\n" * 50)
            out.flush()
            continue
        elif word == "huge":
            out.write(worker.LENGTH.pack(2**31))
            out.flush()
            continue
        elif word == "other":
            good["record"]["sha256"] = "0" * 64
        elif word == "outcome":
            good["record"]["outcome"] = "healed"
        elif word == "texts":
            good["record"]["device"] = "GE\0 Lunar\ud800 \u202eiDXA\x1b[2J\n\u2009µ"
            good["identity"]["name"] = "Doe\0^Jane"
        elif word == "nan":
            text = worker.json.dumps({**good, "p": float("nan"), "sizes": [len(part) for part in pictures]}).encode()
            out.write(worker.LENGTH.pack(len(text)) + text + b"".join(pictures))
            out.flush()
            continue
        elif word == "pictures":
            pictures = [b"<script>" for _ in pictures]
        elif word == "half":
            text = worker.json.dumps({**good, "sizes": [10**6] * len(pictures)}).encode()
            out.write(worker.LENGTH.pack(len(text)) + text + b"only so much")
            out.flush()
            return
        elif word == "environment":
            good["identity"] = dict(os.environ)
        worker.write_frame(out, good, pictures)


main()
