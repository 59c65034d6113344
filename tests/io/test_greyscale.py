"""Grey levels against pydicom's own pipeline, and MONOCHROME1 twins against their originals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from spinecare.io.greyscale import display_grey


def header(bits: int = 12, signed: bool = False, **tags: Any) -> Dataset:
    dataset = Dataset()
    dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation = 16, bits, int(signed)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.file_meta = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def pydicom_fraction(stored: np.ndarray, dataset: Dataset, low: float, high: float) -> np.ndarray:
    """pydicom's picture as a fraction of its output range."""
    out = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    return (out.astype(np.float64) - low) / (high - low)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1000.0), (2.0, 10.0)])
@pytest.mark.parametrize(("centre", "width"), [(2000.0, 3000.0), (40.0, 400.0), (0.0, 1.5)])
def test_windows_give_the_values_of_pydicom(
    spine_like: np.ndarray, function: str, slope: float, intercept: float, centre: float, width: float
) -> None:
    dataset = header(
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=centre,
        WindowWidth=width,
        VOILUTFunction=function,
    )
    grey, white = display_grey(spine_like, dataset)
    ends = (intercept, 4095 * slope + intercept)
    assert white == 4095
    np.testing.assert_allclose(grey / white, pydicom_fraction(spine_like, dataset, *ends), atol=2e-6)


def test_a_signed_file_with_a_window_gives_the_values_of_pydicom(spine_like: np.ndarray) -> None:
    stored = spine_like.astype(np.int16) - 2048
    dataset = header(signed=True, WindowCenter=100, WindowWidth=2500)
    grey, white = display_grey(stored, dataset)
    np.testing.assert_allclose(grey / white, pydicom_fraction(stored, dataset, -2048, 2047), atol=2e-6)


def test_the_first_of_several_windows_is_used(spine_like: np.ndarray) -> None:
    several, one = (
        header(WindowCenter=[1000, 9], WindowWidth=[800, 9]),
        header(WindowCenter=1000, WindowWidth=800),
    )
    np.testing.assert_array_equal(display_grey(spine_like, several)[0], display_grey(spine_like, one)[0])


def test_a_voi_lut_gives_the_values_of_pydicom_and_goes_before_a_window(spine_like: np.ndarray) -> None:
    entries = [int(v) for v in np.linspace(0, 1023, 3000).round()]
    dataset = header(VOILUTSequence=[lut(entries, 500, 10)], WindowCenter=1, WindowWidth=1)
    grey, white = display_grey(spine_like, dataset)
    assert white == 1023
    np.testing.assert_array_equal(grey, apply_voi_lut(spine_like.astype(np.int32), dataset))


def test_an_8_bit_voi_lut_on_12_bit_values_does_not_wrap_around(spine_like: np.ndarray) -> None:
    entries = [int(v) for v in np.linspace(0, 255, 4096).round()]
    grey, white = display_grey(spine_like, header(VOILUTSequence=[lut(entries, 0, 8)]))
    assert white == 255
    np.testing.assert_array_equal(grey, np.array(entries)[spine_like])


def test_a_modality_lut_gives_the_values_of_pydicom(spine_like: np.ndarray) -> None:
    entries = [int(v) for v in np.linspace(65535, 0, 4096).round()]
    dataset = header(ModalityLUTSequence=[lut(entries, 0, 16)], WindowCenter=30000, WindowWidth=40000)
    grey, white = display_grey(spine_like, dataset)
    np.testing.assert_allclose(grey / white, pydicom_fraction(spine_like, dataset, 0, 65535), atol=2e-6)


def test_an_8_bit_file_without_a_window_keeps_its_values() -> None:
    stored = np.arange(40, 200, dtype=np.uint8).reshape(10, 16)
    grey, white = display_grey(stored, header(bits=8))
    assert white == 255
    np.testing.assert_array_equal(grey, stored)


def test_a_deep_file_without_a_window_is_shown_over_the_range_it_uses_padding_aside(
    spine_like: np.ndarray,
) -> None:
    stored = spine_like.copy()
    stored[:, :5] = 65535
    grey, white = display_grey(stored, header(bits=16, PixelPaddingValue=65535))
    low, high = int(stored[:, 5:].min()), int(stored[:, 5:].max())
    assert white == high - low
    np.testing.assert_array_equal(grey[:, 5:], apply_modality_lut(stored, header(bits=16))[:, 5:] - float(low))
    assert grey.max() == white


def test_a_negative_slope_turns_the_picture_over(spine_like: np.ndarray) -> None:
    grey, white = display_grey(spine_like, header(RescaleSlope=-1, RescaleIntercept=4095))
    straight, _ = display_grey(spine_like, header())
    np.testing.assert_allclose(grey, white - straight)


@pytest.mark.parametrize("width", [0, -5, "nan"])
def test_a_window_that_makes_no_sense_is_left_out(spine_like: np.ndarray, width: Any) -> None:
    dataset = header()
    dataset.WindowCenter = 100
    dataset.add_new("WindowWidth", "LO" if width == "nan" else "DS", width)
    np.testing.assert_array_equal(display_grey(spine_like, dataset)[0], display_grey(spine_like, header())[0])


@given(
    bits=st.integers(8, 16),
    signed=st.booleans(),
    window=st.none()
    | st.tuples(
        st.floats(-3000, 70000),
        st.floats(1.01, 70000),
        st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    ),
    seed=st.integers(0, 1000),
)
def test_an_inverted_twin_gives_the_same_pixels(
    bits: int, signed: bool, window: tuple[float, float, str] | None, seed: int
) -> None:
    """MONOCHROME1 with every value v as low + high - v, and the window mirrored in the middle of the range.

    The middle of a LINEAR window is at centre - 0.5 (PS3.3 C.11.2.1.2): its mirror is low + high - centre + 1.
    """
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    stored = np.random.default_rng(seed).integers(low, high + 1, (9, 7))
    original, twin = header(bits, signed), header(bits, signed)
    twin.PhotometricInterpretation = "MONOCHROME1"
    if window:
        centre, width, function = window
        mirrored = low + high - centre + (1 if function == "LINEAR" else 0)
        for dataset, value in ((original, centre), (twin, mirrored)):
            dataset.add_new("WindowCenter", "FD", value)
            dataset.add_new("WindowWidth", "FD", width)
            dataset.VOILUTFunction = function
    straight, white = display_grey(stored, original)
    inverted, twin_white = display_grey(low + high - stored, twin)
    assert white == twin_white
    np.testing.assert_allclose(inverted, straight, atol=2e-4 * white)
