"""Frozen views of thousands of virtual people, of some at a time: all their pictures at once would be gigabytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.data import Pictures, load_pictures
from spinecare.learn.level_folder import level_folder
from spinecare.learn.material import Material
from spinecare.learn.members.base import Member
from spinecare.learn.recipe import AugmentSettings, Progress, Step
from spinecare.scan import LABELS
from spinecare.study.settings import StudySettings

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 1_000


@dataclass(frozen=True, eq=False)
class Tables:
    """Views without copies of all usable people.

    kept
        Their rows in the manifest's frame, int (n,), ascending.
    labels, people
        int64 (n,), str (n,).
    views
        View → file of float32 (n, 1, numbers).
    """

    kept: np.ndarray
    labels: np.ndarray
    people: np.ndarray
    views: dict[str, Path]


def frozen_members(study: StudySettings) -> dict[str, Member]:
    """The study's members that read frozen views and nothing else.

    Raises
    ------
    TrainingError
        When there is none.
    """
    from spinecare.learn.members import build_member

    built = {one.name: build_member(one.kind, one.options) for one in study.members}
    frozen = {name: member for name, member in built.items() if member.views}
    if not frozen:
        raise TrainingError("No member of the settings reads a frozen view; thousands of people are not fine-tuned on.")
    return frozen


def tables_of(frame: pd.DataFrame, study: StudySettings, out: Path, progress: Progress) -> Tables:
    """Prepare everybody and make every view that the study's frozen members read; finished parts are kept."""
    views = sorted({view for member in frozen_members(study).values() for view in member.views})
    levels = level_folder(study.levels, out)
    parts = [frame.iloc[start : start + AT_ONCE] for start in range(0, len(frame), AT_ONCE)]
    files = []
    for number, part in enumerate(parts):
        progress(Step("views", number, len(parts), f"of {len(part)} people"))
        files.append(_part(part, views, study, levels, out, progress))
    progress(Step("views", len(parts), len(parts)))
    codes = np.concatenate([np.load(found["codes"]) for found in files])
    kept = np.flatnonzero(codes == "")
    label = frame["label"].to_numpy().astype(str)[kept]
    order = {str(name): i for i, name in enumerate(LABELS)}
    return Tables(
        kept=kept,
        labels=np.array([order[name] for name in label], dtype=np.int64),
        people=frame["patient_id"].to_numpy().astype(str)[kept],
        views={view: _joined([found[view] for found in files], out / "tables") for view in views},
    )


def _part(
    part: pd.DataFrame, views: list[str], study: StudySettings, levels: str | None, out: Path, progress: Progress
) -> dict[str, Path]:
    """Files of the views and of the refusals' codes of some people, made where they are missing."""
    from spinecare.learn.views import VIEWS, make_view

    who = [list(part["patient_id"]), list(part["label"]), study.prepare.to_json(), study.levels]
    files = {"codes": out / "tables" / f"codes-{_key(who)}.npy"}
    for view in views:
        told = [view, VIEWS[view].version, VIEWS[view].reads(study.sources)] if view in VIEWS else [view]
        files[view] = out / "tables" / f"{view}-{_key([who, told])}.npy"
    missing = [name for name, file in files.items() if not file.exists()]
    if missing:
        rows = part.reset_index(drop=True)
        pictures = load_pictures(
            rows, study.prepare, out / "prepared", study.workers, progress, levels=levels, more=True
        )
        material = Material(pictures, AugmentSettings(), 0, study.seed, out / "views", study.sources)
        for name in missing:
            # Without the cache of `Material`: its parts would lie there a second time.
            _save(files[name], _codes(rows, pictures) if name == "codes" else make_view(name, material))
    return files


def _codes(rows: pd.DataFrame, pictures: Pictures) -> np.ndarray:
    """Why each row was refused, "" where it was not, str (n,)."""
    refused = dict(zip(pictures.refused["path"], pictures.refused["code"], strict=True))
    return np.array([str(refused.get(path, "")) for path in rows["path"]], dtype=np.str_)


def _joined(parts: list[Path], folder: Path) -> Path:
    name = parts[0].name.rsplit("-", 1)[0]
    file = folder / f"all-{name}-{_key([p.name for p in parts])}.npy"
    if not file.exists():
        _save(file, np.concatenate([np.load(part) for part in parts]))
    return file


def _save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, values if values.dtype.kind == "U" else values.astype(np.float32), allow_pickle=False)
    part.replace(file)


def _key(told: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]
