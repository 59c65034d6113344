"""A file's kind by its first bytes, and files that are two things at once."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from spinecare.io.kind import Kind, hidden_in_preamble, kind_of


@pytest.mark.parametrize(
    ("format", "kind"), [("PNG", Kind.PNG), ("JPEG", Kind.JPEG), ("TIFF", Kind.TIFF), ("BMP", Kind.BMP)]
)
def test_pictures(format: str, kind: Kind) -> None:
    out = io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(out, format)
    assert kind_of(out.getvalue()) == kind


def test_dicom_with_an_empty_or_a_tiffs_preamble() -> None:
    assert kind_of(bytes(128) + b"DICM") == Kind.DICOM
    assert kind_of(b"II*\0" + bytes(124) + b"DICM") == Kind.DICOM
    assert kind_of(b"Scanner export 7".ljust(128) + b"DICM") == Kind.DICOM


@pytest.mark.parametrize(
    "start",
    [b"MZ\x90", b"\x7fELF", b"#!/bin/sh\n", b"PK\x03\x04", b"%PDF-1.7", b"  <!DOCTYPE html>", b"<script>", b"GIF89a",
     b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\xca\xfe\xba\xbe", b"\x00\x00%PDF-1.4"],
)  # fmt: skip
def test_dicom_that_another_program_would_open_is_nothing(start: bytes) -> None:
    data = start.ljust(128, b"\0") + b"DICM"
    assert kind_of(data) == Kind.OTHER
    assert hidden_in_preamble(data)


def test_archives_and_the_rest() -> None:
    assert kind_of(b"PK\x03\x04" + bytes(99)) == Kind.ZIP
    for other in (b"", b"P", b"BMD of the spine: 1.02", b"%PDF-1.7", bytes(200), b"GIF89a"):
        assert kind_of(other) == Kind.OTHER
