"""The checks: each measure against a picture for which it is known, and what refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinecare.quality.checks import HARD, check, refuse
from spinecare.scan import LEVEL_NAMES, Float32, Level, LevelSource, Mapping, Prepared, RefusalCode

ROWS, COLS = 200, 160
TOP, BOTTOM, LEFT, RIGHT = 20.0, 180.0, 40.0, 120.0  # the crop, in scan pixels; the spine is its middle half


def picture(bone: float = 0.6, soft: float = 0.2) -> Float32:
    """A bar of bone of the width of the spine on soft tissue."""
    grey = np.full((ROWS, COLS), soft, dtype=np.float32)
    grey[:, 60:100] = bone
    return grey


def boxes(source: LevelSource, shift: float = 0.0, confidence: float = 0.9) -> tuple[Level, ...]:
    rows = np.linspace(TOP, BOTTOM, 5) + shift
    return tuple(
        Level(
            name,
            np.array([[a, LEFT], [a, RIGHT], [b, RIGHT], [b, LEFT]], dtype=np.float32),
            source,
            confidence,
        )
        for name, a, b in zip(LEVEL_NAMES, rows[:-1], rows[1:], strict=True)
    )


def prepared(
    grey: Float32,
    top: float = TOP,
    left: float = LEFT,
    levels: tuple[Level, ...] | None = None,
    from_image: tuple[Level, ...] = (),
) -> Prepared:
    row_scale, col_scale = 192 / (BOTTOM - TOP), 96 / (RIGHT - LEFT)
    matrix = np.array([[row_scale, 0.0, -top * row_scale], [0.0, col_scale, -left * col_scale]])
    image = np.zeros((192, 96), dtype=np.float32)
    return Prepared(
        image=image,
        raw=image,
        levels=boxes("image_processing") if levels is None else levels,
        mapping=Mapping(matrix),
        clean=grey,
        valid=np.ones(grey.shape, dtype=np.bool_),
        levels_from_image=from_image,
    )


def values(scan: Prepared) -> dict[str, float]:
    return {one.name: one.value for one in check(scan)}


def test_a_good_scan_passes_every_check_with_the_known_values() -> None:
    checks = check(prepared(picture()))
    assert all(one.passed for one in checks)
    assert refuse(checks) is None
    measured = {one.name: one.value for one in checks}
    assert measured["contrast"] == pytest.approx(0.4)
    assert measured["brightness"] == pytest.approx(0.6)
    assert measured["clipping"] == 0.0
    assert measured["covered"] == measured["soft_tissue"] == 1.0
    assert measured["confidence"] == pytest.approx(0.9)
    assert "agreement" not in measured


def test_a_cut_off_end_is_not_covered() -> None:
    refused = refuse(check(prepared(picture(), top=-60.0)))
    assert refused is not None
    assert refused.code is RefusalCode.NOT_COVERED
    assert "L1" in refused.reason


def test_missing_soft_tissue_is_not_covered() -> None:
    scan = prepared(picture(), left=LEFT - 58.0)
    assert values(scan)["soft_tissue"] < 0.2
    refused = refuse(check(scan))
    assert refused is not None
    assert refused.code is RefusalCode.NOT_COVERED


def test_unscanned_margins_count_as_not_scanned() -> None:
    scan = prepared(picture())
    scan.valid[:, :56] = False
    assert values(scan)["soft_tissue"] == 0.0


@pytest.mark.parametrize(("bone", "soft"), [(0.3, 0.25), (0.04, 0.0), (0.2, 0.6)])
def test_flat_and_dark_pictures_have_too_little_contrast(bone: float, soft: float) -> None:
    refused = refuse(check(prepared(picture(bone, soft))))
    assert refused is not None
    assert refused.code is RefusalCode.LOW_CONTRAST


def test_saturated_bone_is_clipped() -> None:
    scan = prepared(picture(bone=1.0))
    assert values(scan)["clipping"] == 1.0
    refused = refuse(check(scan))
    assert refused is not None
    assert refused.code is RefusalCode.CLIPPED


def test_a_little_saturation_is_told_but_not_refused() -> None:
    grey = picture()
    grey[20:60, 60:100] = 1.0  # a quarter of the spine
    checks = check(prepared(grey))
    assert {one.name for one in checks if not one.passed} == {"clipping"}
    assert values(prepared(grey))["clipping"] == pytest.approx(0.25, abs=0.02)
    assert refuse(checks) is None


def test_other_levels_than_the_operators_are_told_but_not_refused() -> None:
    height = (BOTTOM - TOP) / 4
    scan = prepared(picture(), levels=boxes("operator_roi"), from_image=boxes("image_processing", shift=height))
    checks = {one.name: one for one in check(scan)}
    assert checks["agreement"].value == pytest.approx(1.0)
    assert not checks["agreement"].passed
    assert refuse(tuple(checks.values())) is None


def test_unsure_levels_are_told_but_not_refused() -> None:
    checks = check(prepared(picture(), levels=boxes("image_processing", confidence=0.3)))
    assert {one.name for one in checks if not one.passed} == {"confidence"}
    assert refuse(checks) is None


def test_fewer_than_four_levels_are_refused() -> None:
    refused = refuse(check(prepared(picture(), levels=boxes("image_processing")[:3])))
    assert refused is not None
    assert refused.code is RefusalCode.LEVELS_NOT_FOUND


def test_every_hard_limit_lies_beyond_the_limit_that_is_told() -> None:
    for one in check(prepared(picture())):
        if one.name in HARD:
            hard = HARD[one.name]
            assert hard.limit > one.limit if hard.above else hard.limit < one.limit


@pytest.mark.parametrize(
    ("first", "last", "grey", "passes"), [(80, 90, 0.0, False), (0, 12, 0.0, True), (80, 90, 1.0, True)]
)
def test_blank_rows_across_the_spine_are_a_torn_picture(first: int, last: int, grey: float, passes: bool) -> None:
    made = prepared(picture())
    raw = np.random.default_rng(0).random((192, 96), dtype=np.float32)
    raw[first:last] = grey * raw.max()
    torn = replace(made, raw=raw)
    (one,) = (c for c in check(torn) if c.name == "unbroken")
    assert one.passed is passes
    refused = refuse((one,))
    assert (refused is None) is passes
