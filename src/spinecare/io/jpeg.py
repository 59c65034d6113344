"""JPEG pictures before they are decoded: what they cost, and whether they are whole.

A JPEG has no checksum. Where bits are wrong, Pillow shows torn and shifted rows without a word, in which a network
still sees a spine. libjpeg notices most of that, but Pillow does not pass its warnings on; simplejpeg does.
"""

from __future__ import annotations

from spinecare.io.limits import damaged, too_costly
from spinecare.settings import ReadLimits

PASSES = 10
"""A progressive JPEG of the most pixels may have so many scans, a smaller one more in proportion."""


def check_jpeg(stream: bytes, rows: int, cols: int, name: str, limits: ReadLimits) -> None:
    """Raise `ScanError` for a JPEG that is damaged, cannot hold its pixels, or would be decoded over and over.

    Each block of 8 x 8 costs a bit at least (ITU-T T.81 F.1.2, G.1.2), and a decoder fills what is missing with grey.
    A progressive one sends every pixel in some ten scans; nothing but time limits their number.
    """
    import simplejpeg

    if 8 * len(stream) < (rows // 8) * (cols // 8):
        raise damaged(name, f"it says {rows} x {cols} pixels, but is far too short for that")
    scans = stream.count(b"\xff\xda")  # an entropy-coded 0xFF is followed by 0x00
    if scans * rows * cols > PASSES * limits.max_pixels:
        raise too_costly(name, f"its picture is sent in {scans} passes")
    try:
        *_, colours, _ = simplejpeg.decode_jpeg_header(stream, strict=True)
        simplejpeg.decode_jpeg(stream, "RGB" if colours in {"CMYK", "YCCK"} else "GRAY", fastdct=True, strict=True)
    except ValueError as error:
        raise damaged(name, "its JPEG data are torn or break off") from error
