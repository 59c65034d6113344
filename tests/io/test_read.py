"""What a file is, its contents say."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.read import read_scan, read_scan_bytes


def error_of(data: bytes) -> ScanError:
    with pytest.raises(ScanError) as caught:
        read_scan_bytes(data, "upload")
    return caught.value


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_the_name_of_a_file_does_not_matter(tmp_path: Path, idxa: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(png())
    assert read_scan(tmp_path / "a.dcm").source.media_type == "image/png"
    (tmp_path / "b.png").write_bytes((idxa / "ap_spine.dcm").read_bytes())
    scan = read_scan(str(tmp_path / "b.png"))
    assert scan.source.media_type == "application/dicom"
    assert scan.source.name == "b.png"
    assert scan.source.path == str(tmp_path / "b.png")


def test_dicom_with_the_header_of_a_tiff_in_its_preamble_is_dicom(
    make_dicom: Callable[..., bytes], spine_like: np.ndarray
) -> None:
    data = b"II*\0" + make_dicom(spine_like, 12)[4:]
    assert read_scan_bytes(data, "x").source.media_type == "application/dicom"


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (b"", UnreadableCode.EMPTY_FILE, "empty"),
        (b"A plain letter\n" * 20, UnreadableCode.NOT_A_PICTURE, "text"),
        (b"BMD of the spine: 1.02 g/cm2, as measured", UnreadableCode.NOT_A_PICTURE, "text"),
        (b"%PDF-1.7 ...", UnreadableCode.UNSUPPORTED_ENCODING, "PDF"),
        (b"GIF89a" + b"\0" * 50, UnreadableCode.UNSUPPORTED_ENCODING, "GIF"),
        (b"PK\x03\x04" + b"\0" * 50, UnreadableCode.NOT_A_PICTURE, "ZIP"),
        (bytes(range(256)), UnreadableCode.NOT_A_PICTURE, "neither"),
        (b"\x00" * 5000, UnreadableCode.NOT_A_PICTURE, "neither"),
    ],
)
def test_other_files_are_called_by_their_name(data: bytes, code: UnreadableCode, word: str) -> None:
    error = error_of(data)
    assert error.code == code
    assert word in error.reason


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path, code in (
        (tmp_path / "none.dcm", UnreadableCode.NOT_FOUND),
        (tmp_path, UnreadableCode.NOT_A_PICTURE),
        (Path("a\0b"), UnreadableCode.NOT_FOUND),
        (tmp_path / ("n" * 5000), UnreadableCode.NOT_FOUND),
    ):
        with pytest.raises(ScanError) as caught:
            read_scan(path)
        assert caught.value.code == code


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ScanError):
        read_scan(tmp_path / "pipe")


def test_a_big_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.dcm"
    with path.open("wb") as stream:
        stream.truncate(40 * 2**20)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("opened"))
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    assert caught.value.code == UnreadableCode.TOO_MANY_BYTES
