"""From a scan to `Prepared`, on real and on virtual patients, and an honest refusal without levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from spinecare.io.read import read_scan
from spinecare.phantom.cohort import draw_scan
from spinecare.prepare.locate import Located, locate_levels
from spinecare.prepare.pipeline import boundary_rows, find_levels, prepare
from spinecare.scan import LEVEL_NAMES, Bool, Float32, Patient, Prepared, RefusalCode, Refused, Scan, Source
from spinecare.settings import PrepareSettings


def grey_scan(pixels: np.ndarray) -> Scan:
    return Scan(pixels.astype(np.float32), 255.0, Source("a.png", "0" * 64, "image/png"), Patient("0" * 12))


def test_idxa_scan_is_prepared(idxa: Path) -> None:
    scan = read_scan(idxa / "ap_spine.dcm")
    prepared = prepare(scan)
    assert isinstance(prepared, Prepared)
    assert prepared.image.shape == (192, 96)
    assert prepared.image.dtype == np.float32
    assert 0 <= prepared.image.min() < prepared.image.max() <= 1
    assert tuple(level.name for level in prepared.levels) == LEVEL_NAMES
    assert prepared.levels_from_image == ()  # they are in use already
    assert prepared.clean[~prepared.valid].max() < 0.9  # white margins are filled
    assert np.array_equal(prepared.clean[prepared.valid], scan.grey[prepared.valid])


def test_real_crop_uses_the_operators_levels_and_says_how_far_the_image_differs(spine_dxa: Path) -> None:
    scan = read_scan(spine_dxa / "images" / "s001.png")
    found = find_levels(scan)
    prepared = prepare(scan, found=found)
    assert isinstance(prepared, Prepared)
    assert prepared.levels == found.overlay.levels
    assert prepared.levels_from_image == found.located.levels
    assert prepared.bone_outline is not None
    assert any("of a level's height from the operator's" in note for note in prepared.notes)


def test_all_real_crops_show_the_spine_in_the_middle_of_the_crop(spine_dxa: Path) -> None:
    """The operator's bone outline, mapped into the crop: in 95 % of every fifth crop it lies in the middle."""
    agree, n = 0, 0
    for file in sorted((spine_dxa / "images").glob("*.png"))[::5]:
        prepared = prepare(read_scan(file))
        assert isinstance(prepared, Prepared), file.name
        assert prepared.bone_outline is not None
        rows, cols = np.nonzero(prepared.bone_outline)
        in_image = prepared.mapping.to_image(np.stack([rows, cols], axis=1))
        agree += abs(float(np.median(in_image[:, 1])) - 47.5) < 6 and float(np.ptp(in_image[:, 0])) > 150
        n += 1
    assert agree >= 0.95 * n


def test_virtual_patient_goes_the_same_way() -> None:
    for index in range(4):
        scan, truth, _ = draw_scan(11, index, style="hologic")
        prepared = prepare(scan)
        assert isinstance(prepared, Prepared)
        for level in prepared.levels:
            assert level.source == "operator_roi"
            assert np.abs(level.polygon - truth.polygons[level.name]).max() < 1.5


@pytest.mark.parametrize("how", ["off", "gaussian", "nlm", "wavelet"])
def test_raw_is_the_crop_before_denoising(how: str) -> None:
    scan, _, _ = draw_scan(11, 0, style="hologic")
    found = find_levels(scan)
    prepared = prepare(scan, PrepareSettings(denoise=how), found)  # type: ignore[arg-type]
    plain = prepare(scan, PrepareSettings(denoise="off"), found)
    assert isinstance(prepared, Prepared)
    assert isinstance(plain, Prepared)
    assert np.array_equal(prepared.raw, plain.raw)
    assert np.array_equal(prepared.image, plain.image) == (how == "off")


def test_settings_decide_the_size() -> None:
    scan, _, _ = draw_scan(11, 1, style="hologic")
    prepared = prepare(scan, PrepareSettings(height=64, width=40))
    assert isinstance(prepared, Prepared)
    assert prepared.image.shape == prepared.raw.shape == (64, 40)


def test_brighter_or_darker_display_gives_the_same_image() -> None:
    scan, _, _ = draw_scan(11, 2, style="hologic")
    assert scan.colour is not None
    found = find_levels(scan)
    darker = replace(found, clean=(0.6 * found.clean + 0.1).astype(np.float32))
    one, two = prepare(scan, found=found), prepare(scan, found=darker)
    assert isinstance(one, Prepared)
    assert isinstance(two, Prepared)
    assert np.allclose(one.image, two.image, atol=2e-3)


def test_bmd_scan_keeps_its_unit_in_raw() -> None:
    scan, _, _ = draw_scan(11, 3, style="hologic")
    density = replace(scan, quantity="bmd_g_cm2", pixels=scan.pixels / 255 * 1.8, white=1.8)
    found = find_levels(scan)
    display, bmd = prepare(scan, found=found), prepare(density, found=found)
    assert isinstance(display, Prepared)
    assert isinstance(bmd, Prepared)
    assert np.allclose(bmd.raw, 1.8 * display.raw, atol=1e-5)
    assert np.array_equal(bmd.image, display.image)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (40, 30), (224, 224)])
def test_flat_picture_is_refused_or_prepared_but_never_raises(shape: tuple[int, int]) -> None:
    for level in (0, 90, 255):
        answer = prepare(grey_scan(np.full(shape, level)))
        assert isinstance(answer, Prepared | Refused)


def test_without_levels_the_scan_is_refused() -> None:
    scan, _, _ = draw_scan(11, 0, style="hologic", overlay=False)
    found = find_levels(scan)
    empty = replace(found, overlay=replace(found.overlay, levels=()), located=replace(found.located, levels=()))
    refused = prepare(scan, found=empty)
    assert isinstance(refused, Refused)
    assert refused.code == RefusalCode.LEVELS_NOT_FOUND
    assert scan.source.name in refused.reason
    assert refused.hint


def test_the_given_locator_is_asked_and_its_reason_is_told() -> None:
    scan, _, _ = draw_scan(11, 0, style="hologic")
    asked = []

    def unsure(grey: Float32, valid: Bool) -> Located:
        asked.append(grey.shape)
        return replace(locate_levels(grey, valid), levels=(), notes=("Which of them is L1 is not sure.",))

    found = find_levels(scan, unsure)
    assert asked == [scan.pixels.shape]
    # An operator's levels do not need the image's.
    assert isinstance(prepare(scan, found=found), Prepared)
    refused = prepare(scan, found=replace(found, overlay=replace(found.overlay, levels=())))
    assert isinstance(refused, Refused)
    assert refused.code == RefusalCode.LEVELS_NOT_FOUND
    assert "not sure" in refused.reason


def test_greyscale_copy_of_a_crop_is_read_from_the_image_alone(spine_dxa: Path) -> None:
    """The same pixels without colour: no operator's levels, and no crash."""
    scan = read_scan(spine_dxa / "images" / "s002.png")
    found = find_levels(replace(scan, colour=None))
    assert found.overlay.levels == ()
    inverted = replace(scan, pixels=scan.white - scan.pixels, colour=None)
    assert isinstance(prepare(inverted), Prepared | Refused)


def test_boundaries_run_down() -> None:
    scan, truth, _ = draw_scan(11, 5, style="hologic")
    levels = find_levels(scan).overlay.levels
    rows = boundary_rows(levels, 112.0)
    assert len(rows) == 5
    assert np.all(np.diff(rows) > 5)
    assert cv2.pointPolygonTest(truth.polygons["L1"][:, ::-1].copy(), (112.0, rows[0] + 5), False) > 0
