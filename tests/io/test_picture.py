"""PNG, JPEG, TIFF and BMP."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.picture import read_picture
from spinecare.io.read import read_scan, read_scan_bytes
from spinecare.scan import Scan, View
from spinecare.settings import ReadLimits

NOISE = np.random.default_rng(1).integers(0, 256, (23, 31, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def code_of(data: bytes, limits: ReadLimits = ReadLimits()) -> UnreadableCode:  # noqa: B008
    with pytest.raises(ScanError) as caught:
        read_scan_bytes(data, "x.png", limits)
    assert "x.png" in caught.value.reason
    return caught.value.code


def png_of_size(cols: int, rows: int) -> bytes:
    """A PNG whose header promises a size, with next to no data behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", cols, rows, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_colour_pictures_keep_colour_and_luma(kind: str) -> None:
    data = saved(Image.fromarray(NOISE), kind)
    scan = read_scan_bytes(data, "x")
    np.testing.assert_array_equal(scan.colour, NOISE)
    np.testing.assert_allclose(scan.pixels, NOISE @ np.array([0.299, 0.587, 0.114]), atol=1e-3)
    assert scan.white == 255
    assert scan.pixels.dtype == np.float32
    assert (scan.view, scan.spacing_mm, scan.spacing_source) == (View.UNKNOWN, None, "unknown")
    assert scan.source.sha256 == hashlib.sha256(data).hexdigest()
    assert scan.source.media_type == f"image/{kind.lower()}"
    assert scan.patient.key == scan.source.sha256[:12]


def test_jpeg_is_near_its_original() -> None:
    smooth = np.tile(np.linspace(0, 255, 64), (64, 1)).astype(np.uint8)
    scan = read_scan_bytes(saved(Image.fromarray(smooth), "JPEG", quality=95), "x")
    assert np.abs(scan.pixels - smooth).max() < 5
    assert scan.colour is None


def test_channels_that_are_equal_everywhere_are_grey() -> None:
    scan = read_scan_bytes(saved(Image.fromarray(np.repeat(NOISE[..., :1], 3, axis=2)), "PNG"), "x")
    assert scan.colour is None
    np.testing.assert_array_equal(scan.pixels, NOISE[..., 0])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_depth(kind: str) -> None:
    deep = np.random.default_rng(2).integers(0, 4096, (20, 30)).astype(np.uint16)
    scan = read_scan_bytes(saved(Image.fromarray(deep), kind), "x")
    np.testing.assert_array_equal(scan.pixels, deep)
    assert scan.white == deep.max()


def test_a_tiff_where_zero_is_white_is_turned_over() -> None:
    for dtype, top in ((np.uint8, 255), (np.uint16, 65535)):
        grey = np.linspace(0, top, 600).reshape(20, 30).astype(dtype)
        data = saved(Image.fromarray(grey), "TIFF", tiffinfo={262: 0})
        with Image.open(io.BytesIO(data)) as image:
            assert image.tag_v2[262] == 0
            stored = np.frombuffer(data, dtype, count=grey.size, offset=image.tag_v2[273][0]).reshape(grey.shape)
        np.testing.assert_allclose(read_scan_bytes(data, "x").pixels, float(top) - stored)


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(NOISE).quantize(32)
    np.testing.assert_array_equal(read_scan_bytes(saved(image, "PNG"), "x").colour, np.asarray(image.convert("RGB")))


def test_transparency_is_laid_on_black() -> None:
    alpha = np.full((23, 31, 1), 128, np.uint8)
    alpha[:5] = 0
    data = saved(Image.fromarray(np.concatenate([NOISE, alpha], axis=2)), "PNG")
    colour = read_scan_bytes(data, "x").colour
    assert colour is not None
    assert not colour[:5].any()
    np.testing.assert_allclose(colour[5:], NOISE[5:] * (128 / 255), atol=0.51)


def test_one_bit_pictures_are_black_and_white() -> None:
    scan = read_scan_bytes(saved(Image.fromarray(NOISE[..., 0] > 127), "PNG"), "x")
    np.testing.assert_array_equal(scan.pixels, np.where(NOISE[..., 0] > 127, 255, 0))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_the_orientation_is_applied(kind: str) -> None:
    picture = np.zeros((40, 80), np.uint8)
    picture[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to show
    scan = read_scan_bytes(saved(Image.fromarray(picture), kind, exif=exif), "x")
    assert scan.pixels.shape == (80, 40)
    assert scan.pixels[:, 30:].mean() > 250
    assert scan.pixels[:, :10].mean() < 5


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_more_than_one_frame_is_too_many(kind: str) -> None:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert code_of(data) == UnreadableCode.TOO_MANY_FRAMES
    assert read_scan_bytes(data, "x", ReadLimits(max_frames=2)).pixels.shape == (23, 31)


def test_limits_come_before_decoding() -> None:
    assert code_of(png_of_size(100_000, 100_000)) == UnreadableCode.TOO_MANY_PIXELS
    assert code_of(png_of_size(10_000, 10_000)) == UnreadableCode.TOO_MANY_PIXELS
    assert code_of(png_of_size(30, 30), ReadLimits(max_pixels=899)) == UnreadableCode.TOO_MANY_PIXELS
    assert code_of(png_of_size(30, 30), ReadLimits(max_bytes=20)) == UnreadableCode.TOO_MANY_BYTES
    assert code_of(b"") == UnreadableCode.EMPTY_FILE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_truncated_files_are_damaged(kind: str, kept: float) -> None:
    data = saved(Image.fromarray(NOISE), kind)
    assert code_of(data[: int(len(data) * kept)]) == UnreadableCode.DAMAGED


def test_floating_point_tiffs_are_unsupported() -> None:
    data = saved(Image.fromarray(NOISE[..., 0].astype(np.float32)), "TIFF")
    assert code_of(data) == UnreadableCode.UNSUPPORTED_ENCODING


def test_real_screen_crops_are_in_colour(spine_dxa: Path) -> None:
    path = spine_dxa / "images" / "s001.png"
    scan: Scan = read_scan(path)
    np.testing.assert_array_equal(scan.colour, np.asarray(Image.open(path).convert("RGB")))


def test_read_picture_wants_a_picture() -> None:
    with pytest.raises(ScanError) as caught:
        read_picture(b"hello", "x")
    assert caught.value.code == UnreadableCode.NOT_A_PICTURE


@settings(max_examples=150, deadline=None)
@given(draws=st.data(), kind=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP"]))
def test_mutations_never_raise_anything_else(draws: st.DataObject, kind: str) -> None:
    changed = bytearray(saved(Image.fromarray(NOISE), kind))
    for _ in range(draws.draw(st.integers(0, 6))):
        changed[draws.draw(st.integers(0, len(changed) - 1))] = draws.draw(st.integers(0, 255))
    changed = changed[: draws.draw(st.integers(0, len(changed)) | st.just(len(changed)))]
    try:
        scan = read_scan_bytes(bytes(changed), "mutant", ReadLimits(max_pixels=10_000))
    except ScanError:
        return
    assert 0.0 <= scan.grey.min() <= scan.grey.max() <= 1.0
