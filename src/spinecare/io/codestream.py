"""The size that a compressed frame says it has, read from its own header.

A file can claim a small picture in its tags and carry a huge one in its JPEG or JPEG 2000 stream; a decoder
believes the stream. So both are compared before anything is decoded.
"""

from __future__ import annotations

import struct
from itertools import pairwise

_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})


def frame_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, cols) of a JPEG, JPEG-LS or JPEG 2000 codestream; None when it has no readable header.

    Sources: ITU-T T.81 B.2.2 (SOF), T.87 C.2.2 (SOF55), T.800 A.5.1 (SIZ).
    """
    if stream[:2] == b"\xff\xd8":
        return _jpeg(stream)
    start = stream.find(b"\xff\x4f\xff\x51", 0, 4096)  # a JP2 box may stand before the codestream
    if start < 0 or len(stream) < start + 24:
        return None
    x1, y1, x0, y0 = struct.unpack_from(">4I", stream, start + 8)
    return y1 - y0, x1 - x0


def rle_segment_sizes(frame: bytes, enough: int) -> list[int]:
    """Decoded bytes of each segment of a DICOM RLE frame (PS3.5 G.3 to G.5), counted without decoding.

    Counting a segment ends at `enough` bytes, so that a few bytes that claim a huge run cost nothing.

    Raises
    ------
    struct.error, IndexError
        When the frame has no whole header.
    """
    count, *offsets = struct.unpack_from("<16I", frame)
    offsets = [*offsets[:count], len(frame)]
    return [_packed_bits(frame, start, end, enough) for start, end in pairwise(offsets)]


def _packed_bits(frame: bytes, at: int, end: int, enough: int) -> int:
    size = 0
    end = min(end, len(frame))
    while at < end and size < enough:
        control = frame[at]
        if control < 128:
            size += min(control + 1, end - at - 1)
            at += control + 2
        else:
            # 128 says nothing; above it one byte is repeated.
            size += 257 - control if control > 128 and at + 1 < end else 0
            at += 2 if control > 128 else 1
    return size


def _jpeg(stream: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, cols = struct.unpack_from(">2H", stream, at + 5)
            return rows, cols
        else:
            at += 2 + struct.unpack_from(">H", stream, at + 2)[0]
    return None
