"""Truth on disk: polygons, label maps, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spinecare.phantom.truth import PART_COLOURS, parts_png, polygon_from, polygon_text, read_parts, write_csv


def test_polygons_survive_their_text() -> None:
    polygon = np.array([[1.25, 2.5], [3.0, 200.75]], np.float32)
    assert np.array_equal(polygon_from(polygon_text(polygon)), polygon)


def test_label_maps_survive_their_file_and_have_colours(tmp_path: Path) -> None:
    parts = np.arange(7, dtype=np.uint8).repeat(6).reshape(6, 7)
    file = tmp_path / "parts.png"
    file.write_bytes(parts_png(parts))
    assert np.array_equal(read_parts(file), parts)
    shown = np.asarray(Image.open(file).convert("RGB"))
    assert tuple(shown[0, 0]) == PART_COLOURS[0]
    assert tuple(shown[-1, -1]) == PART_COLOURS[6]


def test_a_table_is_whole_or_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    write_csv(file, [{"a": 1}])
    with pytest.raises(ValueError, match="dict contains fields"):
        write_csv(file, [{"a": 2}, {"b": 3}])
    assert file.read_text(encoding="utf-8").split() == ["a", "1"]
