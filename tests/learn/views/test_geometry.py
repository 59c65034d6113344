"""The numbers of an operator's drawing, against the drawing that was made."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from spinecare.errors import TrainingError
from spinecare.io.read import read_scan
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings
from spinecare.learn.views.geometry import NAMES, drawing, geometry

ROWS, COLS = 400, 300
TOP, BOTTOM, LEFT, RIGHT = 60.0, 340.0, 30.0, 270.0


def write(path: Path, drawn: bool, tilt: float = 0.0) -> Path:
    """Grain with a brighter spine, and a yellow box on it, its top line `tilt` pixels lower on the right."""
    rng = np.random.default_rng(1)
    grey = cv2.GaussianBlur(rng.normal(60, 30, (ROWS, COLS)).astype(np.float32), (0, 0), 1)
    grey[:, 110:190] += 60
    picture = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if drawn:
        tops = np.linspace(TOP, BOTTOM, 5)
        ends = [[(LEFT, top), (RIGHT, top + (tilt if k == 0 else 0))] for k, top in enumerate(tops)]
        strokes = [*ends, [(LEFT, TOP), (LEFT, BOTTOM)], [(RIGHT, TOP + tilt), (RIGHT, BOTTOM)]]
        for stroke in strokes:
            points = np.rint(np.array(stroke) * 16).astype(np.int32)
            cv2.polylines(picture, [points], False, (90, 230, 230), 1, cv2.LINE_AA, 4)
    cv2.imwrite(str(path), picture)
    return path


def told(path: Path) -> dict[str, float]:
    return dict(zip(NAMES, drawing(read_scan(path)).tolist(), strict=True))


def test_the_box_is_told_as_it_was_drawn(tmp_path: Path) -> None:
    found = told(write(tmp_path / "drawn.png", drawn=True))
    assert found["has_box"] == 1
    for name, expected in (
        ("box_top", TOP / ROWS),
        ("box_bottom", BOTTOM / ROWS),
        ("box_left", LEFT / COLS),
        ("box_right", RIGHT / COLS),
        ("box_log_aspect", np.log((BOTTOM - TOP) / (RIGHT - LEFT))),
        ("tilt_top", 0.0),
        ("slant", 0.0),
        ("height_l2", 0.25),
        ("picture_log_rows", np.log(ROWS)),
    ):
        assert found[name] == pytest.approx(expected, abs=0.01), name
    assert found["drawing_share"] > 0.01


def test_a_tilted_line_shows(tmp_path: Path) -> None:
    found = told(write(tmp_path / "tilted.png", drawn=True, tilt=12.0))
    assert found["tilt_top"] == pytest.approx(12 / (RIGHT - LEFT), abs=0.01)
    assert found["tilt_bottom"] == pytest.approx(0.0, abs=0.01)


def test_without_a_drawing_everything_but_the_sides_is_0(tmp_path: Path) -> None:
    found = told(write(tmp_path / "bare.png", drawn=False))
    assert {name for name, value in found.items() if value} == {"picture_log_rows", "picture_log_cols"}


def test_every_copy_has_its_scans_numbers(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.png", drawn=True), write(tmp_path / "b.png", drawn=False)]
    rows = pd.DataFrame({"path": ["a.png", "b.png"], "file": [str(f) for f in files]})
    images = np.zeros((2, 4, 4), np.float32)
    pictures = Pictures(rows, images, np.array([0, 1]), np.array(["a", "b"]), rows.iloc[:0].assign(code=""))
    material = Material(pictures, AugmentSettings(), 3, 0, tmp_path / "cache")
    view = geometry(material)
    assert view.shape == (2, 4, len(NAMES))
    np.testing.assert_array_equal(view, np.repeat(view[:, :1], 4, axis=1))
    assert view[0, 0, NAMES.index("has_box")] == 1
    nameless = Pictures(rows.drop(columns="file"), images, np.array([0, 1]), np.array(["a", "b"]), pictures.refused)
    with pytest.raises(TrainingError, match="name none"):
        geometry(Material(nameless, AugmentSettings(), 3, 0, tmp_path / "cache"))
