"""Files damaged on purpose, from good ones and a seed: what disks, networks, programs and people do to scans."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

Random = np.random.Generator
PREAMBLES = (b"MZ\x90\0", b"\x7fELF\2\1\1", b"<html><script>", b"PK\3\4", b"II*\0", b"%PDF-1.7\n", b"#!/bin/sh\n")
LENGTHS = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
SIZES = (0, 1, 7, 300, 4096, 32767, 65535)


@dataclass(frozen=True)
class Source:
    """A good file: what it is called, what it is, its bytes."""

    name: str
    kind: str
    data: bytes


@dataclass(frozen=True)
class Damaged:
    """A damaged file, what was done to it, and the good one it was made from."""

    name: str
    damage: str
    data: bytes
    source: Source


def with_encodings(dicom: Sequence[bytes], pictures: Sequence[bytes]) -> list[Source]:
    """Good files in every encoding that is damaged here."""
    sources = []
    for i, data in enumerate(dicom):
        sources.append(Source(f"dicom{i}", "dicom", data))
        for name, syntax in (("explicit", ExplicitVRLittleEndian), ("deflated", DeflatedExplicitVRLittleEndian)):
            sources.append(Source(f"{name}{i}", "dicom", _rewritten(data, syntax)))
        packed = pydicom.dcmread(io.BytesIO(data))
        packed.compress(RLELossless)
        sources.append(Source(f"rle{i}", "dicom", _written(packed)))
    for i, data in enumerate(pictures):
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        sources.append(Source(f"png{i}", "png", data))
        options: dict[str, dict[str, object]] = {
            "jpeg": {"quality": 95},
            "tiff": {"compression": "tiff_deflate"},
            "bmp": {},
        }
        for kind, given in options.items():
            out = io.BytesIO()
            picture.save(out, kind, **given)
            sources.append(Source(f"{kind}{i}", kind, out.getvalue()))
    return sources


def _rewritten(data: bytes, syntax: pydicom.uid.UID) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.decompress() if dataset.file_meta.TransferSyntaxUID.is_compressed else None
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    return _written(dataset)


def _written(dataset: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def truncated(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Breaks off: anywhere, or in its last bytes."""
    return data[: int(draw.integers(0, len(data)) if draw.random() < 0.7 else len(data) - draw.integers(1, 64))]


