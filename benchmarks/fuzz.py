"""Damaged files, sent to a running service: what does it say, and does it live?

    python -m benchmarks.fuzz --n 600 --seed 1
    python -m benchmarks.fuzz --n 600 --seed 1 --address http://127.0.0.1:8000 --token sc_...

Made from the real files of ../shared/data, else from virtual patients (damage.py). Without an address the real
application is started with two workers. A damaged file may get a 4xx with a sentence, or a refusal. It may get an
answer only where the damage leaves the scan: another reader (pydicom, Pillow) then still finds nearly the same pixels.
The exit status is 1 for any 5xx, any request without an answer, any answer on another picture, or when the service no
longer answers a good file as it did at the start.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image

from benchmarks.damage import Damaged, Source, damaged_files, with_encodings
from benchmarks.service import Service, distinct_files, real_files, scratch_folder

SAME = 0.98
"""Correlation with the good file's pixels from which a damaged one still shows the same scan."""
PICTURES = 4
PATH = "/api/v1/assessments"


@dataclass(frozen=True)
class Reply:
    """What came back. `status` 0: nothing did."""

    status: int
    seconds: float
    body: dict[str, Any]

    @property
    def outcome(self) -> str:
        return str(self.body.get("outcome") or ("problem" if self.status >= 400 else "none"))

    @property
    def code(self) -> str:
        return str(self.body.get("code") or "")


Send = Callable[[str, bytes], Reply]


def good_files(scratch: Path) -> list[Source]:
    """The files to damage: real ones where they are."""
    real = [path.read_bytes() for path in real_files()]
    made = real or [data for _, data in distinct_files(PICTURES + 1, scratch=scratch)]
    dicom = [data for data in made if data[128:132] == b"DICM"]
    pictures = [data for data in made if data[:4] == b"\x89PNG"]
    return with_encodings(dicom[:1], pictures[:: max(1, len(pictures) // PICTURES)][:PICTURES])


def sender(client: httpx.Client, token: str = "") -> Send:
    """Sends one file as a program would."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(name: str, data: bytes) -> Reply:
        begun = time.perf_counter()
        try:
            answer = client.post(PATH, files={"file": (name, data)}, headers=headers)
        except httpx.HTTPError as error:
            return Reply(0, time.perf_counter() - begun, {"error": repr(error)})
        try:
            body = answer.json()
        except ValueError:
            body = {}
        return Reply(answer.status_code, time.perf_counter() - begun, body if isinstance(body, dict) else {})

    return send


def likeness(damaged: Damaged) -> float | None:
    """Correlation of the pixels with those of the good file, by another reader than ours; None: it reads neither."""
    before, after = _pixels(damaged.source.data), _pixels(damaged.data)
    if before is None or after is None or before.shape != after.shape or before.std() == 0 or after.std() == 0:
        return None
    return float(np.corrcoef(before.ravel(), after.ravel())[0, 1])


def _pixels(data: bytes) -> npt.NDArray[np.float64] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if data[128:132] == b"DICM" or data[:2] in {b"\x02\0", b"\x08\0"}:
                dataset = pydicom.dcmread(io.BytesIO(data), force=True)
                pixels = np.asarray(dataset.pixel_array, np.float64)
                return pixels if dataset.PhotometricInterpretation != "MONOCHROME1" else -pixels
            return np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float64)
        except Exception:
            return None


def run(files: Sequence[Damaged], good: Source, send: Send, show: Callable[[str], None] = print) -> dict[str, Any]:
    """Send them all; what happened, as JSON values. `passed` says whether it was as it should be."""
    first = send("good", good.data)
    replies = []
    for i, one in enumerate(files, 1):
        replies.append((one, send(one.name, one.data)))
        if i % 100 == 0:
            show(f"{i} of {len(files)} sent")
    last = send("good", good.data)
    assessed = [(one, reply, likeness(one)) for one, reply in replies if reply.outcome == "assessed"]
    faults = [_line(one, reply) for one, reply in replies if reply.status == 0 or reply.status >= 500]
    silent = [_line(one, reply) for one, reply in replies if 400 <= reply.status < 500 and not _sentence(reply)]
    wrong = [
        {**_line(one, reply), "likeness": alike, "label": reply.body.get("category")}
        for one, reply, alike in assessed
        if (alike or 0.0) < SAME and not reply.body.get("abstained")
    ]
    seconds = np.array([reply.seconds for _, reply in replies])
    lives = first.status == last.status == 200 and first.outcome == last.outcome == "assessed"
    lives = lives and first.body.get("probabilities") == last.body.get("probabilities")
    return {
        "files": len(files),
        "by_answer": dict(Counter(f"{r.status} {r.outcome} {r.code}".strip() for _, r in replies).most_common()),
        "by_damage": {
            damage: dict(Counter(r.outcome for one, r in replies if one.damage == damage))
            for damage in dict.fromkeys(one.damage for one in files)
        },
        "assessed": len(assessed),
        "assessed_alike": sum((alike or 0.0) >= SAME for *_, alike in assessed),
        "answers_on_another_picture": wrong,
        "faults": faults,
        "without_a_sentence": silent,
        "seconds": {"median": float(np.median(seconds)), "most": float(seconds.max(initial=0.0))},
        "slowest": _line(*max(replies, key=lambda pair: pair[1].seconds)),
        "good_file": {"first": first.status, "last": last.status, "same": lives},
        "passed": lives and not (faults or silent or wrong),
    }


def _line(one: Damaged, reply: Reply) -> dict[str, Any]:
    said = {"status": reply.status, "outcome": reply.outcome, "code": reply.code, "seconds": round(reply.seconds, 2)}
    error = {"error": reply.body["error"]} if "error" in reply.body else {}
    return {"file": one.name, "damage": one.damage, "bytes": len(one.data), **said, **error}


def _sentence(reply: Reply) -> bool:
    return bool(reply.body.get("reason") or reply.body.get("detail"))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--address", help="of a running service; one is started when left out")
    parser.add_argument("--token", default="", help="an API token, where the service has accounts")
    parser.add_argument("--keep", type=Path, help="folder for the files that were not answered as they should be")
    given = parser.parse_args(arguments)
    with scratch_folder() as scratch:
        sources = good_files(scratch)
        files = damaged_files(sources, given.n, given.seed)
        service = None if given.address else Service(scratch / "data", settings={"SPINECARE_WORKERS": "2"})
        try:
            if service is not None:
                service.start()
            address = given.address or (service.url if service else "")
            with httpx.Client(base_url=address, timeout=120.0) as client:
                report = run(files, sources[0], sender(client, given.token), lambda line: print(line, file=sys.stderr))
            if service is not None:
                report["memory_mb"] = service.memory_mb()
        finally:
            if service is not None:
                service.stop()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        odd = {line["file"] for kind in ("faults", "without_a_sentence", "answers_on_another_picture")
               for line in report[kind]}  # fmt: skip
        for one in files:
            if one.name in odd:
                (given.keep / one.name).write_bytes(one.data)
    print(json.dumps({"seed": given.seed, **report}, indent=2))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
