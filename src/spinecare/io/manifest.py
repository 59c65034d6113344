"""The manifest of a dataset: one row a picture, CSV or Parquet (DESIGN 4)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinecare.errors import DatasetError
from spinecare.scan import Label, View

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("path", "label")
TEXTS = (
    "path",
    "label",
    "patient_id",
    "group",
    "sex",
    "bmd_scale",
    "t_reference",
    "acquired",
    "view",
    "device",
    "split",
)
SPLITS = ("train", "val", "test")

# column -> smallest and largest value that a person can have (both allowed); outside it is a typing error.
RANGES: dict[str, tuple[float, float]] = {
    "age_years": (0.0, 130.0),
    "height_cm": (30.0, 250.0),
    "weight_kg": (1.0, 500.0),
    "bmd_l1": (0.0, 4.0),
    "bmd_l2": (0.0, 4.0),
    "bmd_l3": (0.0, 4.0),
    "bmd_l4": (0.0, 4.0),
    "t_score": (-10.0, 15.0),
}

COLUMNS = (
    "path", "label", "patient_id", "group", "age_years", "sex", "height_cm", "weight_kg", "bmd_l1", "bmd_l2", "bmd_l3",
    "bmd_l4", "t_score", "bmd_scale", "t_reference", "acquired", "view", "device", "split",
)  # fmt: skip
"""The columns of DESIGN 4 in their order; others are kept behind them."""

# What people call the three classes, in lower case, with one space between words.
LABEL_WORDS: dict[str, Label] = {
    "normal": Label.NORMAL,
    "healthy": Label.NORMAL,
    "normal bone mass": Label.NORMAL,
    "normal bmd": Label.NORMAL,
    "low bone mass": Label.LOW_BONE_MASS,
    "low bone density": Label.LOW_BONE_MASS,
    "low bmd": Label.LOW_BONE_MASS,
    "osteopenia": Label.LOW_BONE_MASS,
    "osteopenic": Label.LOW_BONE_MASS,
    "osteopaenia": Label.LOW_BONE_MASS,
    "osteoporosis": Label.OSTEOPOROSIS,
    "osteoporotic": Label.OSTEOPOROSIS,
    "severe osteoporosis": Label.OSTEOPOROSIS,
    "established osteoporosis": Label.OSTEOPOROSIS,
}

_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M", "": ""}
_SHOWN = 5


def label_of(word: object) -> Label | None:
    """The class that a word means, whatever its case, spaces, underscores and dashes; None for an unknown word."""
    return LABEL_WORDS.get(re.sub(r"[\s_\-]+", " ", str(word)).strip().lower())


def import_pandas() -> Any:
    """pandas, or a `DatasetError` that says how to get it: the base install serves without it."""
    try:
        import pandas
    except ImportError as error:
        raise DatasetError("Datasets need pandas. Install it with: pip install 'spinecare[train]'") from error
    return pandas


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table as it is, with text kept as text. Raises `DatasetError`."""
    pd = import_pandas()
    if not path.is_file():
        raise DatasetError(f"There is no table {path}.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except Exception as error:
        raise DatasetError(f"{path} cannot be read as a CSV or Parquet table: {error}") from error


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read and validate a manifest.

    Parameters
    ----------
    path
        CSV or Parquet (by its ending). Paths of pictures in it are relative to its folder.

    Returns
    -------
    pandas.DataFrame
        Rows in the file's order, index 0 ... n - 1. Texts are str ("" when missing), numbers float64 (NaN
        when missing), `label` one of the three classes, `sex` "F", "M" or "". `patient_id` and `group` are always
        there, possibly empty. `file` is the absolute path of the picture. Other columns are as they were.

    Raises
    ------
    DatasetError
        That names the first rows that are wrong: unknown label or split, missing file, the same path twice, a
        number that is none or that nobody can have.
    """
    path = Path(path)
    frame = read_table(path)
    missing = [c for c in REQUIRED if c not in frame.columns]
    if missing:
        raise DatasetError(f"{path.name} has no column {' and no column '.join(missing)}; it needs path and label.")
    if not len(frame):
        raise DatasetError(f"{path.name} has no rows.")
    frame = frame.reset_index(drop=True)
    row = _row_namer(path)
    for column in TEXTS:
        if column in frame.columns:
            frame[column] = [_text(v) for v in frame[column]]
    for column in ("patient_id", "group"):
        if column not in frame.columns:
            frame[column] = ""
    wrong: list[str] = []
    _labels(frame, row, wrong)
    _files(frame, path.parent, row, wrong)
    _numbers(frame, row, wrong)
    _words(frame, row, wrong)
    if wrong:
        more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
        raise DatasetError(f"{path.name}: {'; '.join(wrong[:_SHOWN])}{more}.")
    return frame


def write_manifest(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV or Parquet (by the ending), with paths relative to its folder where they can be.

    `frame` may have the column `file`; then it decides where the pictures are, and is itself not written.
    """
    path = Path(path)
    out = frame.copy()
    if "file" in out.columns:
        out["path"] = [_relative(Path(str(f)), path.parent.resolve()) for f in out["file"]]
        out = out.drop(columns="file")
    known = [c for c in COLUMNS if c in out.columns]
    out = out[known + [c for c in out.columns if c not in known]]
    out.attrs = {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".parquet", ".pq"):
            out.to_parquet(path, index=False)
        else:
            out.to_csv(path, index=False, lineterminator="\n")
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror or error}.") from error


