"""PNG, JPEG, TIFF and BMP files to scans."""

from __future__ import annotations

import hashlib
import io
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.colour import split_colour
from spinecare.io.jpeg import check_jpeg
from spinecare.io.kind import START_BYTES, Kind, kind_of
from spinecare.io.limits import USUAL, check_bytes, check_frames, check_pixels, damaged
from spinecare.scan import Float32, Patient, Scan, Source, UInt8
from spinecare.settings import ReadLimits

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {Kind.PNG: "PNG", Kind.JPEG: "JPEG", Kind.TIFF: "TIFF", Kind.BMP: "BMP"}
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "TIFF": "image/tiff", "BMP": "image/bmp"}

_CHUNK = 1024 * 1024
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT, _TIFF_PHOTOMETRIC = 322, 323, 262
_TIFF_COMPRESSION, _DEFLATE = 259, (8, 32946)
_TIFF_STRIPS = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles
_EXIF_ORIENTATION = 0x0112


def picture_format(data: bytes) -> str | None:
    """The format by its first bytes: a key of `MEDIA_TYPES`, or None."""
    return FORMATS.get(kind_of(data[:START_BYTES]))


def read_picture(data: bytes, name: str, limits: ReadLimits = USUAL, path: str | None = None) -> Scan:
    """Read a PNG, JPEG, TIFF or BMP picture.

    Parameters
    ----------
    data
        The whole file.
    name
        What to call the file in messages.
    limits
        Bytes, pixels and frames, checked against the header before decoding.
    path
        Where the file came from, kept in `Scan.source`.

    Returns
    -------
    Scan
        `display` grey levels: `white` is 255, or for 16-bit grey the largest value of the picture, because
        such a file does not say how many of its 16 bits are used. Transparency is laid on black, the EXIF
        orientation is applied; `colour` is None when the channels are equal everywhere. The patient's key
        is from the file's hash.

    Raises
    ------
    ScanError
        For anything that is not one readable picture.
    """
    check_bytes(len(data), name, limits)
    kind = picture_format(data)
    if kind is None:
        raise ScanError(
            UnreadableCode.NOT_A_PICTURE,
            f"The file {name} is not a PNG, JPEG, TIFF or BMP picture.",
            "Send the scan as DICOM, PNG, JPEG, TIFF or BMP.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels, white, colour = _decode(data, kind, name, limits)
        except ScanError:
            raise
        except Exception as error:
            raise damaged(name, f"its {kind} data break off or cannot be decoded") from error
    sha256 = hashlib.sha256(data).hexdigest()
    return Scan(
        pixels=pixels,
        white=white,
        source=Source(name=name, sha256=sha256, media_type=MEDIA_TYPES[kind], path=path),
        patient=Patient(key=sha256[:12]),
        colour=colour,
    )


def _decode(data: bytes, kind: str, name: str, limits: ReadLimits) -> tuple[Float32, float, UInt8 | None]:
    from PIL import Image

    try:
        opened = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        # Pillow's own limit; ours says it in a sentence.
        raise ScanError(
            UnreadableCode.TOO_MANY_PIXELS,
            f"The picture in {name} has too many pixels; at most {limits.max_pixels:,} are read.",
            "Send the scan in the size in which the scanner exported it.",
        ) from error
    with opened:
        _check_header(opened, name, limits)
        if kind == "JPEG":
            check_jpeg(data, opened.height, opened.width, name, limits)
        elif kind == "TIFF":
            _check_strips(data, opened, name)
        elif kind == "BMP" and int.from_bytes(data[2:6], "little") not in (0, len(data)):
            raise damaged(name, "it is longer or shorter than it says")
        opened.load()
        image = _upright(opened)
        if image.mode.startswith("I;16") or image.mode == "I":
            return _sixteen_bits(image, name, _white_is_zero(opened))
        if image.mode == "F":
            raise _unsupported(name, "floating-point grey values")
        pixels, colour = split_colour(_rgb(image, name))
        return pixels, 255.0, colour


def _check_header(image: Image, name: str, limits: ReadLimits) -> None:
    """Pixels and frames, without decoding any."""
    check_pixels(image.height, image.width, name, limits)
    if image.format == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        tile = (tags.get(_TIFF_TILE_HEIGHT, 1), tags.get(_TIFF_TILE_WIDTH, 1))
        check_pixels(int(tile[0]), int(tile[1]), name, limits)
        # Counting all frames of a TIFF would follow a chain that can be millions long.
        try:
            image.seek(limits.max_frames)
        except EOFError:
            image.seek(0)
        else:
            check_frames(limits.max_frames + 1, name, limits, at_least=True)
    elif image.format != "MPO":
        # In a phone's JPEG (MPO) the other pictures are previews and depth maps of the first.
        check_frames(int(getattr(image, "n_frames", 1)), name, limits)


def _check_strips(data: bytes, image: Image, name: str) -> None:
    """A deflated strip ends with a checksum, which libtiff does not look at."""
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_COMPRESSION) not in _DEFLATE:
        return
    for offsets, counts in _TIFF_STRIPS:
        for at, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False):
            inflater, strip = zlib.decompressobj(), data[at : at + count]
            try:
                while strip and not inflater.eof:
                    inflater.decompress(strip, _CHUNK)
                    strip = inflater.unconsumed_tail
            except zlib.error as error:
                raise damaged(name, "its compressed pixels are not what they were") from error
            if not inflater.eof:
                raise damaged(name, "its compressed pixels break off")


def _upright(image: Image) -> Image:
    """Apply the EXIF orientation; broken EXIF says nothing."""
    from PIL import ImageOps

    try:
        if image.getexif().get(_EXIF_ORIENTATION, 1) == 1:
            return image
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _white_is_zero(image: Image) -> bool:
    """True for a TIFF whose zero is white; Pillow turns those over only up to 8 bits."""
    tags: Any = getattr(image, "tag_v2", {})
    return image.format == "TIFF" and tags.get(_TIFF_PHOTOMETRIC) == 0


def _sixteen_bits(image: Image, name: str, white_is_zero: bool) -> tuple[Float32, float, None]:
    """Grey levels of a picture with more than 8 bits, 0 ... its largest value."""
    values = np.asarray(image).astype(np.float32)
    if values.min() < 0 or values.max() > 65535:
        raise _unsupported(name, "more than 16 bits a pixel")
    white = max(float(values.max()), 1.0)
    return (white - values if white_is_zero else values), white, None


def _rgb(image: Image, name: str) -> UInt8:
    """Any 8-bit mode to RGB, transparency laid on black."""
    try:
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            rgba = np.asarray(image.convert("RGBA"), dtype=np.float32)
            return np.rint(rgba[..., :3] * (rgba[..., 3:] / 255.0)).astype(np.uint8)
        return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except ValueError as error:
        raise _unsupported(name, f"colour mode {image.mode}") from error


def _unsupported(name: str, what: str) -> ScanError:
    return ScanError(
        UnreadableCode.UNSUPPORTED_ENCODING,
        f"The picture {name} is stored in a way that is not supported: {what}.",
        "Save it as 8-bit or 16-bit PNG.",
    )
