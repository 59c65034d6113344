from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image

from make_bundle import TINY_LEVELS, level_network
from spinecare.errors import DatasetError
from spinecare.io.dataset import read_manifest
from spinecare.learn import data
from spinecare.learn.data import load_pictures, with_split
from spinecare.phantom.cohort import make_cohort
from spinecare.settings import PrepareSettings

SMALL = PrepareSettings(64, 32)


def cohort(folder: Path, n: int) -> pd.DataFrame:
    manifest = make_cohort(n, 3, "hologic", folder, balance=True, workers=1)
    return read_manifest(manifest).assign(split="train")


def test_scans_are_prepared_once_and_what_is_refused_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = cohort(tmp_path / "cohort", 5)
    blank = tmp_path / "blank.png"
    Image.new("L", (224, 224), 0).save(blank)
    (tmp_path / "text.png").write_text("no picture")
    more = [
        {**frame.iloc[0].to_dict(), "path": name, "file": str(tmp_path / name), "patient_id": name}
        for name in ("blank.png", "text.png")
    ]
    frame = pd.concat([frame, pd.DataFrame(more)], ignore_index=True)
    first = load_pictures(frame, SMALL, tmp_path / "cache", workers=1)
    assert first.images.shape == (len(first.rows), 64, 32)
    assert first.images.dtype == np.float32
    assert 0 <= first.images.min() < first.images.max() <= 1
    assert len(first.rows) + len(first.refused) == 7
    assert {"blank.png", "text.png"} <= set(first.refused["path"])
    assert "unreadable: not_a_picture" in first.refusals

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the cache was not used")

    with monkeypatch.context() as patch:
        patch.setattr(data, "see", never)
        again = load_pictures(frame, SMALL, tmp_path / "cache", workers=1)
        np.testing.assert_array_equal(first.images, again.images)
        assert first.refusals == again.refusals
        # Another scan under the same name, or other settings, are prepared anew.
        Image.new("L", (224, 224), 9).save(blank)
        with pytest.raises(AssertionError, match="cache"):
            load_pictures(frame, SMALL, tmp_path / "cache", workers=1)


def test_no_usable_scan_is_said(tmp_path: Path) -> None:
    Image.new("L", (224, 224), 0).save(tmp_path / "blank.png")
    frame = pd.DataFrame(
        [
            {
                "path": "blank.png",
                "file": str(tmp_path / "blank.png"),
                "label": "normal",
                "split": "train",
                "patient_id": "p",
            }
        ]
    )
    with pytest.raises(DatasetError, match="None of the 1 scans"):
        load_pictures(frame, SMALL, tmp_path / "cache", workers=1)


def test_with_a_level_network_its_content_decides_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = cohort(tmp_path / "cohort", 2)
    levels = tmp_path / "levels"
    levels.mkdir()
    onnx.save(level_network(TINY_LEVELS.rows, TINY_LEVELS.cols), levels / "levels.onnx")
    (levels / "levels.json").write_text(json.dumps(asdict(TINY_LEVELS)))
    asked: list[str] = []

    def see(path: str, settings: PrepareSettings, levels: str | None = None, **how: bool) -> data.Seen:
        grey = np.zeros((224, 224), np.float32)
        grey[:, 80:144] = 0.9
        located = data._locator(levels)(grey, np.ones(grey.shape, dtype=np.bool_))
        asked.extend({level.source for level in located.levels} or {"nothing"})
        return data.Seen(np.zeros((settings.height, settings.width), np.float16), "")

    monkeypatch.setattr(data, "see", see)
    for _ in range(2):
        load_pictures(frame, SMALL, tmp_path / "cache", workers=1, levels=str(levels))
    assert asked == ["network", "network"]
    (levels / "levels.json").write_text(json.dumps(asdict(replace(TINY_LEVELS, least_agreement=0.31))))
    load_pictures(frame, SMALL, tmp_path / "cache", workers=1, levels=str(levels))
    load_pictures(frame, SMALL, tmp_path / "cache", workers=1)
    assert len(asked) == 6
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 3


def test_more_keeps_the_raw_crop_and_the_whole_scan_and_unmasked_shows_the_drawing(tmp_path: Path) -> None:
    frame = with_split(read_manifest(make_cohort(2, 5, out=tmp_path / "cohort", workers=1)), 0)
    masked = load_pictures(frame, SMALL, tmp_path / "cache", workers=1, more=True)
    drawn = load_pictures(frame, SMALL, tmp_path / "cache", workers=1, more=True, masked=False)
    plain = load_pictures(frame, SMALL, tmp_path / "cache", workers=1)
    assert masked.raws is not None
    assert masked.wholes is not None
    assert drawn.wholes is not None
    assert masked.raws.shape == masked.images.shape
    assert masked.wholes.shape[1:] == (data.WHOLE, data.WHOLE)
    np.testing.assert_array_equal(plain.images, masked.images)
    assert plain.raws is None
    # The operator's lines are drawn in yellow: brighter than what they cover.
    assert np.abs(drawn.wholes - masked.wholes).max() > 0.2
    assert (np.abs(drawn.wholes - masked.wholes).mean(axis=(1, 2)) < 0.1).all()