def keys_of(frame: pd.DataFrame) -> list[str]:
    """What no split may cut, a row: the patient, else the group, else the picture itself.

    "patient:...", "group:..." or "picture:...": the words keep a patient "7" apart from a group "7".
    """
    columns = [frame[c] if c in frame.columns else [""] * len(frame) for c in ("patient_id", "group")]
    return [
        f"patient:{patient}" if patient else f"group:{group}" if group else f"picture:{path}"
        for patient, group, path in zip(map(_text, columns[0]), map(_text, columns[1]), frame["path"], strict=True)
    ]


def _row_namer(path: Path) -> Callable[[int], str]:
    """Names a row as a person finds it: in a CSV the line in the file, the heading being line 1."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return lambda i: f"row {i + 1}"
    return lambda i: f"line {i + 2}"


def _labels(frame: pd.DataFrame, row: Callable[[int], str], wrong: list[str]) -> None:
    labels = [label_of(word) for word in frame["label"]]
    known = ", ".join(Label)
    for i, label in enumerate(labels):
        if label is None:
            wrong.append(f"{row(i)}: label {frame['label'][i]!r} is none of {known}")
    frame["label"] = [str(label or "") for label in labels]


def _files(frame: pd.DataFrame, folder: Path, row: Callable[[int], str], wrong: list[str]) -> None:
    folder = folder.resolve()
    files = [folder / p for p in frame["path"]]
    seen: dict[Path, int] = {}
    for i, file in enumerate(files):
        if not frame["path"][i] or not file.is_file():
            wrong.append(f"{row(i)}: there is no file {frame['path'][i]!r}")
        elif file in seen:
            wrong.append(f"{row(i)}: {frame['path'][i]!r} is already in {row(seen[file])}")
        else:
            seen[file] = i
    frame["file"] = [str(f) for f in files]


def _numbers(frame: pd.DataFrame, row: Callable[[int], str], wrong: list[str]) -> None:
    for column, (low, high) in RANGES.items():
        if column not in frame.columns:
            continue
        numbers = []
        for i, value in enumerate(frame[column]):
            number = _number(value)
            if number is None or not (math.isnan(number) or low <= number <= high):
                wrong.append(f"{row(i)}: {column} {value!r} is not a number from {low:g} to {high:g}")
            numbers.append(math.nan if number is None else number)
        frame[column] = numbers


def _words(frame: pd.DataFrame, row: Callable[[int], str], wrong: list[str]) -> None:
    if "sex" in frame.columns:
        sexes = [_SEXES.get(s.lower()) for s in frame["sex"]]
        wrong += [f"{row(i)}: sex {frame['sex'][i]!r} is not F, M or empty" for i, s in enumerate(sexes) if s is None]
        frame["sex"] = [s or "" for s in sexes]
    allowed = {"split": SPLITS, "view": tuple(View)}
    for column, words in allowed.items():
        if column in frame.columns:
            wrong += [
                f"{row(i)}: {column} {word!r} is not {', '.join(words)} or empty"
                for i, word in enumerate(frame[column])
                if word and word not in words
            ]


def _text(value: Any) -> str:
    """A cell as text. A whole number that pandas read as a float stays whole."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return "" if text in ("nan", "NaT", "<NA>", "None") else text


def _number(value: Any) -> float | None:
    """A cell as a number: NaN when empty, None when it is no finite number."""
    text = _text(value)
    try:
        number = float(text) if text else math.nan
    except ValueError:
        return None
    return None if math.isinf(number) else number


def _relative(file: Path, folder: Path) -> str:
    try:
        return file.resolve().relative_to(folder).as_posix()
    except ValueError:
        return str(file.resolve())
