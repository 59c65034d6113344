"""The gate: what passes, what is refused and with which reason; the real files where they are."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pictures
from spinecare.io.read import read_scan
from spinecare.phantom.cohort import draw_scan
from spinecare.prepare.locate import Located
from spinecare.prepare.overlay import Overlay, read_overlay, remove_overlay, unscanned
from spinecare.prepare.pipeline import Found
from spinecare.quality.gate import gate
from spinecare.scan import Float32, Patient, RefusalCode, Refused, Scan, Source, View

NOWHERE = Located((), *(np.empty(0, np.float32) for _ in range(6)), contrast=0.0, confidence=0.0)


def found_in(scan: Scan) -> Found:
    """What `find_levels` hands to the gate, without the search for levels, which the gate doesn't use."""
    overlay = read_overlay(scan)
    valid = unscanned(scan.grey, scan.colour)
    return Found(overlay, valid, remove_overlay(scan.grey, overlay.mask | ~valid), NOWHERE)


def judge(scan: Scan) -> Refused | None:
    return gate(scan, found_in(scan))


def code(scan: Scan) -> RefusalCode | None:
    refused = judge(scan)
    return None if refused is None else refused.code


def turned(scan: Scan, quarter_turns: int) -> Scan:
    """The scan turned, its tags stripped."""
    colour = None if scan.colour is None else pictures.lying(scan.colour, quarter_turns)
    pixels = pictures.lying(scan.pixels, quarter_turns)
    return replace(scan, pixels=pixels, colour=colour, view=View.UNKNOWN, view_tags=())


def stripped(scan: Scan) -> Scan:
    return replace(scan, view=View.UNKNOWN, view_tags=())


@pytest.mark.parametrize("side", [300, 1500])
def test_noise_is_noise_at_any_size_and_a_dim_tone_is_blank(side: int) -> None:
    rng = np.random.default_rng(side)
    assert code(pictures.as_scan(rng.uniform(0, 1, (side, side)).astype(np.float32))) is RefusalCode.NOISE
    faint = (0.4 + rng.uniform(0, 0.01, (side, side))).astype(np.float32)
    assert code(pictures.as_scan(faint)) is RefusalCode.BLANK


# --- pictures that are no scans -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", pictures.NOT_SPINES)
def test_other_pictures_are_no_spine(name: str, seed: int) -> None:
    refused = judge(pictures.as_scan(pictures.NOT_SPINES[name](seed)))
    assert refused is not None
    assert refused.code in (RefusalCode.NOT_A_SPINE, RefusalCode.OTHER_VIEW)


@pytest.mark.parametrize("name", [name for name in pictures.COLOUR_PHOTOS if name != "hubble_deep_field"])
def test_photographs_in_colour_are_refused_as_such(name: str) -> None:
    assert code(pictures.as_scan(pictures.photo(name))) is RefusalCode.COLOUR_PHOTO


@pytest.mark.parametrize("change", [pictures.grey_of, pictures.negative, pictures.lying, pictures.upside_down])
@pytest.mark.parametrize("name", pictures.COLOUR_PHOTOS + pictures.GREY_PHOTOS)
def test_grey_photographs_are_refused(name: str, change: Callable[[Float32], Float32]) -> None:
    assert code(pictures.as_scan(change(pictures.grey_of(pictures.photo(name))))) is not None


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_blank_pictures_are_refused_as_blank(level: float) -> None:
    assert code(pictures.as_scan(pictures.flat(level))) is RefusalCode.BLANK


def test_noise_is_refused_as_noise() -> None:
    assert code(pictures.as_scan(pictures.white_noise(0))) is RefusalCode.NOISE


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_text_screens_are_refused_as_text(seed: int, dark: bool) -> None:
    assert code(pictures.as_scan(pictures.text_screen(seed, dark))) is RefusalCode.TEXT_SCREEN


def test_a_thumbnail_is_too_small() -> None:
    assert code(pictures.as_scan(pictures.spine(0, 60, 60))) is RefusalCode.TOO_SMALL


# --- spines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_spine_passes_upright_only(seed: int) -> None:
    spine = pictures.spine(seed)
    assert code(pictures.as_scan(spine)) is None
    assert code(pictures.as_scan(pictures.upside_down(spine))) is RefusalCode.UPSIDE_DOWN
    assert code(pictures.as_scan(pictures.lying(spine))) is RefusalCode.NOT_A_SPINE
    lying, negative = judge(pictures.as_scan(pictures.lying(spine))), judge(pictures.as_scan(1 - spine))
    assert lying is not None
    assert "on its side" in lying.reason
    assert negative is not None
    assert "negative" in negative.reason


@pytest.mark.parametrize("style", ["hologic", "idxa"])
def test_nearly_all_virtual_patients_pass(style: str) -> None:
    scans = [draw_scan(11, index, style)[0] for index in range(10)]  # type: ignore[arg-type]
    assert sum(code(scan) is None for scan in scans) >= 9


