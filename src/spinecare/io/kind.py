"""What a file is, by its first bytes. Where two programs would disagree about that, it is nothing."""

from __future__ import annotations

from enum import StrEnum

START_BYTES = 132
"""How many bytes of a file `kind_of` wants: DICOM says its name after a preamble of 128."""


class Kind(StrEnum):
    """What a file is."""

    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    BMP = "bmp"
    ZIP = "zip"
    OTHER = "other"


_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

# First bytes that make some program open or run the file, whatever follows.
_OPENS: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"#!", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    *((bytes([magic]) + b"\xfa\xed\xfe", "a program") for magic in (0xCE, 0xCF)),
    *((b"\xfe\xed\xfa" + bytes([magic]), "a program") for magic in (0xCE, 0xCF)),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"{\\rtf", "an Office document"),
    *((magic, "an archive") for magic in _ZIP),
    (b"Rar!", "an archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"BZh", "an archive"),
    (b"\xfd7zXZ", "an archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
)


def kind_of(start: bytes) -> Kind:
    """What a file is.

    Parameters
    ----------
    start
        Its first `START_BYTES` bytes, or all of a shorter one.

    Returns
    -------
    Kind
        DICOM without a preamble has no certain mark and is `other` here; `read.read_scan_bytes` tries it.
        `other` too is DICOM with the head of another format in its preamble, but for TIFF, which the
        standard has in mind (PS3.10 7.1).
    """
    if start[128:132] == b"DICM":
        return Kind.OTHER if hidden_in_preamble(start) else Kind.DICOM
    if start[:8] == b"\x89PNG\r\n\x1a\n":
        return Kind.PNG
    if start[:3] == b"\xff\xd8\xff":
        return Kind.JPEG
    if start[:4] in _TIFF:
        return Kind.TIFF
    if _is_bmp(start):
        return Kind.BMP
    if start[:4] in _ZIP:
        return Kind.ZIP
    return Kind.OTHER


def hidden_in_preamble(start: bytes) -> str | None:
    """What the preamble of a DICOM file also makes of it ("a program", "a web page"); None for an honest one."""
    preamble = start[:128]
    for magic, what in _OPENS:
        if preamble.startswith(magic):
            return what
    if _is_bmp(start):
        return "a BMP picture"
    # A browser looks for tags behind any white space, and PDF readers for their mark within a kilobyte.
    text = preamble.lstrip(b"\xef\xbb\xbf\t\n\r\f \x00").lower()
    if text.startswith((b"<!", b"<?", b"<html", b"<head", b"<body", b"<script", b"<svg", b"<iframe")):
        return "a web page"
    return "a PDF document" if b"%PDF-" in preamble else None


def _is_bmp(start: bytes) -> bool:
    # "BM" alone starts many a text (BMD, for one): after the file's size, two reserved words are zero.
    return start[:2] == b"BM" and start[6:10] == bytes(4)
