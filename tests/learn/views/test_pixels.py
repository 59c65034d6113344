"""Views that are formulas of pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spinecare.errors import AssessmentError
from spinecare.learn.views.gradients import hog
from spinecare.learn.views.profile import NAMES, noise, profile
from spinecare.learn.views.radiomics import radiomics
from spinecare.learn.views.thumbnail import thumbnail
from spinecare.measure.texture import TEXTURE_NAMES, texture
from spinecare.scan import Float32

CROP, WHOLE = (192, 96), (160, 160)


def some(m: int, shape: tuple[int, int], seed: int = 0) -> Float32:
    return np.random.default_rng(seed).random((m, *shape)).astype(np.float32)


def box_spine(bone: float = 0.6, soft: float = 0.2, disc: float = 0.4) -> Float32:
    """Columns 24 ... 71 are bone in rows of soft tissue, with discs of 6 rows at the borders of quarters."""
    crop = np.full(CROP, soft, np.float32)
    crop[:, 24:72] = bone
    for border in (48, 96, 144):
        crop[border - 3 : border + 3, 24:72] = disc
    return crop


@pytest.mark.parametrize(
    ("view", "shape", "numbers"),
    [
        (radiomics, CROP, 284),
        (profile, CROP, 202),
        (thumbnail, CROP, 196),
        (thumbnail, WHOLE, 196),
        (hog, CROP, 756),
        (hog, WHOLE, 1764),
    ],
)
def test_a_view_is_one_row_a_picture_whatever_stands_beside_it(
    view: Callable[[Float32], Float32], shape: tuple[int, int], numbers: int
) -> None:
    pixels = some(3, shape)
    found = view(pixels)
    assert found.shape == (3, numbers)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.array_equal(view(pixels[1:2])[0], found[1])
    assert view(pixels[:0]).shape == (0, numbers)
    assert np.isfinite(view(np.zeros((1, *shape), np.float32))).all()


def test_radiomics_are_the_textures_in_their_order() -> None:
    pixels = some(1, CROP)
    told = texture(pixels[0])
    assert radiomics(pixels)[0] == pytest.approx(np.float32([told[name] for name in TEXTURE_NAMES]))


def test_a_thumbnail_is_means_of_areas() -> None:
    pixels = some(2, (28, 42))
    means = pixels.reshape(2, 14, 2, 14, 3).mean(axis=(2, 4)).reshape(2, 196)
    assert thumbnail(pixels) == pytest.approx(means, abs=1e-6)


def test_hog_of_a_ramp_has_one_direction() -> None:
    rows, cols = np.mgrid[:192, :96].astype(np.float32) / 400.0
    for ramp, strongest in ((rows, 4), (cols, 0)):
        cells = hog(ramp[np.newaxis]).reshape(-1, 9)
        # Nine directions from 0 to 180 degrees: up and down is the fifth, side to side the first.
        assert set(cells.argmax(axis=1).tolist()) == {strongest}


def test_hog_says_where_the_edge_is_and_not_how_bright() -> None:
    picture = np.full((1, *CROP), 0.3, np.float32)
    picture[:, 60:, :] = 0.7
    cells = hog(picture).reshape(7, 3, 2, 2, 9)
    # Row 60 lies in the third row of cells, that is in the second and third row of blocks.
    assert (cells.reshape(7, -1).sum(axis=1) > 0).tolist() == [False, True, True, False, False, False, False]
    assert hog(picture * 0.5 + 0.1) == pytest.approx(hog(picture), abs=1e-3)


def test_profile_of_a_spine_that_is_known() -> None:
    found = dict(zip(NAMES, profile(box_spine()[np.newaxis])[0].tolist(), strict=True))
    assert found["grey"] == pytest.approx(0.6, abs=1e-5)
    assert found["soft"] == pytest.approx(0.2, abs=1e-5)
    assert found["l2_above_soft"] == pytest.approx(0.4, abs=1e-5)
    assert found["contrast"] == pytest.approx(0.5, abs=1e-5)
    assert found["l3_waist"] == pytest.approx(0.5)
    # A step of 0.4, seen through (1, 2, 1) / 4 and a central difference: 3/8 of it a pixel.
    assert found["l1_steps_left_right"] == pytest.approx(0.4 * 3 / 8, abs=1e-5)
    for disc in ("l1_l2", "l2_l3", "l3_l4"):
        assert found[f"disc_{disc}_dip"] == pytest.approx(0.2, abs=1e-5)
        assert found[f"disc_{disc}_step_above"] == pytest.approx(0.2 * 3 / 8, abs=1e-5)
        assert found[f"disc_{disc}_step_below"] == pytest.approx(0.2 * 3 / 8, abs=1e-5)
        assert found[f"disc_{disc}_narrowness"] == pytest.approx(0.2 / 6, abs=1e-5)
    assert found["slope"] == pytest.approx(0.0, abs=1e-6)
    assert [found[f"along_{i}"] for i in range(10)] == pytest.approx([0.6] * 10, abs=1e-5)
    # Rows 44 ... 47: one of bone, three of disc.
    assert found["along_11"] == pytest.approx((0.6 + 3 * 0.4) / 4, abs=1e-5)
    assert [found[f"along_soft_{i}"] for i in range(12)] == pytest.approx([0.2] * 12, abs=1e-5)
    assert [found[f"across_l4_{i}"] for i in (0, 5, 6, 17, 18, 23)] == pytest.approx([0.2, 0.2, 0.6, 0.6, 0.2, 0.2])


def test_a_spine_that_grows_brighter_downwards_has_a_slope() -> None:
    crop = box_spine() + np.repeat(np.float32([0.0, 0.1, 0.2, 0.3]), 48)[:, np.newaxis]
    found = dict(zip(NAMES, profile(crop[np.newaxis])[0].tolist(), strict=True))
    assert found["slope"] == pytest.approx(0.1, abs=1e-5)
    assert found["l4_above_soft"] == pytest.approx(found["l1_above_soft"], abs=1e-5)


def test_noise_of_a_known_size_on_a_ramp() -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0.2, 0.8, 192, dtype=np.float32)[:, np.newaxis] * np.ones(96, np.float32)
    assert noise(ramp) == pytest.approx(0.0, abs=1e-6)
    noisy = (ramp + rng.normal(0.0, 0.03, CROP)).astype(np.float32)
    assert noise(noisy) == pytest.approx(0.03, rel=0.03)


def test_soft_tissue_that_a_window_cut_to_black_has_one_step_of_noise() -> None:
    found = dict(zip(NAMES, profile(box_spine(soft=0.0)[np.newaxis])[0].tolist(), strict=True))
    assert found["noise_soft"] == 0.0
    assert found["l1_contrast_to_noise"] == found["contrast_to_noise"] == pytest.approx(0.6 * 255.0, rel=1e-5)


def test_what_is_no_crop_has_no_profile() -> None:
    with pytest.raises(AssessmentError):
        profile(some(1, (80, 40)))