def test_an_operators_box_does_not_make_a_spine() -> None:
    scan = draw_scan(11, 0, "hologic")[0]
    assert scan.colour is not None
    drawing = read_overlay(scan).mask
    assert drawing.any()
    cloud = np.repeat((pictures.pink_noise(0)[:224, :224, None] * 255).astype(np.uint8), 3, axis=2)
    cloud[drawing] = scan.colour[drawing]
    assert code(pictures.as_scan(cloud)) in (RefusalCode.NOT_A_SPINE, RefusalCode.OTHER_VIEW)


@pytest.mark.parametrize("view", [View.FEMUR, View.LATERAL_SPINE, View.FOREARM, View.WHOLE_BODY, View.OTHER])
def test_a_spine_tagged_as_something_else_is_refused(view: View) -> None:
    assert code(pictures.as_scan(pictures.spine(0), view)) is RefusalCode.TAGS_DISAGREE


def test_something_else_tagged_as_a_spine_is_refused() -> None:
    assert code(pictures.as_scan(pictures.femur(0), View.AP_SPINE)) is RefusalCode.TAGS_DISAGREE
    assert code(pictures.as_scan(pictures.femur(0), View.FEMUR)) is RefusalCode.OTHER_VIEW


def test_every_refusal_says_what_and_what_to_do_and_whose() -> None:
    scan = pictures.as_scan(pictures.femur(0))
    refused = judge(scan)
    assert refused is not None
    assert refused.source == scan.source
    assert refused.reason.endswith(".")
    assert refused.hint.endswith(".")
    assert refused.details["points"] > refused.details["most_points"]


# --- real files -----------------------------------------------------------------------------------


def test_the_real_ap_spine_passes_with_and_without_tags(idxa: Path) -> None:
    scan = read_scan(idxa / "ap_spine.dcm")
    assert code(scan) is None
    assert code(stripped(scan)) is None
    assert code(replace(scan, view=View.FEMUR)) is RefusalCode.TAGS_DISAGREE


@pytest.mark.parametrize("name", ["left_femur.dcm", "lateral_spine.dcm"])
def test_real_other_views_are_refused_with_and_without_tags(idxa: Path, name: str) -> None:
    scan = read_scan(idxa / name)
    assert code(scan) is RefusalCode.OTHER_VIEW
    assert code(stripped(scan)) in (RefusalCode.OTHER_VIEW, RefusalCode.NOT_A_SPINE)
    assert code(replace(scan, view=View.AP_SPINE)) is RefusalCode.TAGS_DISAGREE


def test_the_real_lateral_spine_is_called_a_spine_from_the_side(idxa: Path) -> None:
    assert code(stripped(read_scan(idxa / "lateral_spine.dcm"))) is RefusalCode.OTHER_VIEW


def test_parts_of_the_real_lateral_spine_are_refused(idxa: Path) -> None:
    scan = stripped(read_scan(idxa / "lateral_spine.dcm"))
    for row in (0, 400, 800, 1000):
        for right in (600, 808):
            part = replace(scan, pixels=np.ascontiguousarray(scan.pixels[row : row + 850, :right]))
            assert code(part) is not None


def test_the_real_ap_spine_must_stand_upright(idxa: Path) -> None:
    scan = read_scan(idxa / "ap_spine.dcm")
    assert code(turned(scan, 2)) is RefusalCode.UPSIDE_DOWN
    assert code(turned(scan, 1)) is RefusalCode.NOT_A_SPINE
    assert code(turned(scan, 3)) is RefusalCode.NOT_A_SPINE


def test_real_spines_pass_upright_and_are_refused_upside_down(spine_dxa: Path) -> None:
    with (spine_dxa / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["first_of_group"] == "1"]
    scans = [read_scan(spine_dxa / row["path"]) for row in rows]
    assert len(scans) == 128
    passed = sum(code(scan) is None for scan in scans)
    upside_down = sum(code(turned(scan, 2)) is RefusalCode.UPSIDE_DOWN for scan in scans)
    assert passed >= 0.97 * len(scans)
    assert upside_down >= 0.97 * len(scans)


# --- anything -------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    pixels=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 160), st.integers(1, 160)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
        fill=st.floats(-300, 300, width=32),
    ),
    view=st.sampled_from(list(View)),
    valid=st.sampled_from(["all", "none", "half"]),
)
def test_the_gate_never_raises(pixels: Float32, view: View, valid: str) -> None:
    scan = Scan(pixels, 255.0, Source("x", "0" * 64, "image/png"), Patient("x"), view=view)
    mask = np.ones(pixels.shape, dtype=np.bool_)
    mask[{"all": pixels.shape[0], "none": 0, "half": pixels.shape[0] // 2}[valid] :] = False
    found = Found(Overlay((), None, np.zeros_like(mask)), mask, scan.grey, NOWHERE)
    refused = gate(scan, found)
    assert refused is None or refused.reason
