"""The one door for files: what a file is, its contents say, never its name."""

from __future__ import annotations

from pathlib import Path

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.dicom import looks_like_dicom, read_dicom
from spinecare.io.kind import START_BYTES, Kind, hidden_in_preamble, kind_of
from spinecare.io.limits import USUAL, check_bytes
from spinecare.io.picture import FORMATS, read_picture
from spinecare.scan import Scan
from spinecare.settings import ReadLimits

# What people send by mistake: (offset, first bytes, what it is, whether it could be saved as a picture).
_KNOWN: tuple[tuple[int, bytes, str, bool], ...] = (
    (0, b"%PDF", "a PDF document", True),
    (0, b"GIF8", "a GIF picture", True),
    (8, b"WEBP", "a WebP picture", True),
    (4, b"ftyphei", "a HEIC picture", True),
    (4, b"ftypmif", "a HEIF picture", True),
    (4, b"ftypavif", "an AVIF picture", True),
    (4, b"jP  ", "a JPEG 2000 picture", True),
    (0, b"8BPS", "a Photoshop picture", True),
    (4, b"ftyp", "a video", False),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document", False),
    (0, b"\x1f\x8b", "a gzip archive", False),
    (0, b"\xd0\xcf\x11\xe0", "an Office document", False),
    (0, b"MZ", "a program", False),
    (0, b"\x7fELF", "a program", False),
)


def read_scan(path: str | Path, limits: ReadLimits = USUAL) -> Scan:
    """Read a DICOM file or a picture.

    Raises
    ------
    ScanError
        When there is no such file, or it is not one readable picture within the limits.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise ScanError(
                UnreadableCode.NOT_FOUND,
                f"There is no file {path}.",
                "Check the name and the folder of the file.",
            )
        if not path.is_file():
            raise ScanError(
                UnreadableCode.NOT_A_PICTURE,
                f"{path} is not a file.",
                "Give the name of a file, not of a folder.",
            )
        check_bytes(path.stat().st_size, path.name, limits)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ScanError(
            UnreadableCode.NOT_FOUND,
            f"The file {path} cannot be opened.",
            "Check that you may read this file.",
        ) from error
    return _read(data, path.name, limits, str(path))


def read_scan_bytes(data: bytes, name: str, limits: ReadLimits = USUAL) -> Scan:
    """Read a DICOM file or a picture that is in memory; `name` is what to call it. Raises `ScanError`."""
    return _read(data, name, limits, None)


def _read(data: bytes, name: str, limits: ReadLimits, path: str | None) -> Scan:
    check_bytes(len(data), name, limits)
    start = data[:START_BYTES]
    kind = kind_of(start)
    if kind in FORMATS:
        return read_picture(data, name, limits, path)
    if start[128:] == b"DICM" and kind != Kind.DICOM:
        raise ScanError(
            UnreadableCode.NOT_A_PICTURE,
            f"The file {name} is DICOM and {hidden_in_preamble(start)} at once.",
            "Export the scan again from the scanner or the archive.",
        )
    if kind == Kind.DICOM or looks_like_dicom(data):
        return read_dicom(data, name, limits, path)
    raise _not_a_picture(data, name)


def _not_a_picture(data: bytes, name: str) -> ScanError:
    for offset, magic, what, is_picture in _KNOWN:
        if data[offset : offset + len(magic)] == magic:
            code = UnreadableCode.UNSUPPORTED_ENCODING if is_picture else UnreadableCode.NOT_A_PICTURE
            return ScanError(code, f"The file {name} is {what}.", "Send the scan as DICOM, PNG, JPEG, TIFF or BMP.")
    text = "a text file" if _is_text(data[:4096]) else "neither a DICOM file nor a picture"
    return ScanError(
        UnreadableCode.NOT_A_PICTURE,
        f"The file {name} is {text}.",
        "Send the scan as DICOM, PNG, JPEG, TIFF or BMP.",
    )


def _is_text(start: bytes) -> bool:
    return b"\x00" not in start and all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
