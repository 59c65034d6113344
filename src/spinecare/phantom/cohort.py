"""Whole cohorts of virtual patients: the same person for the same seed and index, whoever draws it."""

from __future__ import annotations

import io
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

from spinecare.errors import PhantomError
from spinecare.phantom import balance as balancing
from spinecare.phantom import chain, population, skeleton, truth
from spinecare.phantom.balance import ESTIMATE, SKELETON, Lot
from spinecare.phantom.chain import DEVICES, draw_scan
from spinecare.phantom.population import People
from spinecare.phantom.scanner import Style
from spinecare.phantom.sheet import contact_sheet
from spinecare.scan import Label, Scan, View

__all__ = ["GENERATOR", "contact_sheet", "draw_scan", "make_cohort", "processes"]

GENERATOR = "spinecare phantom 2"
JOURNAL = "people.jsonl"


def make_cohort(
    n: int,
    seed: int,
    style: Style = "hologic",
    out: Path = Path("cohort"),
    balance: bool = False,
    truth_only: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make a folder of virtual patients: `images/`, `masks/`, `manifest.csv`, `truth.csv`, `cohort.json`.

    Finished people are kept (`people.jsonl`), so an interrupted call goes on where it stopped, and a larger n adds
    to a finished cohort.

    Parameters
    ----------
    n, seed, style, balance
        What to draw; as in `draw_scan`.
    out
        The folder; it may hold an unfinished cohort of the same settings.
    truth_only
        Draw people without pictures: only `truth.csv` is written, and what a scanner would measure is estimated
        (`measured_by`).
    workers
        Processes; 1 stays in this one. None takes as many as there are processors. They are started afresh, so a
        script that asks for more than one keeps its own work behind `if __name__ == "__main__"`.
    progress
        Called with (done, n) now and then.

    Returns
    -------
    Path
        Of `manifest.csv` (of `truth.csv` with `truth_only`).

    Raises
    ------
    PhantomError
        For n below 1, an unknown style, or a folder that holds another cohort or one of another generator.
    """
    if n < 1:
        raise PhantomError(f"Cannot make a cohort of {n}. Ask for at least one person.")
    chain.check_style(style)
    out.mkdir(parents=True, exist_ok=True)
    measured_by = "estimate" if truth_only else "scan"
    _same_cohort(out, {"seed": seed, "style": style, "balance": balance, "measured_by": measured_by})
    if not truth_only:
        (out / "images").mkdir(exist_ok=True)
        (out / "masks").mkdir(exist_ok=True)
    rows = {i: row for i, row in _read_journal(out).items() if truth_only or _has_files(out, row)}
    missing = [i for i in range(n) if i not in rows]
    work = partial(_make_one, seed=seed, style=style, out=out, balance=balance, truth_only=truth_only)
    with _journal(out, rows) as keep:
        done = n - len(missing)
        for index, row in _map(work, missing, workers, 64 if truth_only else 1):
            rows[index] = row
            keep(index, row)
            done += 1
            if progress is not None:
                progress(done, n)
    return _write_tables(out, [rows[i] for i in range(n)], balance, truth_only)


def _write_tables(out: Path, rows: list[dict[str, Any]], balance: bool, truth_only: bool) -> Path:
    if balance:
        weights = balancing.normalised([row["raw_weight"] for row in rows], [row["label"] for row in rows])
        rows = [row | {"weight": round(float(w), 6)} for row, w in zip(rows, weights, strict=True)]
    truth.write_csv(out / "truth.csv", [truth.truth_line(row) for row in rows])
    if truth_only:
        return out / "truth.csv"
    truth.write_csv(out / "manifest.csv", [truth.manifest_line(row) for row in rows])
    return out / "manifest.csv"


def _make_one(
    index: int, *, seed: int, style: Style, out: Path, balance: bool, truth_only: bool
) -> tuple[int, dict[str, Any]]:
    if truth_only:
        return index, _estimated_row(seed, index, balance)
    made, weight = chain.exposed(seed, index, balance)
    scan, known = chain.show(made, style)
    row = truth.row_of(
        made.lot.key,
        made.person,
        made.measured,
        made.t_score,
        made.label,
        "scan",
        cobb_deg=known.cobb_deg,
        fracture_grade=known.fracture_grade,
        polygons=known.polygons,
    )
    path = Path("images") / (made.lot.key + (".png" if style == "hologic" else ".dcm"))
    _put(out / path, _encode(scan))
    assert known.parts is not None
    _put(out / "masks" / f"{made.lot.key}.png", truth.parts_png(known.parts))
    return index, row | {
        "path": path.as_posix(),
        "bmd_scale": "hologic",
        "t_reference": truth.t_reference_name(),
        "view": str(View.AP_SPINE),
        "device": DEVICES[style],
        "raw_weight": weight,
    }


def _estimated_row(seed: int, index: int, balance: bool) -> dict[str, Any]:
    def scan(person: People, lot: Lot) -> tuple[People, Any, float, Label]:
        measured = balancing.estimate(person, lot.rng(ESTIMATE))
        t_score = float(population.t_score_of(balancing.total(person, measured))[0])
        return person, measured[0], t_score, population.label_of(t_score)

    lot, weight = Lot(seed, index), 1.0
    if balance:
        found, lot, weight = balancing.of_class(lot, scan, lambda made: made[3])
    else:
        found = scan(chain.draw_person(lot), lot)
    bones = skeleton.build(found[0], lot.rng(SKELETON))
    row = truth.row_of(lot.key, *found, "estimate", cobb_deg=bones.cobb_deg, fracture_grade=bones.fracture_grade)
    return row | {"raw_weight": weight}


def _encode(scan: Scan) -> bytes:
    buffer = io.BytesIO()
    if scan.colour is not None:
        Image.fromarray(scan.colour).save(buffer, "PNG")
    else:
        from spinecare.phantom.dicom import write_dicom

        write_dicom(scan, buffer)
    return buffer.getvalue()


def _put(path: Path, content: bytes) -> None:
    # Written under another name first: an interrupt never leaves half a file that looks finished.
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def _same_cohort(out: Path, settings: dict[str, Any]) -> None:
    file = out / "cohort.json"
    if file.is_file():
        there = json.loads(file.read_text(encoding="utf-8"))
        if there.get("generator") != GENERATOR:
            raise PhantomError(
                f"{out} holds a cohort of {there.get('generator')}, and this is {GENERATOR}: the two do not mix. "
                f"Choose another folder, or remove this one."
            )
        if there != {"generator": GENERATOR, **settings}:
            raise PhantomError(f"{out} holds a cohort of other settings. Choose another folder, or remove this one.")
        return
    _put(file, (json.dumps({"generator": GENERATOR, **settings}, indent=1) + "\n").encode())


def _has_files(out: Path, row: dict[str, Any]) -> bool:
    return (out / row["path"]).is_file() and (out / "masks" / f"{row['patient_id']}.png").is_file()


def _read_journal(out: Path) -> dict[int, dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    file = out / JOURNAL
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            index, row = json.loads(line)
        except ValueError:  # torn by a crash: that person is drawn again
            continue
        rows[index] = row
    return rows


@contextmanager
def _journal(out: Path, rows: dict[int, dict[str, Any]]) -> Iterator[Callable[[int, dict[str, Any]], None]]:
    # Starts with what is known to be whole, so that nothing is written behind a torn line.
    _put(out / JOURNAL, "".join(json.dumps([i, row]) + "\n" for i, row in sorted(rows.items())).encode())
    with (out / JOURNAL).open("a", encoding="utf-8") as file:

        def keep(index: int, row: dict[str, Any]) -> None:
            file.write(json.dumps([index, row]) + "\n")
            file.flush()

        yield keep


def _map(
    work: Callable[[int], tuple[int, dict[str, Any]]], indices: list[int], workers: int | None, chunk: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    if workers == 1 or len(indices) < 8:
        yield from map(work, indices)
        return
    pool = processes(workers)
    try:
        yield from pool.map(work, indices, chunksize=min(chunk, -(-len(indices) // 8)))
    finally:
        # Also when whoever takes the rows stops taking them: what is under way is finished, nothing more is begun.
        pool.shutdown(cancel_futures=True)


def processes(workers: int | None) -> ProcessPoolExecutor:
    """A pool for drawing people: fresh processes, as a fork of one that has used OpenCV's threads can hang."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _quiet_worker)


def _quiet_worker() -> None:
    # Ctrl-C reaches every process of a terminal; only the first one shall answer it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As many processes as processors: threads inside each would only wait for each other.
    cv2.setNumThreads(1)
