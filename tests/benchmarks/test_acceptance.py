"""The acceptance study strips a DICOM file to its pixels, and never looks at an answer."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import numpy as np
import pydicom


def test_a_stripped_file_keeps_its_pixels_and_nothing_that_names_the_view(benchmarks: None, idxa: Path) -> None:
    acceptance = importlib.import_module("acceptance")
    path = idxa / "left_femur.dcm"
    before, after = pydicom.dcmread(path), pydicom.dcmread(io.BytesIO(acceptance.stripped(path)))
    np.testing.assert_array_equal(before.pixel_array, after.pixel_array)
    assert {e.keyword for e in after} <= set(acceptance.NEEDED)
    assert "ProtocolName" not in after


def test_the_tally_counts_codes(benchmarks: None) -> None:
    acceptance = importlib.import_module("acceptance")
    tally = acceptance.tally({"a": "assessed", "b": "refused: blank", "c": "assessed", "d": "refused: blank"})
    assert tally["share"] == 0.5
    assert tally["by_outcome"] == {"assessed": 2, "refused: blank": 2}
    assert tally["interval"][0] < 0.5 < tally["interval"][1]
