"""Files that somebody built to cost more than they weigh, or to be two things at once: read in seconds, in little
memory, or not at all. Each is made here by hand from the formats' definitions."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.read import read_scan_bytes

SECONDS = 5.0
MEGABYTES = 150
Code = UnreadableCode


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(cols: int, rows: int, packed: bytes, extra: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def tiff(cols: int, rows: int, compression: int, strip: bytes, said: int | None = None) -> bytes:
    at = 8 + 2 + 12 * 9 + 4
    tags = [(256, cols), (257, rows), (258, 8), (259, compression), (262, 1), (273, at), (277, 1), (278, rows),
            (279, len(strip) if said is None else said)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + strip


def bmp(cols: int, rows: int) -> bytes:
    head = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 1078)
    return head + struct.pack("<IiiHHIIiiII", 40, cols, rows, 1, 8, 0, 0, 0, 0, 256, 0) + bytes(1024 + 100)


def jpeg(cols: int, rows: int, said: tuple[int, int] | None = None, **options: Any) -> bytearray:
    out = io.BytesIO()
    Image.new("L", (cols, rows), 90).save(out, "JPEG", **options)
    data = bytearray(out.getvalue())
    if said:
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, *said)
    return data


def passes(count: int) -> bytes:
    """A progressive JPEG whose last scan is sent over and over."""
    data = bytes(jpeg(6000, 6000, progressive=True))
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


ZEROS = zlib.compress(bytes(200_000_000), 9)
PICTURES: dict[str, tuple[bytes, Code]] = {
    "PNG of 100 megapixels": (png(10_000, 10_000, zlib.compress(b"x")), Code.TOO_MANY_PIXELS),
    "PNG of 36 megapixels without data": (png(6000, 6000, zlib.compress(b"x")), Code.DAMAGED),
    "PNG with a text bomb": (png(9, 9, zlib.compress(bytes(90)), chunk(b"zTXt", b"a\0\0" + ZEROS)), Code.DAMAGED),
    "PNG with a profile bomb": (png(9, 9, zlib.compress(bytes(90)), chunk(b"iCCP", b"a\0\0" + ZEROS)), Code.DAMAGED),
    "TIFF of 100 megapixels": (tiff(10_000, 10_000, 1, b"x"), Code.TOO_MANY_PIXELS),
    "TIFF with a strip of 4 GB": (tiff(90, 90, 1, b"x" * 10, 2**32 - 1), Code.DAMAGED),
    "TIFF of 36 megapixels without data": (tiff(6000, 6000, 5, b"\x80\0\0"), Code.DAMAGED),
    "BMP of 36 megapixels without data": (bmp(6000, 6000), Code.DAMAGED),
    "BMP with a height of -2^31": (bmp(6000, -(2**31)), Code.TOO_MANY_PIXELS),
    "JPEG of 36 megapixels without data": (bytes(jpeg(90, 90, (6000, 6000))), Code.DAMAGED),
    "JPEG in thousands of passes": (passes(2000), Code.TOO_COSTLY),
}


def outcome(data: bytes) -> UnreadableCode | None:
    """Why it was not read, or None; within the time and the memory."""
    tracemalloc.start()
    begun = time.perf_counter()
    try:
        read_scan_bytes(data, "upload")
        code = None
    except ScanError as error:
        code = error.code
    seconds, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < SECONDS
    assert peak < MEGABYTES * 2**20
    return code


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str) -> None:
    data, code = PICTURES[name]
    assert outcome(data) == code


def test_a_bomb_behind_a_small_picture_is_not_inflated() -> None:
    assert outcome(png(10, 10, ZEROS)) is None
    assert outcome(tiff(10, 10, 8, ZEROS)) is None


@pytest.fixture
def plain(make_dicom: Callable[..., bytes]) -> tuple[bytes, bytes]:
    """A DICOM file, cut before its pixels."""
    data = make_dicom(np.full((20, 20), 7, np.uint8))
    at = data.index(b"\xe0\x7f\x10\x00")
    return data[:at], data[at:]


SEQUENCE = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
ITEM, ITEM_END, END = (struct.pack("<HHI", 0xFFFE, element, 0) for element in (0xE000, 0xE00D, 0xE0DD))
OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
EMPTY = struct.pack("<HH2sH", 0x0009, 0x0010, b"LO", 0)


@pytest.mark.parametrize(
    ("inserted", "codes"),
    [
        (SEQUENCE + OPEN_ITEM, {Code.DAMAGED}),
        ((SEQUENCE + OPEN_ITEM) * 5000 + (ITEM_END + END) * 5000, {Code.DAMAGED}),
        ((SEQUENCE + OPEN_ITEM) * 500_000, {Code.TOO_COSTLY}),
        (SEQUENCE + ITEM * 1_000_000 + END, {Code.TOO_COSTLY}),
        (struct.pack("<HH2sHI", 9, 0x1001, b"UN", 0, 0xFFFFFFFF) + OPEN_ITEM * 100_000, {Code.TOO_COSTLY}),
        (EMPTY * 1_000_000, {Code.TOO_COSTLY}),
        (struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 0xFFFFFFF0), {Code.DAMAGED, Code.NO_PIXELS}),
        (struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 0xFFFFFFFF), {Code.DAMAGED}),
    ],
    ids=["open", "deep", "deeper", "items", "nested unknown", "elements", "long", "endless"],
)
def test_elements_and_items_without_end(plain: tuple[bytes, bytes], inserted: bytes, codes: set[Code]) -> None:
    assert outcome(plain[0] + inserted + plain[1]) in codes


def test_pixels_in_a_million_fragments(make_dataset: Callable[..., Dataset], to_file: Any) -> None:
    dataset = make_dataset(np.full((20, 20), 7, np.uint8))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([bytes(jpeg(20, 20))])
    data = to_file(dataset)
    assert outcome(data) is None
    assert outcome(data[: -len(END)] + ITEM * 1_000_000 + END) == Code.TOO_COSTLY


@pytest.mark.parametrize(
    "tags", [{"Rows": 10_000, "Columns": 10_000}, {"NumberOfFrames": "2147483647"}, {"Rows": 60_000}]
)
def test_tags_that_promise_what_is_not_there(make_dicom: Callable[..., bytes], tags: dict[str, Any]) -> None:
    data = make_dicom(np.full((20, 20), 7, np.uint8), **tags)
    assert outcome(data) in {Code.TOO_MANY_PIXELS, Code.TOO_MANY_FRAMES, Code.DAMAGED}


def test_a_deflated_data_set_is_counted_after_it_is_inflated(
    make_dataset: Callable[..., Dataset], to_file: Any
) -> None:
    dataset = make_dataset(np.full((20, 20), 7, np.uint8))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = to_file(dataset)
    assert outcome(data) is None
    at = next(i for i in range(132, len(data)) if _inflates(data[i:]))
    inner = zlib.decompress(data[at:], -15)

    def deflated(body: bytes) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return data[:at] + packer.compress(body) + packer.flush()

    assert outcome(deflated(inner + bytes(100_000_000))) == Code.TOO_MANY_BYTES
    assert outcome(deflated(inner[:-412] + EMPTY * 500_000)) == Code.TOO_COSTLY


def _inflates(data: bytes) -> bool:
    try:
        return zlib.decompress(data, -15)[:2] == b"\x08\x00"
    except zlib.error:
        return False


@pytest.mark.parametrize(
    "start", [b"MZ\x90\0", b"\x7fELF\2", b"<html><script>", b"PK\3\4", b"#!/bin/sh\n", b"%PDF-1.7"]
)
def test_dicom_that_is_something_else_as_well_is_not_read(plain: tuple[bytes, bytes], start: bytes) -> None:
    data = start + b"".join(plain)[len(start) :]
    with pytest.raises(ScanError) as caught:
        read_scan_bytes(data, "upload")
    assert caught.value.code == Code.NOT_A_PICTURE
    assert "at once" in caught.value.reason


def test_what_hangs_behind_a_picture_is_never_opened(plain: tuple[bytes, bytes]) -> None:
    tail = b"PK\3\4" + bytes(500) + b"<script>alert(1)</script>"
    assert outcome(png(10, 10, zlib.compress(bytes(110))) + tail) is None
    assert outcome(bytes(jpeg(20, 20)) + tail) is None
