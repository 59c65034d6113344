"""The operator's drawing: read where it is, taken off without a trace, and nothing seen where there is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from spinecare.io.read import read_scan
from spinecare.prepare.overlay import read_overlay, remove_overlay, unscanned
from spinecare.scan import LEVEL_NAMES, Patient, Scan, Source

Float = npt.NDArray[np.float64]
RGB = npt.NDArray[np.uint8]


def scan_of(colour: RGB) -> Scan:
    luma = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    return Scan(luma, 255.0, Source("drawn.png", "0" * 64, "image/png"), Patient("0" * 12), colour=colour)


def noise(rows: int, cols: int, seed: int = 1) -> RGB:
    """Grey grain with a brighter band in the middle, as RGB."""
    rng = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(rng.normal(40, 30, (rows, cols)).astype(np.float32), (0, 0), 1)
    grey[:, int(0.35 * cols) : int(0.65 * cols)] += 90
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def draw(colour: RGB, ends: Float, *, outline: bool = True) -> RGB:
    """Yellow anti-aliased lines on a copy: `ends` (5, 2, 2) left and right (row, col) of each line across."""
    drawn, yellow = colour.copy(), (230, 230, 90)

    def stroke(points: Float) -> None:
        fixed = np.rint(np.asarray(points)[:, ::-1] * 16).astype(np.int32)
        cv2.polylines(drawn, [fixed], False, yellow, 1, cv2.LINE_AA, 4)

    for line in ends:
        stroke(line)
    stroke(ends[:, 0])
    stroke(ends[:, 1])
    if outline:
        rows = np.arange(ends[0].min(), ends[-1].max(), 2.0)
        rows = rows[(rows > ends[0, :, 0].max()) & (rows < ends[-1, :, 0].min())]
        for share in (0.36, 0.64):
            stroke(np.stack([rows, share * colour.shape[1] + 2 * np.sin(rows / 5)], axis=1))
    return drawn


def box(rows: int, cols: int, tilts: tuple[float, ...] = (0, 0, 0, 0, 0)) -> Float:
    """Five lines across; `tilts` in pixels, how much lower the right end is than the left."""
    left, right = 0.08 * cols, 0.92 * cols
    middle = np.linspace(0.15, 0.85, 5) * rows
    return np.array([[[m - t / 2, left], [m + t / 2, right]] for m, t in zip(middle, tilts, strict=True)])


@pytest.mark.parametrize("tilts", [(0, 0, 0, 0, 0), (9, 4, -3, -8, -14), (-20, -12, -6, 2, 0)])
@pytest.mark.parametrize("size", [(224, 224), (300, 260), (900, 800)])
def test_reads_drawn_levels_within_a_pixel(tilts: tuple[float, ...], size: tuple[int, int]) -> None:
    ends = box(*size, tilts=tuple(t * size[0] / 224 for t in tilts))
    overlay = read_overlay(scan_of(draw(noise(*size), ends)))

    assert tuple(level.name for level in overlay.levels) == LEVEL_NAMES
    for level, top, bottom in zip(overlay.levels, ends[:-1], ends[1:], strict=True):
        expected = np.stack([top[0], top[1], bottom[1], bottom[0]])
        assert np.abs(level.polygon - expected).max() < 1.0
        assert level.source == "operator_roi"
        assert level.confidence == 1.0


def test_reads_lines_in_any_one_colour() -> None:
    ends = box(224, 224)
    green = draw(noise(224, 224), ends)[..., [2, 1, 0]][..., [0, 1, 0]].copy()
    overlay = read_overlay(scan_of(green))
    assert len(overlay.levels) == 4


def test_reads_lines_that_jpeg_has_smeared() -> None:
    ends = box(224, 224, (6, 3, 0, -3, -6))
    picture = draw(noise(224, 224), ends)
    _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    overlay = read_overlay(scan_of(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].copy()))
    assert len(overlay.levels) == 4
    for level, top in zip(overlay.levels, ends[:-1], strict=True):
        assert np.abs(level.polygon[:2] - top).max() < 1.5


def test_box_at_the_edge_of_the_picture_is_read() -> None:
    ends = box(224, 224)
    ends[:, 0, 1], ends[:, 1, 1] = 0.0, 223.0
    assert len(read_overlay(scan_of(draw(noise(224, 224), ends))).levels) == 4


def test_line_in_the_first_row_of_the_picture_is_read() -> None:
    ends = box(224, 224)
    ends[:, :, 0] += 0.0 - ends[0, 0, 0]
    levels = read_overlay(scan_of(draw(noise(224, 224), ends))).levels
    assert len(levels) == 4
    assert np.abs(levels[0].polygon[:2, 0]).max() < 0.7


def test_names_of_the_levels_in_a_narrow_box_do_not_bend_the_lines() -> None:
    ends = box(224, 224)
    ends[:, 0, 1], ends[:, 1, 1] = 60.0, 164.0
    drawn = draw(noise(224, 224), ends)
    for name, (row, col) in zip(LEVEL_NAMES, ends[:-1, 0], strict=True):
        cv2.putText(drawn, name, (int(col) + 3, int(row) + 11), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (230, 230, 150), 1)
    scan = scan_of(drawn)
    overlay = read_overlay(scan)
    for level, top in zip(overlay.levels, ends[:-1], strict=True):
        assert np.abs(level.polygon[:2] - top).max() < 0.7
        row, col = (int(x) for x in level.polygon[0])
        assert overlay.mask[row + 5 : row + 11, col + 4 : col + 12].mean() > 0.6  # the name is hidden too


def test_bone_outline_is_the_region_between_the_drawn_edges() -> None:
    overlay = read_overlay(scan_of(draw(noise(224, 224), box(224, 224))))
    assert overlay.bone_outline is not None
    rows, cols = np.nonzero(overlay.bone_outline)
    assert 0.15 * 224 - 2 < rows.min() < rows.max() < 0.85 * 224 + 2
    assert 0.33 * 224 < cols.min() < cols.max() < 0.67 * 224
    assert overlay.bone_outline[45:180, 90:135].mean() > 0.98


def test_without_an_outline_there_is_none_and_a_note_says_so() -> None:
    overlay = read_overlay(scan_of(draw(noise(224, 224), box(224, 224), outline=False)))
    assert len(overlay.levels) == 4
    assert overlay.bone_outline is None
    assert any("outline" in note for note in overlay.notes)


def test_four_lines_are_no_levels() -> None:
    ends = np.delete(box(224, 224), 2, axis=0)
    overlay = read_overlay(scan_of(draw(noise(224, 224), ends)))
    assert overlay.levels == ()
    assert overlay.mask.any()


@pytest.mark.parametrize("grey", [noise(224, 224), np.zeros((5, 7, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)])
def test_without_colour_nothing_is_found(grey: RGB) -> None:
    overlay = read_overlay(scan_of(grey))
    assert overlay.levels == ()
    assert overlay.bone_outline is None
    assert not overlay.mask.any()


def test_grey_scan_has_no_overlay() -> None:
    pixels = np.full((50, 60), 7, np.float32)
    overlay = read_overlay(Scan(pixels, 255.0, Source("a", "0" * 64, "image/png"), Patient("0" * 12)))
    assert overlay.levels == ()
    assert overlay.mask.shape == (50, 60)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_colour_photo_has_no_levels(name: str) -> None:
    data = pytest.importorskip("skimage.data")
    try:
        photo = np.ascontiguousarray(getattr(data, name)()[..., :3])
    except Exception as error:
        pytest.skip(f"scikit-image does not carry {name!r} here: {error}")
    assert read_overlay(scan_of(photo)).levels == ()


def test_colour_noise_has_no_levels() -> None:
    colour = np.random.default_rng(3).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    assert read_overlay(scan_of(colour)).levels == ()


def test_removal_leaves_other_pixels_untouched() -> None:
    scan = scan_of(draw(noise(224, 224), box(224, 224)))
    mask = read_overlay(scan).mask
    clean = remove_overlay(scan.grey, mask)
    assert np.array_equal(clean[~mask], scan.grey[~mask])
    assert clean.dtype == np.float32
    assert clean.min() >= 0
    assert clean.max() <= 1


def test_removal_of_nothing_and_of_everything() -> None:
    grey = scan_of(noise(64, 64)).grey
    assert np.array_equal(remove_overlay(grey, np.zeros((64, 64), bool)), grey)
    assert np.array_equal(remove_overlay(grey, np.ones((64, 64), bool)), grey)


def test_removed_lines_leave_no_trace() -> None:
    """The same picture with and without the drawing: in the filled pixels neither level nor roughness differ."""
    rough, level = [], []
    for seed in range(8):
        plain = scan_of(noise(224, 224, seed))
        drawn = scan_of(draw(noise(224, 224, seed), box(224, 224, (4, 2, 0, -2, -4))))
        mask = read_overlay(drawn).mask
        assert np.abs(drawn.grey - plain.grey)[~mask].max() < 0.1
        clean = remove_overlay(drawn.grey, mask)
        energy = [np.abs(cv2.Laplacian(image, cv2.CV_32F))[mask].mean() for image in (clean, plain.grey)]
        rough.append(energy[0] / energy[1])
        level.append((clean - plain.grey)[mask].mean())
    assert 0.7 < np.mean(rough) < 1.15
    assert abs(np.mean(level)) < 0.01


def test_levels_of_all_real_crops(spine_dxa: Path) -> None:
    files = sorted((spine_dxa / "images").glob("*.png"))
    found = 0
    for file in files:
        scan = read_scan(file)
        overlay = read_overlay(scan)
        found += len(overlay.levels) == 4
        rows = [level.top_row for level in overlay.levels] + [level.bottom_row for level in overlay.levels[-1:]]
        assert all(np.diff(rows) > 0.07 * scan.pixels.shape[0]), file.name
        for level in overlay.levels:
            assert np.all(level.polygon[:2, 0] < level.polygon[[3, 2], 0]), file.name
            assert np.all(level.polygon[[0, 3], 1] < level.polygon[[1, 2], 1]), file.name
    assert len(files) == 139
    assert found >= 0.95 * len(files)


def test_real_crops_keep_no_trace_of_the_lines(spine_dxa: Path) -> None:
    """Mean grey across the separators beside the spine: a peak of about 90 of 255 before, none after."""
    before, after = [], []
    for file in sorted((spine_dxa / "images").glob("*.png"))[::6]:
        scan = read_scan(file)
        overlay = read_overlay(scan)
        clean = remove_overlay(scan.grey, overlay.mask | ~unscanned(scan.grey, scan.colour))
        for level in overlay.levels[1:]:
            (row0, col0), (row1, col1) = level.polygon[:2]
            cols = np.arange(int(col0 + 0.75 * (col1 - col0)), int(col0 + 0.97 * (col1 - col0)))
            middle = row0 + (cols - col0) / (col1 - col0) * (row1 - row0)
            rows = np.rint(middle[:, None] + np.arange(-6, 7)).astype(int).clip(0, scan.pixels.shape[0] - 1)
            before.append(255 * scan.grey[rows, cols[:, None]].mean(axis=0))
            after.append(255 * clean[rows, cols[:, None]].mean(axis=0))

    def peak(profiles: list[Float]) -> float:
        mean = np.mean(profiles, axis=0)
        return float(mean[5:8].max() - mean[[0, 1, 2, 10, 11, 12]].mean())

    assert peak(before) > 50
    assert peak(after) < 2


def test_margins_of_the_idxa_scan_to_the_pixel(idxa: Path) -> None:
    scan = read_scan(idxa / "ap_spine.dcm")
    valid = unscanned(scan.grey, scan.colour)
    white = (scan.pixels == scan.pixels.max()).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(white, connectivity=4)
    margins = np.isin(parts, 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] > 10_000)) & (white > 0)
    assert margins.sum() == 37_032
    assert np.array_equal(~valid, margins)


def test_margin_with_stairs_but_not_metal() -> None:
    grey = np.random.default_rng(0).uniform(0, 0.5, (200, 160)).astype(np.float32)
    grey[:90, :20] = 1.0
    grey[90:200, :12] = 1.0
    margin = grey == 1.0
    cv2.circle(grey, (159, 10), 25, 1.0, -1)  # a clip at the upper right
    assert np.array_equal(~unscanned(grey), margin)


def test_blended_window_frame_is_a_margin() -> None:
    grey = np.random.default_rng(0).uniform(0, 0.5, (200, 160)).astype(np.float32)
    grey[:, -1] = 0.5 * grey[:, -1] + 0.5
    valid = unscanned(grey)
    assert not valid[:, -1].any()
    assert valid[:, :-1].all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (64, 64)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_pictures_are_valid_all_over(shape: tuple[int, int], level: float) -> None:
    assert unscanned(np.full(shape, level, np.float32)).all()
