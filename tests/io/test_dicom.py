"""DICOM files: real iDXA ones, synthetic ones, compressed ones and broken ones."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.dicom import read_dicom
from spinecare.io.read import read_scan, read_scan_bytes
from spinecare.scan import View
from spinecare.settings import ReadLimits

Maker = Callable[..., bytes]
IDXA = ("ap_spine", "lateral_spine", "left_femur")


def code_of(data: bytes, limits: ReadLimits = ReadLimits()) -> UnreadableCode:  # noqa: B008
    with pytest.raises(ScanError) as caught:
        read_scan_bytes(data, "x.dcm", limits)
    assert "x.dcm" in caught.value.reason
    assert caught.value.reason.endswith(".")
    assert caught.value.hint.endswith(".")
    return caught.value.code


@pytest.mark.parametrize("name", IDXA)
def test_a_real_idxa_file_has_the_pixels_of_pydicom(idxa: Path, name: str) -> None:
    path = idxa / f"{name}.dcm"
    dataset = pydicom.dcmread(path)
    golden = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    scan = read_scan(path)
    assert scan.pixels.dtype == np.float32
    assert scan.white == 255
    assert scan.colour is None
    np.testing.assert_array_equal(scan.pixels, golden)


@pytest.mark.parametrize("name", IDXA)
def test_the_inverted_twin_of_a_real_file_gives_the_same_pixels(
    idxa: Path, name: str, to_file: Callable[[Dataset], bytes]
) -> None:
    dataset = pydicom.dcmread(idxa / f"{name}.dcm")
    dataset.PixelData = (255 - dataset.pixel_array).astype(np.uint8).tobytes()
    dataset.PhotometricInterpretation = "MONOCHROME1"
    twin = read_scan_bytes(to_file(dataset), "twin")
    np.testing.assert_array_equal(twin.pixels, read_scan(idxa / f"{name}.dcm").pixels)


def test_the_real_spine_file_says_who_what_and_how_big(idxa: Path) -> None:
    scan = read_scan(idxa / "ap_spine.dcm")
    assert scan.view == View.AP_SPINE
    assert "ProtocolName: AP Spine" in scan.view_tags
    assert scan.spacing_source == "ExposedArea"
    assert scan.spacing_mm == pytest.approx((197 / 780, 180 / 716))
    assert scan.device == "GE Healthcare Lunar iDXA"
    assert scan.acquired == date(2015, 2, 2)
    patient = scan.patient
    assert (patient.sex, patient.age_years, patient.height_cm, patient.weight_kg) == ("M", 59.0, 180.0, 99.0)
    assert patient.ethnicity == "White"
    assert len(patient.key) == 12
    assert scan.source.sop_instance_uid == "1.2.840.113619.2.110.210419.20150928115733.2.2.12.1"
    assert scan.source.media_type == "application/dicom"


def test_views_of_the_other_real_files(idxa: Path) -> None:
    assert read_scan(idxa / "lateral_spine.dcm").view == View.LATERAL_SPINE
    femur = read_scan(idxa / "left_femur.dcm")
    assert femur.view == View.FEMUR
    assert femur.spacing_mm == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
@pytest.mark.parametrize("depth", [8, 12, 16])
def test_lossless_compression_gives_the_same_pixels(
    spine_like: np.ndarray,
    make_dicom: Maker,
    recompress: Callable[[bytes, str], bytes],
    syntax: str,
    depth: int,
) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    stored = (spine_like >> 4 if depth == 8 else spine_like << (depth - 12)).astype(dtype)
    plain = make_dicom(stored, depth, WindowCenter=2 ** (depth - 1), WindowWidth=2**depth)
    compressed = recompress(plain, syntax)
    assert pydicom.dcmread(io.BytesIO(compressed)).file_meta.TransferSyntaxUID.is_encapsulated
    np.testing.assert_array_equal(read_scan_bytes(compressed, "c").pixels, read_scan_bytes(plain, "p").pixels)


def test_a_signed_file_may_be_compressed(
    spine_like: np.ndarray, make_dicom: Maker, recompress: Callable[[bytes, str], bytes]
) -> None:
    plain = make_dicom(spine_like.astype(np.int16) - 2000, 16)
    scan = read_scan_bytes(recompress(plain, "JPEG2000Lossless"), "c")
    np.testing.assert_array_equal(scan.pixels, spine_like.astype(np.float32) - spine_like.min())


def test_pydicoms_own_rle_is_read(spine_like: np.ndarray, make_dataset: Any) -> None:
    dataset = make_dataset((spine_like >> 4).astype(np.uint8))
    dataset.compress(RLELossless)
    scan = read_scan_bytes(_bytes(dataset), "rle")
    np.testing.assert_array_equal(scan.pixels, spine_like >> 4)


def test_baseline_jpeg_is_read(spine_like: np.ndarray, make_dataset: Any) -> None:
    grey = (spine_like >> 4).astype(np.uint8)
    scan = read_scan_bytes(_with_frame(make_dataset(grey), _encode(grey, "JPEG", quality=95), JPEGBaseline8Bit), "j")
    assert np.abs(scan.pixels - grey).max() < 6


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_plain_transfer_syntax_gives_the_same_pixels(
    spine_like: np.ndarray, make_dataset: Any, syntax: UID
) -> None:
    dataset = make_dataset(spine_like, 12, WindowCenter=2000, WindowWidth=4000)
    expected = read_scan_bytes(_bytes(dataset), "x").pixels
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = spine_like.byteswap().tobytes() + b"\0\0"[: spine_like.nbytes % 2]
    stream = io.BytesIO()
    dataset.save_as(stream, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    np.testing.assert_array_equal(read_scan_bytes(stream.getvalue(), "x").pixels, expected)


def test_a_file_without_preamble_is_read_when_it_parses(spine_like: np.ndarray, make_dicom: Maker) -> None:
    data = make_dicom(spine_like, 12)
    expected = read_scan_bytes(data, "x").pixels
    np.testing.assert_array_equal(read_scan_bytes(data[132:], "no preamble").pixels, expected)
    meta_length = struct.unpack_from("<I", data, 140)[0]
    np.testing.assert_array_equal(read_scan_bytes(data[144 + meta_length :], "no meta").pixels, expected)


def test_colour_captures_keep_their_colour(make_dicom: Maker) -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    scan = read_scan_bytes(make_dicom(rgb), "x")
    assert scan.white == 255
    np.testing.assert_array_equal(scan.colour, rgb)
    np.testing.assert_allclose(scan.pixels, rgb @ np.array([0.299, 0.587, 0.114]), atol=1e-3)


def test_a_colour_capture_without_colour_is_grey(make_dicom: Maker) -> None:
    grey = np.random.default_rng(3).integers(0, 256, (20, 30, 1), dtype=np.uint8)
    scan = read_scan_bytes(make_dicom(np.repeat(grey, 3, axis=2)), "x")
    assert scan.colour is None
    np.testing.assert_array_equal(scan.pixels, grey[..., 0])


def test_ybr_becomes_rgb(make_dataset: Any) -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    dataset = make_dataset(ybr, PhotometricInterpretation="YBR_FULL")
    colour = read_scan_bytes(_bytes(dataset), "x").colour
    assert colour is not None
    assert np.abs(colour.astype(int) - rgb).max() <= 3


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_looked_up(make_dataset: Any, bits: int) -> None:
    index = np.arange(64, dtype=np.uint8).reshape(8, 8)
    tables = np.random.default_rng(4).integers(0, 2**bits, (3, 256)).astype("<u2" if bits == 16 else "u1")
    dataset = make_dataset(index, PhotometricInterpretation="PALETTE COLOR")
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, bits])
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", table.tobytes())
    colour = read_scan_bytes(_bytes(dataset), "x").colour
    expected = np.moveaxis(tables[:, index], 0, -1) / (257.0 if bits == 16 else 1.0)
    np.testing.assert_allclose(np.asarray(colour), expected, atol=0.51)


def test_limits_come_before_decoding(make_dicom: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoder(*_: Any) -> None:
        raise AssertionError("a decoder was asked")

    monkeypatch.setattr("spinecare.io.dicom.decode_first_frame", decoder)
    data = make_dicom(np.zeros((10, 10), np.uint8), NumberOfFrames=2)
    assert code_of(data) == UnreadableCode.TOO_MANY_FRAMES
    assert code_of(data, ReadLimits(max_pixels=99)) == UnreadableCode.TOO_MANY_PIXELS
    assert code_of(data, ReadLimits(max_bytes=300)) == UnreadableCode.TOO_MANY_BYTES


def test_a_stream_bigger_than_its_tags_is_not_decoded(make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = np.zeros((600, 700), np.uint8)
    monkeypatch.setattr("spinecare.io.dicom.decode_first_frame", lambda *_: pytest.fail("decoded"))
    for kind, syntax in (("JPEG", JPEGBaseline8Bit), ("JPEG2000", JPEG2000Lossless)):
        dataset = make_dataset(np.zeros((8, 8), np.uint8))
        assert code_of(_with_frame(dataset, _encode(huge, kind), syntax)) == UnreadableCode.DAMAGED


def test_a_deflate_bomb_is_not_inflated(make_dataset: Any) -> None:
    dataset = make_dataset(np.zeros((10, 10), np.uint8))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00091010, "OB", b"\0" * 40_000_000)
    data = _bytes(dataset)
    assert len(data) < 100_000
    assert code_of(data) == UnreadableCode.TOO_MANY_BYTES


def test_files_without_a_picture_say_so(make_dataset: Any) -> None:
    dataset = make_dataset(np.zeros((10, 10), np.uint8))
    del dataset.PixelData
    assert code_of(_bytes(dataset)) == UnreadableCode.NO_PIXELS


@pytest.mark.parametrize(
    "tags",
    [
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
        {"PhotometricInterpretation": "CMYK"},
        {"SamplesPerPixel": 4},
    ],
)
def test_unknown_encodings_are_named_as_such(make_dicom: Maker, tags: dict[str, Any]) -> None:
    assert code_of(make_dicom(np.zeros((10, 10), np.uint8), **tags)) == UnreadableCode.UNSUPPORTED_ENCODING


def test_a_video_transfer_syntax_is_unsupported(make_dataset: Any) -> None:
    dataset = make_dataset(np.zeros((8, 8), np.uint8))
    mpeg4 = UID("1.2.840.10008.1.2.4.102")
    assert code_of(_with_frame(dataset, b"\0" * 64, mpeg4)) == UnreadableCode.UNSUPPORTED_ENCODING


def test_a_transfer_syntax_that_nobody_knows_is_unsupported(make_dataset: Any) -> None:
    dataset = make_dataset(np.zeros((8, 8), np.uint8))
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.113619.5.2")
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
    assert code_of(stream.getvalue()) == UnreadableCode.UNSUPPORTED_ENCODING


def test_high_throughput_jpeg_2000_is_read(make_dataset: Any) -> None:
    """Golden: 16 x 12 pixels (7 row + 11 col) mod 256, encoded without loss by OpenJPH 0.26.3."""
    frame = base64.b64decode(
        "/0//UQApQAAAAAAMAAAAEAAAAAAAAAAAAAAADAAAABAAAAAAAAAAAAABBwEB/1AACAACAAAAAv9SAAwAAgABAAUEBEAB/1wAEyBI"
        "UFBQUFBQUFBQUFBQSEhI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAGEAAf+TwCXjAId0AADAEsASgLoBB3QA/gCH"
        "dADAEkASgO0rcwC+AANUAMAVEATgMITwl+ALdQDe/cDkjLUAwCrgFUBERERE3qenp8J3AEyS/PwE9knstwD/2Q=="
    )
    rows, cols = np.mgrid[:16, :12]
    data = _with_frame(make_dataset(np.zeros((16, 12), np.uint8)), frame, UID("1.2.840.10008.1.2.4.201"))
    np.testing.assert_array_equal(read_scan_bytes(data, "ht").pixels, (7 * rows + 11 * cols) % 256)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("tags", [{"Rows": 40}, {"Columns": 90}])
def test_more_pixels_than_the_tags_say_is_damaged(make_dataset: Any, compressed: bool, tags: dict[str, int]) -> None:
    """Read on, such a file would show a picture that is cut or sheared."""
    dataset = make_dataset(np.arange(12000).reshape(120, 100).astype(np.uint16), 16)
    if compressed:
        dataset.compress(RLELossless)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    assert code_of(_bytes(dataset)) == UnreadableCode.DAMAGED


def test_padding_after_the_pixels_does_no_harm(make_dataset: Any) -> None:
    grey = np.arange(99, dtype=np.uint8).reshape(9, 11)
    dataset = make_dataset(grey)
    dataset.PixelData = grey.tobytes() + b"\0" * 5
    np.testing.assert_array_equal(read_scan_bytes(_bytes(dataset), "p").pixels, grey)


@pytest.mark.parametrize("kept", [132, 150, 200])
def test_a_file_that_breaks_off_in_its_first_tags_is_damaged(idxa: Path, kept: int) -> None:
    assert code_of((idxa / "ap_spine.dcm").read_bytes()[:kept]) == UnreadableCode.DAMAGED


@pytest.mark.parametrize("kept", [0.999, 0.7, 0.3])
def test_a_truncated_file_is_damaged(idxa: Path, kept: float) -> None:
    data = (idxa / "ap_spine.dcm").read_bytes()
    assert code_of(data[: int(len(data) * kept)]) == UnreadableCode.DAMAGED


def test_text_that_starts_like_dicom_is_no_picture() -> None:
    assert code_of(b"\0" * 128 + b"DICM" + b"hello world, this is no DICOM at all") in (
        UnreadableCode.DAMAGED,
        UnreadableCode.NOT_A_PICTURE,
        UnreadableCode.NO_PIXELS,
    )
    assert code_of(b"\x08\x00\x05\x00" + b"\0" * 200) in (
        UnreadableCode.NOT_A_PICTURE,
        UnreadableCode.NO_PIXELS,
        UnreadableCode.DAMAGED,
    )


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
def test_a_frame_that_makes_gdcm_abort_is_damaged_and_nothing_dies(
    spine_like: np.ndarray, make_dicom: Maker, recompress: Callable[[bytes, str], bytes], syntax: str
) -> None:
    whole = recompress(make_dicom(spine_like, 12), syntax)
    start = whole.index(b"\xff\x4f\xff\x51" if "2000" in syntax else b"\xff\xd8")
    generator = np.random.default_rng(1)
    codes = set()
    for _ in range(4):
        broken = bytearray(whole)
        for at in generator.integers(start + 30, start + 130, 8):
            broken[at] = generator.integers(256)
        try:
            read_scan_bytes(bytes(broken), "x.dcm")
        except ScanError as error:
            codes.add(error.code)
    assert codes == {UnreadableCode.DAMAGED}


def test_warnings_of_the_decoders_stay_inside(make_dicom: Maker, recwarn: pytest.WarningsRecorder) -> None:
    data = make_dicom(np.zeros((10, 10), np.uint8), PatientAge="very old", StudyDate="yesterday")
    recwarn.clear()
    read_dicom(data, "x")
    assert not recwarn.list


@settings(max_examples=200, deadline=None)
@given(draws=st.data())
def test_mutations_of_a_file_never_raise_anything_else(
    spine_like: np.ndarray, make_dicom: Maker, run_length: bytes, draws: st.DataObject
) -> None:
    whole = draws.draw(st.sampled_from([make_dicom(spine_like, 12, WindowCenter=5, WindowWidth=9), run_length]))
    changed = bytearray(whole)
    for _ in range(draws.draw(st.integers(0, 6))):
        changed[draws.draw(st.integers(128, min(len(whole), 1200) - 1))] = draws.draw(st.integers(0, 255))
    changed = changed[: draws.draw(st.integers(0, len(whole)) | st.just(len(whole)))]
    try:
        scan = read_scan_bytes(bytes(changed), "mutant")
    except ScanError:
        return
    assert np.isfinite(scan.pixels).all()
    assert 0.0 <= scan.grey.min() <= scan.grey.max() <= 1.0


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\0" * 128 + b"DICM", b"\x08\x00\x05\x00CS", b"\x02\x00\x10\x00UI"]),
)
def test_random_bytes_never_raise_anything_else(noise: bytes, start: bytes) -> None:
    with pytest.raises(ScanError):
        read_scan_bytes(start + noise, "noise")


@pytest.fixture(scope="module")
def run_length(spine_like: np.ndarray, make_dataset: Any) -> bytes:
    dataset = make_dataset(spine_like, 12)
    dataset.compress(RLELossless)
    return _bytes(dataset)


def _bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _encode(grey: np.ndarray, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, kind, **({"no_jp2": True} if kind == "JPEG2000" else {}), **options)
    return stream.getvalue()


def _with_frame(dataset: Dataset, frame: bytes, syntax: UID) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return _bytes(dataset)


def test_the_deflated_twin_really_is_deflated(make_dataset: Any) -> None:
    """Guards the bomb test: what pydicom writes there is raw deflate."""
    dataset = make_dataset(np.zeros((10, 10), np.uint8))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = _bytes(dataset)
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    assert b"CR" in zlib.decompress(data[start:], -zlib.MAX_WBITS)
