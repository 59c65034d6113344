"""Manifests from folders and from other tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spinecare.errors import DatasetError
from spinecare.io.make import make_manifest
from spinecare.io.manifest import read_manifest, write_manifest


def picture(path: Path, seed: int, dim: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(40, 255, (16, 14))
    Image.fromarray((np.kron(small, np.ones((8, 8))) * dim).astype(np.uint8)).save(path)


def test_a_folder_per_class(tmp_path: Path) -> None:
    picture(tmp_path / "Normal" / "a.png", 1)
    picture(tmp_path / "osteopenia" / "deeper" / "b.png", 2)
    picture(tmp_path / "osteopenia" / "b_again.png", 2, dim=0.95)
    (tmp_path / "Normal" / ".hidden").write_text("x")
    (tmp_path / "README.txt").write_text("x")
    frame = make_manifest(tmp_path)
    assert frame["path"].tolist() == ["Normal/a.png", "osteopenia/b_again.png", "osteopenia/deeper/b.png"]
    assert frame["label"].tolist() == ["normal", "low_bone_mass", "low_bone_mass"]
    assert frame["group"].tolist() == ["", "scan00002", "scan00002"]
    assert frame["patient_id"].tolist() == ["", "", ""]
    write_manifest(frame, tmp_path / "manifest.csv")
    assert len(read_manifest(tmp_path / "manifest.csv")) == 3


def test_groups_are_not_looked_for_when_not_wanted(tmp_path: Path) -> None:
    picture(tmp_path / "normal" / "a.png", 1)
    picture(tmp_path / "normal" / "b.png", 1)
    assert make_manifest(tmp_path, find_groups=False)["group"].tolist() == ["", ""]


def test_another_table_with_other_names(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / "images" / f"{k}.png", k)
    (tmp_path / "labels.csv").write_text(
        "file,diagnosis,exam,t_score\nimages/0.png,Osteopenic,e1,-1.5\nimages/1.png,Normal,e1,\nimages/2.png,normal,e2,0\n"
    )
    frame = make_manifest(tmp_path / "labels.csv", path_column="file", label_column="diagnosis", group_column="exam")
    assert list(frame.columns) == ["path", "label", "patient_id", "group", "t_score", "file"]
    assert frame["group"].tolist() == ["e1", "e1", "e2"]
    assert frame["label"].tolist() == ["low_bone_mass", "normal", "normal"]
    assert frame["t_score"].tolist() == ["-1.5", "", "0"]


def test_one_scan_in_two_groups_joins_them(tmp_path: Path) -> None:
    picture(tmp_path / "0.png", 1)
    picture(tmp_path / "1.png", 1, dim=0.95)
    picture(tmp_path / "2.png", 3)
    (tmp_path / "t.csv").write_text(
        "path,label,patient_id,group\n0.png,normal,p1,g1\n1.png,normal,p2,g2\n2.png,normal,p3,g2\n"
    )
    frame = make_manifest(tmp_path / "t.csv")
    assert frame["group"].tolist() == ["g1", "g1", "g1"]
    assert "p1 and p2" in frame.attrs["notes"][0]


def test_dicom_files_say_who_they_show(tmp_path: Path, idxa: Path) -> None:
    (tmp_path / "normal").mkdir()
    shutil.copy(idxa / "ap_spine.dcm", tmp_path / "normal" / "scan")
    row = make_manifest(tmp_path).iloc[0]
    assert len(row["patient_id"]) == 12
    assert (row["age_years"], row["sex"], row["height_cm"], row["weight_kg"]) == ("59.0", "M", "180.0", "99.0")
    assert (row["acquired"], row["view"], row["device"]) == ("2015-02-02", "ap_spine", "GE Healthcare Lunar iDXA")


def test_unreadable_files_stay_in_with_a_note(tmp_path: Path) -> None:
    picture(tmp_path / "normal" / "a.png", 1)
    (tmp_path / "normal" / "b.png").write_bytes(b"nothing")
    frame = make_manifest(tmp_path)
    assert len(frame) == 2
    assert "b.png cannot be read" in frame.attrs["notes"][0]


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures"):
        make_manifest(tmp_path)
    (tmp_path / "weird").mkdir()
    with pytest.raises(DatasetError, match="weird"):
        make_manifest(tmp_path)
    (tmp_path / "t.csv").write_text("file,label\na.png,normal\n")
    with pytest.raises(DatasetError, match="no column 'path'; it has file, label"):
        make_manifest(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("path,label\na.png,seven\n")
    with pytest.raises(DatasetError, match="row 1: 'seven'"):
        make_manifest(tmp_path / "t.csv")
    with pytest.raises(DatasetError, match="There is no table"):
        make_manifest(tmp_path / "none.csv")


def test_one_column_may_be_patient_and_group(tmp_path: Path) -> None:
    picture(tmp_path / "0.png", 1)
    (tmp_path / "labels.csv").write_text("path,label,who\n0.png,normal,p7\n")
    frame = make_manifest(tmp_path / "labels.csv", group_column="who", patient_column="who")
    assert frame[["patient_id", "group"]].to_numpy().tolist() == [["p7", "p7"]]
    assert "who" not in frame.columns
