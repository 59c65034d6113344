"""The picture and its burned-in ROI."""

from __future__ import annotations

import numpy as np
import pytest

from spinecare.phantom.cohort import draw_scan
from spinecare.phantom.scanner import burn


@pytest.mark.parametrize("index", range(4))
def test_the_overlay_changes_its_own_pixels_only(index: int) -> None:
    plain, _, _ = draw_scan(4, index, overlay=False)
    burned, truth, _ = draw_scan(4, index)
    assert plain.colour is not None
    assert burned.colour is not None
    changed = (plain.colour != burned.colour).any(-1)
    assert 0.01 < changed.mean() < 0.15
    assert (plain.colour[..., 0] == plain.colour[..., 2]).all()  # nothing but grey without it
    # Yellow or the black of the text: nothing else was changed.
    colour = burned.colour[changed].astype(int)
    grey = plain.colour[changed][:, 0].astype(int)
    yellow = colour[:, 0] - colour[:, 2] > 0
    assert (yellow | (colour[:, 0] <= grey)).all()
    # The box lies on the truth's polygons.
    top = truth.polygons["L1"]
    middle = int(top[0, 1] + 0.75 * (top[1, 1] - top[0, 1]))
    row = round(float(top[0, 0] + 0.75 * (top[1, 0] - top[0, 0])))
    assert changed[max(row - 1, 0) : row + 2, middle].any()


def test_burning_full_yellow_over_black_text_box() -> None:
    grey = np.full((1, 3), 200, np.float32)
    yellow, black = np.array([[0, 1, 0]], np.float32), np.array([[0, 0, 1]], np.float32)
    assert burn(grey, yellow, black).tolist() == [[[200, 200, 200], [250, 252, 150], [0, 0, 0]]]


def test_masks_lie_inside_their_polygons_and_the_picture() -> None:
    for style in ("hologic", "idxa"):
        for index in range(4):
            scan, truth, _ = draw_scan(9, index, style)
            for name, mask in truth.masks.items():
                rows, cols = np.nonzero(mask)
                assert len(rows) > 500
                tl, tr, br, bl = truth.polygons[name]
                along = (cols - tl[1]) / (tr[1] - tl[1])
                assert (rows >= tl[0] + along * (tr[0] - tl[0]) - 1).all()
                assert (rows <= bl[0] + along * (br[0] - bl[0]) + 1).all()
                assert cols.min() >= tl[1]
                assert cols.max() <= tr[1]
                assert tl[0] >= 0
                assert bl[0] < scan.pixels.shape[0]


def test_bone_is_brighter_than_what_lies_beside_it() -> None:
    for index in range(6):
        scan, truth, _ = draw_scan(2, index, overlay=False)
        bone = np.any(list(truth.masks.values()), axis=0)
        rows = bone.any(1)
        beside = ~bone & rows[:, None]
        assert scan.pixels[bone].mean() > scan.pixels[beside].mean() + 40
