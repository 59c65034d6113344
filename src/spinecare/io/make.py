"""A manifest from a folder per class, or from somebody else's table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinecare.errors import DatasetError
from spinecare.io.links import Links
from spinecare.io.look import Looks, Progress, look_at, silent
from spinecare.io.manifest import COLUMNS, import_pandas, label_of, read_table
from spinecare.scan import LABELS, Scan, View

if TYPE_CHECKING:
    import pandas as pd


def make_manifest(
    source: str | Path,
    *,
    path_column: str = "path",
    label_column: str = "label",
    group_column: str | None = None,
    patient_column: str | None = None,
    find_groups: bool = True,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Make a manifest.

    Parameters
    ----------
    source
        A folder with one folder per class (normal, osteopenia, ...; pictures may lie deeper), or a CSV or Parquet
        table.
    path_column, label_column
        The table's columns; paths are relative to its folder.
    group_column, patient_column
        The table's columns for scan group and patient; `group` and `patient_id` are taken when they are there.
    find_groups
        Look at the pictures, and put those that show one scan into one group (their groups are joined; patients who
        share a group are never split apart).
    progress
        Called with (done, of) after each picture.

    Returns
    -------
    pandas.DataFrame
        For `write_manifest`: the columns of DESIGN 4 that are known, and `file`. What DICOM files say (patient, age,
        sex, height, weight, day, view, device) fills cells that are empty. Unreadable pictures stay in, for
        `check_manifest` to name. `attrs["notes"]` says what was joined.

    Raises
    ------
    DatasetError
        When there is no such folder, table or column, no picture, or a word that is no class.
    """
    source = Path(source)
    if source.is_dir():
        frame = _from_folder(source)
    else:
        frame = _from_table(source, path_column, label_column, group_column, patient_column)
    filled: dict[int, dict[str, Any]] = {}
    looks = look_at(list(frame["file"]), progress, lambda i, scan: filled.update({i: _facts(scan)}))
    _fill(frame, filled)
    notes = [f"{frame['path'][i]} cannot be read: {error.reason}" for i, error in looks.unreadable.items()]
    if find_groups:
        notes += _join_groups(frame, looks)
    known = [c for c in COLUMNS if c in frame.columns]
    frame = frame[known + [c for c in frame.columns if c not in known]]
    frame.attrs["notes"] = notes
    return frame


def _from_folder(folder: Path) -> pd.DataFrame:
    pd = import_pandas()
    rows = []
    strange = []
    for child in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        label = label_of(child.name)
        if label is None:
            strange.append(child.name)
            continue
        files = sorted(p for p in child.rglob("*") if p.is_file() and not _hidden(p, child))
        rows += [(file.relative_to(folder).as_posix(), str(label), str(file.resolve())) for file in files]
    if strange:
        raise DatasetError(f"{folder} has folders that name no class: {', '.join(strange)}. {_classes()}")
    if not rows:
        raise DatasetError(f"{folder} has no pictures in a folder per class. {_classes()}")
    frame = pd.DataFrame(rows, columns=["path", "label", "file"])
    frame["patient_id"] = ""
    frame["group"] = ""
    return frame


def _from_table(
    path: Path, path_column: str, label_column: str, group_column: str | None, patient_column: str | None
) -> pd.DataFrame:
    table = read_table(path).reset_index(drop=True)
    wanted = {"path": path_column, "label": label_column, "group": group_column, "patient_id": patient_column}
    missing = [c for c in wanted.values() if c is not None and c not in table.columns]
    if missing:
        raise DatasetError(
            f"{path.name} has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}. Name the "
            "right one with --path-column, --label-column, --group-column or --patient-column."
        )
    if not len(table):
        raise DatasetError(f"{path.name} has no rows.")
    out = table.drop(columns=[c for c in ("path", "label") if c in table.columns])
    for column, given in wanted.items():
        origin = given or column
        values = table[origin] if origin in table.columns else [""] * len(table)
        out[column] = ["" if v is None or v != v else str(v).strip() for v in values]
    # Only now: one column may be named for two things, such as the patient who is also the group.
    renamed = {given for given in wanted.values() if given and given not in wanted}
    out = out.drop(columns=[c for c in out.columns if c in renamed])
    labels = [label_of(word) for word in out["label"]]
    for i, label in enumerate(labels):
        if label is None:
            raise DatasetError(f"{path.name}, row {i + 1}: {out['label'][i]!r} names no class. {_classes()}")
    out["label"] = [str(label) for label in labels]
    out["file"] = [str((path.parent / p).resolve()) for p in out["path"]]
    return out


def _facts(scan: Scan) -> dict[str, Any]:
    """What a DICOM file says of patient and scan. A picture knows nothing: its key is only its own hash."""
    if scan.source.media_type != "application/dicom":
        return {}
    patient = scan.patient
    facts = {
        "patient_id": None if patient.key == scan.source.sha256[:12] else patient.key,
        "age_years": patient.age_years,
        "sex": patient.sex,
        "height_cm": patient.height_cm,
        "weight_kg": patient.weight_kg,
        "acquired": scan.acquired.isoformat() if scan.acquired else None,
        "view": None if scan.view is View.UNKNOWN else str(scan.view),
        "device": scan.device,
    }
    return {column: value for column, value in facts.items() if value is not None}


def _fill(frame: pd.DataFrame, facts: dict[int, dict[str, Any]]) -> None:
    """Write facts into empty cells."""
    for column in COLUMNS:
        said = {i: fact[column] for i, fact in facts.items() if column in fact}
        if not said:
            continue
        old = list(frame[column]) if column in frame.columns else [""] * len(frame)
        frame[column] = [
            str(said[i]) if i in said and (v is None or v != v or v == "") else v for i, v in enumerate(old)
        ]


def _join_groups(frame: pd.DataFrame, looks: Looks) -> list[str]:
    """One group for the pictures of one scan; notes on what was joined."""
    patients = [str(p) for p in frame["patient_id"]]
    groups = [str(g) for g in frame["group"]]
    links = Links(len(frame))
    first: dict[str, int] = {}
    for i, group in enumerate(groups):
        if group:
            links.join(first.setdefault(group, i), i)
    notes = []
    for pair in looks.pairs:
        i, j = pair.first, pair.second
        if links.root(i) == links.root(j):
            continue
        links.join(i, j)
        strange = patients[i] != patients[j] and patients[i] and patients[j]
        who = f" under two patients, {patients[i]} and {patients[j]}" if strange else ""
        notes.append(f"{frame['path'][i]} and {frame['path'][j]} show one scan{who}: now one group.")
    for members in links.sets():
        name = next((groups[i] for i in members if groups[i]), f"scan{members[0] + 1:05d}")
        for i in members:
            groups[i] = name
    frame["group"] = groups
    return notes


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts) or file.name == "Thumbs.db"


def _classes() -> str:
    return f"The classes are {', '.join(LABELS)} (osteopenia is low_bone_mass)."