def flipped_anywhere(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Some bits are wrong."""
    return _flip(data, draw, len(data))


def flipped_in_head(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Some bits are wrong, where formats say what follows."""
    return _flip(data, draw, min(len(data), 1500))


def _flip(data: bytes, draw: Random, end: int) -> bytes:
    changed = bytearray(data)
    for at in draw.integers(0, end, int(2 ** draw.uniform(0, 6))):
        changed[at] ^= 1 << int(draw.integers(8))
    return bytes(changed)


def zeroed(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """A block of the disk was never written."""
    changed = bytearray(data)
    at, size = int(draw.integers(len(data))), int(2 ** draw.uniform(4, 14))
    changed[at : at + size] = bytes(len(changed[at : at + size]))
    return bytes(changed)


def spliced(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Goes on as another file."""
    other = others[int(draw.integers(len(others)))]
    return data[: int(draw.integers(len(data)))] + other[int(draw.integers(len(other))) :]


def repeated(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """A piece stands in it twice, or is missing."""
    at, size = int(draw.integers(len(data))), int(2 ** draw.uniform(1, 12))
    piece = data[at : at + size]
    return data[:at] + (piece * 2 if draw.random() < 0.5 else b"") + data[at + size :]


def headed_as_another(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Begins like another format."""
    start = PREAMBLES[int(draw.integers(len(PREAMBLES)))]
    return start + data[len(start) :] if draw.random() < 0.5 else start.ljust(128, b"\0") + b"DICM" + data


def with_a_tail(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Something hangs behind it: another file, or noise."""
    return data + (others[int(draw.integers(len(others)))] if draw.random() < 0.5 else draw.bytes(5000))


def length_bomb(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """A length says far too much, or nothing: of an element, a chunk, a segment, a strip."""
    changed = bytearray(data)
    at = _a_length(data, draw)
    size = 2 if data[:2] == b"\xff\xd8" else 4
    value = LENGTHS[int(draw.integers(len(LENGTHS)))] & (256**size - 1)
    order = ">" if data[:4] in {b"\x89PNG", b"\xff\xd8\xff\xe0"} else "<"
    struct.pack_into(f"{order}{'H' if size == 2 else 'I'}", changed, at, value)
    return bytes(changed)


def _a_length(data: bytes, draw: Random) -> int:
    places = [i + 8 for i in range(132, min(len(data), 4000) - 12) if data[i : i + 1] in b"\x08\x10\x18\x20\x28\xe0"]
    if data[:4] == b"\x89PNG":
        places = [i - 4 for i in range(8, len(data) - 4) if data[i : i + 4] in {b"IHDR", b"IDAT", b"IEND"}]
    elif data[:2] == b"\xff\xd8":
        places = [
            i + 2 for i in range(min(len(data), 1000)) if data[i] == 0xFF and data[i + 1] in b"\xc0\xc4\xda\xdb\xe0"
        ]
    elif data[:4] == b"II*\0":
        at = struct.unpack_from("<I", data, 4)[0]
        places = [at + 2 + 12 * i + field for i in range(8) for field in (4, 8)]
    places = [place for place in places if place + 4 <= len(data)] or [0]
    return int(draw.choice(places))


def lied_about_size(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """The header names another size, depth or kind of pixels; its checksum is right."""
    rows, cols = (int(draw.choice(SIZES)) for _ in range(2))
    changed = bytearray(data)
    if data[:4] == b"\x89PNG":
        struct.pack_into(">IIB", changed, 16, cols, rows, int(draw.choice([1, 2, 4, 8, 16])))
        struct.pack_into(">I", changed, 29, zlib.crc32(changed[12:29]))
    elif data[:2] == b"\xff\xd8":
        struct.pack_into(">HH", changed, data.index(b"\xff\xc0") + 5, rows, cols)
    elif data[:2] == b"BM":
        struct.pack_into("<ii", changed, 18, cols, rows if draw.random() < 0.7 else -rows)
    elif data[:4] == b"II*\0":
        at = struct.unpack_from("<I", data, 4)[0] + 2 + 12 * int(draw.integers(6)) + 8
        struct.pack_into("<I", changed, at, int(draw.choice([*LENGTHS, *SIZES])))
    else:
        dataset = pydicom.dcmread(io.BytesIO(data))
        keyword = str(draw.choice(["Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel",
                                   "PixelRepresentation", "NumberOfFrames", "HighBit"]))  # fmt: skip
        setattr(dataset, keyword, int(draw.choice([*SIZES, 8, 12, 16, 24, 32])))
        return _written(dataset)
    return bytes(changed)


def swapped_tags(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Two elements of a DICOM file changed places or names; a VR, the transfer syntax or the colours are others."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    what = int(draw.integers(4))
    if what == 0:
        syntaxes = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50",
                    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.80", "1.2.3")  # fmt: skip
        old = str(dataset.file_meta.TransferSyntaxUID).encode()
        new = str(draw.choice(syntaxes)).encode()[: len(old) + len(old) % 2]
        return data.replace(old, new.ljust(len(old), b"\0"), 1)
    if what == 1:
        dataset.PhotometricInterpretation = str(draw.choice(["RGB", "YBR_FULL", "PALETTE COLOR", "MONOCHROME1", "XYZ"]))
        return _written(dataset)
    changed = bytearray(data)
    places = [
        i for i in range(132, min(len(data), 3000) - 8) if data[i + 1] == 0 and data[i] in b"\x08\x10\x18\x20\x28"
    ]
    one, two = (int(at) for at in draw.choice(places, 2)) if places else (0, 4)
    size = 4 if what == 2 else 8
    changed[one : one + size], changed[two : two + size] = data[two : two + size], data[one : one + size]
    return bytes(changed)


def noise(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """Nothing but its first bytes is left."""
    kept = int(draw.choice([0, 4, 8, 132, 200, 400]))
    return data[:kept] + draw.bytes(int(2 ** draw.uniform(3, 16)))


DAMAGES: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    truncated, flipped_anywhere, flipped_in_head, zeroed, spliced, repeated, headed_as_another, with_a_tail,
    length_bomb, lied_about_size, swapped_tags, noise,
)  # fmt: skip


def damaged_files(sources: Sequence[Source], n: int, seed: int) -> list[Damaged]:
    """`n` files, the same for the same seed: each kind of damage in turn, on sources drawn at random."""
    others = [source.data for source in sources]
    made = []
    for i in range(n):
        draw = np.random.default_rng([seed, i])
        damage = DAMAGES[i % len(DAMAGES)]
        fitting = [s for s in sources if damage is not swapped_tags or s.kind == "dicom"]
        source = fitting[int(draw.integers(len(fitting)))]
        made.append(Damaged(f"{i:04d}-{source.name}", damage.__name__, damage(source.data, draw, others), source))
    return made
