"""Is a dataset fit to learn from? The rules of evidence that can be seen from the manifest and its pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinecare.errors import DatasetError
from spinecare.io.look import Looks, Progress, look_at, silent
from spinecare.io.manifest import keys_of, read_manifest
from spinecare.io.split import split_notes, units_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SamePair:
    """Two pictures of one scan. `kind` is file, pixels or near; `apart`: nothing holds them together."""

    first: str
    second: str
    kind: str
    similarity: float
    apart: bool


@dataclass(frozen=True)
class Report:
    """What `check_manifest` found.

    units
        How many there are that no split may cut: patients, else groups, else single pictures.
    key
        Which of them it is: "patient", "group", "picture", or "mixed".
    duplicates, near_duplicates
        Pairs of identical pictures (file or pixels), and of near-identical ones.
    groups
        The pictures that show one scan, as far as the pictures tell: every set with more than one.
    unreadable
        (path, code, reason).
    conflicts
        Sentences: one scan, or one group, with different labels.
    leaks
        Sentences: one scan under two patients or groups, or anything on two sides of the split.
    notes
        Sentences that every report of results must repeat.
    """

    n: int
    units: int
    key: str
    labels: dict[str, int]
    duplicates: tuple[SamePair, ...]
    near_duplicates: tuple[SamePair, ...]
    groups: tuple[tuple[str, ...], ...]
    unreadable: tuple[tuple[str, str, str], ...]
    conflicts: tuple[str, ...]
    leaks: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing stands against fitting a model."""
        return not (self.unreadable or self.conflicts or self.leaks)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {"schema": "spinecare.dataset_check/1", "ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        if self.ok:
            return f"{self.n} pictures of {self.units} units, nothing against them."
        first = (*self.leaks, *self.conflicts, *(f"{path}: {reason}" for path, _, reason in self.unreadable))
        return f"{len(first)} errors, the first: {first[0]}"


def check_manifest(manifest: str | Path | pd.DataFrame, progress: Progress = silent) -> Report:
    """Check a dataset before anything is fitted on it.

    Parameters
    ----------
    manifest
        A path, or what `read_manifest` returned. With a `split` column the two sides are compared as well.
    progress
        Called with (done, of) after each picture.

    Raises
    ------
    DatasetError
        When the manifest itself is invalid (`read_manifest`).
    """
    frame = read_manifest(manifest) if isinstance(manifest, str | Path) else manifest.reset_index(drop=True)
    if "file" not in frame.columns:
        raise DatasetError("The table has no column file; read it with read_manifest.")
    looks = look_at(list(frame["file"]), progress)
    keys, units, paths = keys_of(frame), units_of(frame), [str(p) for p in frame["path"]]
    pairs = [
        SamePair(
            paths[p.first],
            paths[p.second],
            p.kind,
            p.similarity,
            units[p.first] != units[p.second],
        )
        for p in looks.pairs
    ]
    kinds = {key.partition(":")[0] for key in keys}
    return Report(
        n=len(frame),
        units=len(set(units)),
        key=kinds.pop() if len(kinds) == 1 else "mixed",
        labels={str(k): int(v) for k, v in frame["label"].value_counts().sort_index().items()},
        duplicates=tuple(p for p in pairs if p.kind != "near"),
        near_duplicates=tuple(p for p in pairs if p.kind == "near"),
        groups=tuple(tuple(paths[i] for i in members) for members in looks.sets()),
        unreadable=tuple((paths[i], str(e.code), e.reason) for i, e in looks.unreadable.items()),
        conflicts=tuple(_conflicts(frame, looks)),
        leaks=tuple(_leaks(frame, looks, keys, units)),
        notes=(*split_notes(frame), *_shared_groups(frame)),
    )


def _conflicts(frame: pd.DataFrame, looks: Looks) -> Iterable[str]:
    """One scan with two labels: by the pictures, by the group, by patient and day."""
    labels, paths = list(frame["label"]), list(frame["path"])
    for members in looks.sets():
        if len({labels[i] for i in members}) > 1:
            said = ", ".join(f"{paths[i]} {labels[i]}" for i in members)
            yield f"Pictures of one scan have different labels: {said}."
    days = _column(frame, "acquired")
    visits = [f"{p} on {d}" if p and d else "" for p, d in zip(_column(frame, "patient_id"), days, strict=True)]
    for what, names in (("Group", _column(frame, "group")), ("Patient", visits)):
        for name, rows in _rows_of(names).items():
            found = sorted({labels[i] for i in rows})
            if len(found) > 1:
                yield f"{what} {name} has different labels: {', '.join(found)}."


def _leaks(frame: pd.DataFrame, looks: Looks, keys: Sequence[str], units: Sequence[str]) -> Iterable[str]:
    """What could be, or is, on both sides of a split."""
    paths, parts = list(frame["path"]), _column(frame, "split")
    divided = any(parts)
    for pair in looks.pairs:
        i, j = pair.first, pair.second
        how = {"file": "the same file", "pixels": "the same picture", "near": "near-identical"}[pair.kind]
        seen = f"{paths[i]} and {paths[j]} are {how}"
        if divided and parts[i] != parts[j]:
            yield f"{seen}, but in {parts[i] or 'no part'} and {parts[j] or 'no part'}."
        elif not divided and units[i] != units[j]:
            yield f"{seen}, but {_apart(keys[i], keys[j])}."
    if not divided:
        return
    for what in ("patient_id", "group"):
        for name, rows in _rows_of(_column(frame, what)).items():
            found = sorted({parts[i] or "no part" for i in rows})
            if len(found) > 1:
                yield f"{what.removesuffix('_id').capitalize()} {name} is in {' and in '.join(found)}."


def _shared_groups(frame: pd.DataFrame) -> Iterable[str]:
    """Groups that hold several patients: kept together, but somebody should know why."""
    patients = _column(frame, "patient_id")
    for group, rows in _rows_of(_column(frame, "group")).items():
        found = sorted({patients[i] for i in rows} - {""})
        if len(found) > 1:
            yield f"Group {group} holds the patients {', '.join(found)}; they are kept on one side of every split."


def _apart(first: str, second: str) -> str:
    """Why two keys are apart, in words."""
    (kind, name), (other_kind, other) = first.split(":", 1), second.split(":", 1)
    if kind == other_kind == "picture":
        return "no patient or group holds them together"
    if kind == other_kind:
        return f"under {kind}s {name} and {other}"
    return f"under {kind} {name} and {other_kind} {other}"


def _rows_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Name -> its rows; rows without a name are left out."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        if name:
            rows[name].append(i)
    return rows


def _column(frame: pd.DataFrame, name: str) -> list[str]:
    return [str(v or "") for v in frame[name]] if name in frame.columns else [""] * len(frame)
