"""Reading and writing manifests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spinecare.errors import DatasetError
from spinecare.io.manifest import keys_of, label_of, read_manifest, write_manifest
from spinecare.scan import Label


def pictures(folder: Path, *names: str) -> None:
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), k, np.uint8)).save(folder / name)


def manifest(folder: Path, text: str) -> Path:
    pictures(folder, "a.png", "b.png", "c.png")
    path = folder / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(folder: Path, text: str) -> str:
    with pytest.raises(DatasetError) as caught:
        read_manifest(manifest(folder, text))
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("normal", Label.NORMAL),
        ("Normal ", Label.NORMAL),
        ("osteopenia", Label.LOW_BONE_MASS),
        ("Osteopenic", Label.LOW_BONE_MASS),
        ("low bone mass", Label.LOW_BONE_MASS),
        ("LOW-BONE-MASS", Label.LOW_BONE_MASS),
        ("low_bone_mass", Label.LOW_BONE_MASS),
        ("Osteoporosis", Label.OSTEOPOROSIS),
        ("osteoporotic", Label.OSTEOPOROSIS),
        ("0", None),
        ("fracture", None),
        ("", None),
    ],
)
def test_words_for_classes(word: str, label: Label | None) -> None:
    assert label_of(word) == label


def test_types_and_defaults(tmp_path: Path) -> None:
    frame = read_manifest(
        manifest(
            tmp_path, "path,label,patient_id,age_years,sex,mine\na.png,Osteopenia,007,71,female,x\nb.png,normal,,,,y\n"
        )
    )
    assert frame["label"].tolist() == ["low_bone_mass", "normal"]
    assert frame["patient_id"].tolist() == ["007", ""]
    assert frame["group"].tolist() == ["", ""]
    assert frame["age_years"][0] == 71.0
    assert np.isnan(frame["age_years"][1])
    assert frame["sex"].tolist() == ["F", ""]
    assert frame["mine"].tolist() == ["x", "y"]
    assert frame["file"].tolist() == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,class\na.png,normal\n", "no column label"),
        ("path,label\n", "no rows"),
        ("path,label\na.png,normal\nb.png,weird\n", "line 3: label 'weird'"),
        ("path,label\na.png,normal\nz.png,normal\n", "line 3: there is no file 'z.png'"),
        ("path,label\na.png,normal\n,normal\n", "line 3: there is no file ''"),
        ("path,label\na.png,normal\nb.png,normal\n./a.png,normal\n", "line 4: './a.png' is already in line 2"),
        ("path,label,age_years\na.png,normal,old\n", "line 2: age_years 'old'"),
        ("path,label,age_years\na.png,normal,230\n", "line 2: age_years '230'"),
        ("path,label,t_score\na.png,normal,inf\n", "line 2: t_score 'inf'"),
        ("path,label,height_cm\na.png,normal,1.72\n", "line 2: height_cm '1.72'"),
        ("path,label,sex\na.png,normal,W\n", "line 2: sex 'W'"),
        ("path,label,split\na.png,normal,dev\n", "line 2: split 'dev'"),
        ("path,label,view\na.png,normal,hip\n", "line 2: view 'hip'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in error_of(tmp_path, text)


def test_many_errors_are_counted(tmp_path: Path) -> None:
    text = "path,label\n" + "".join(f"no{k}.png,normal\n" for k in range(12))
    assert "and 7 more" in error_of(tmp_path, text)


def test_no_manifest_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no table"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_manifest(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["out/other.csv", "out/other.parquet"])
def test_a_manifest_survives_writing_and_moving(tmp_path: Path, name: str) -> None:
    frame = read_manifest(
        manifest(
            tmp_path, "path,label,patient_id,age_years,acquired\na.png,normal,007,71.5,2020-01-02\nb.png,normal,8,,\n"
        )
    )
    write_manifest(frame, tmp_path / name)
    again = read_manifest(tmp_path / name)
    for column in ("label", "patient_id", "age_years", "acquired", "file"):
        assert again[column].equals(frame[column]), column
    write_manifest(frame, tmp_path / "beside.csv")
    assert pd.read_csv(tmp_path / "beside.csv")["path"].tolist() == ["a.png", "b.png"]


def test_the_key_is_the_patient_else_the_group_else_the_picture() -> None:
    frame = pd.DataFrame({"path": ["a", "b", "c"], "patient_id": ["7", "", None], "group": ["g", "7", ""]})
    assert keys_of(frame) == ["patient:7", "group:7", "picture:c"]


def test_the_shared_manifest_is_valid(spine_dxa: Path) -> None:
    frame = read_manifest(spine_dxa / "manifest.csv")
    assert len(frame) == 139
    assert frame["label"].value_counts().to_dict() == {"low_bone_mass": 49, "normal": 48, "osteoporosis": 42}
