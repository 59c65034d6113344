"""DICOM files to scans. What the tags mean stands in `tags.py`, how values become grey in `greyscale.py`."""

from __future__ import annotations

import hashlib
import io
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.colour import split_colour
from spinecare.io.decode import check_size, decode_first_frame, unsupported
from spinecare.io.greyscale import display_grey
from spinecare.io.limits import USUAL, check_bytes, check_frames, check_pixels, damaged, too_costly
from spinecare.io.tags import read_acquired, read_device, read_patient, read_spacing
from spinecare.io.view import read_view, read_view_tags
from spinecare.scan import Scan, Source
from spinecare.settings import ReadLimits

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

COLOUR_SPACES = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR"})
MAX_ELEMENTS, MAX_ITEMS = 20_000, 20_000
"""In one file; a scan has about a hundred elements."""
_PIXELS, _UNDEFINED = 0x7FE00010, 0xFFFFFFFF
_BEHIND_PIXELS = (0xFFFAFFFA, 0xFFFCFFFC)
GREY_SPACES = frozenset({"MONOCHROME1", "MONOCHROME2"})


def looks_like_dicom(data: bytes) -> bool:
    """True for the DICOM prefix after a preamble, and for a data set that starts right away.

    Without a preamble the first element must be of group 2 or 8 (little or big endian) and, where its value
    representation is written out, that must be two capital letters. `read_dicom` then decides.
    """
    if data[128:132] == b"DICM" or data[:4] == b"DICM":
        return True
    if len(data) < 12 or data[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    implicit = int.from_bytes(data[4:8], "little") <= len(data)
    return implicit or (data[4:6].isalpha() and data[4:6].isupper())


def read_dicom(data: bytes, name: str, limits: ReadLimits = USUAL, path: str | None = None) -> Scan:
    """Read a DICOM file with one picture.

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
        `display` grey levels; see `greyscale.display_grey` for their scale. Colour files have `white` 255.

    Raises
    ------
    ScanError
        For anything that is not one readable picture.
    """
    check_bytes(len(data), name, limits)
    # Decoders warn about files that they nevertheless read; a clinic can do nothing with that.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _read(data, name, limits, path)
        except ScanError:
            raise
        except Exception as error:
            raise damaged(name, "its contents contradict each other or break off") from error


def _read(data: bytes, name: str, limits: ReadLimits, path: str | None) -> Scan:
    dataset = open_dicom(data, name, limits)
    stored = decode_first_frame(dataset, data, name)
    colour = None
    if str(dataset.PhotometricInterpretation) in GREY_SPACES:
        pixels, white = display_grey(stored, dataset)
    else:
        (pixels, colour), white = split_colour(_as_rgb(stored, dataset)), 255.0
    sha256 = hashlib.sha256(data).hexdigest()
    spacing_mm, spacing_source = read_spacing(dataset)
    return Scan(
        pixels=pixels,
        white=white,
        source=Source(
            name=name,
            sha256=sha256,
            media_type="application/dicom",
            path=path,
            sop_instance_uid=_text(dataset, "SOPInstanceUID"),
            study_instance_uid=_text(dataset, "StudyInstanceUID"),
        ),
        patient=read_patient(dataset, fallback_key=sha256[:12]),
        colour=colour,
        spacing_mm=spacing_mm,
        spacing_source=spacing_source,
        view=read_view(dataset),
        view_tags=read_view_tags(dataset),
        device=read_device(dataset),
        acquired=read_acquired(dataset),
    )


def open_dicom(data: bytes, name: str, limits: ReadLimits = USUAL) -> Dataset:
    """The data set of a file with one picture that can be decoded; nothing is decoded yet.

    Raises
    ------
    ScanError
        When it is none, or is over the limits.
    """
    dataset = _parse(data, name, limits)
    _check_header(dataset, name, limits)
    return dataset


def _parse(data: bytes, name: str, limits: ReadLimits) -> Dataset:
    """The data set, with a transfer syntax; pixels are not decoded yet."""
    from pydicom.filereader import read_partial
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        inflated = _inflated(data, name, limits)
        _check_items(inflated, name)
        dataset = read_partial(io.BytesIO(data), stop_when=_Watch(name), force=True)
        _check_end(dataset, inflated, name)
        # Values are looked at, sequences are not: what they hold says nothing of the picture.
        keywords = {dataset[tag].keyword for tag in list(dataset.keys()) if not _is_sequence(dataset, tag)}
    except ScanError:
        raise
    except Exception as error:
        raise damaged(name, "it starts like DICOM, but cannot be read to its end") from error
    if not keywords:
        if data[128:132] == b"DICM":
            raise damaged(name, "it starts like DICOM, but breaks off or holds nothing that can be read")
        raise _not_dicom(name)
    if "TransferSyntaxUID" not in dataset.file_meta:
        if not keywords & {"Rows", "SOPClassUID", "PatientID", "StudyInstanceUID"}:
            raise _not_dicom(name)
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _is_sequence(dataset: Dataset, tag: BaseTag) -> bool:
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    written = dataset.get_item(tag).VR
    return (written or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")) == "SQ"


class _Watch:
    """Asked by pydicom before each element of the data set: does reading end here?

    Behind the pixels only padding and signatures may come (PS3.3, PS3.10 7.2): anything else means that pixels were
    lost or added, as by one wrong bit in a deflated file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.elements = 0
        self.behind_pixels = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise too_costly(self.name, f"it holds more than {MAX_ELEMENTS:,} elements")
        if self.behind_pixels and tag == 0:
            return True  # the file was filled up with zeros
        if self.behind_pixels and tag not in _BEHIND_PIXELS:
            raise damaged(self.name, "behind its picture stands what does not belong there")
        self.behind_pixels |= tag == _PIXELS
        return False


def _inflated(data: bytes, name: str, limits: ReadLimits) -> bytes:
    """The file, inflated where its transfer syntax says so, but never further than the limit."""
    # pydicom has no public reader that stops before inflating.
    from pydicom.filereader import _read_file_meta_info, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    stream = io.BytesIO(data)
    read_preamble(stream, force=True)
    if _read_file_meta_info(stream).get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data[stream.tell() :], limits.max_bytes + 1)
    if len(inflated) > limits.max_bytes:
        raise ScanError(
            UnreadableCode.TOO_MANY_BYTES,
            f"The file {name} unpacks to more than {limits.max_bytes // 2**20} MB.",
            "Send a single scan as one picture.",
        )
    if not inflater.eof:
        raise damaged(name, "it breaks off")
    return inflated


def _check_end(dataset: Dataset, inflated: bytes, name: str) -> None:
    """Native pixels end with the file or before a whole element (`_Watch`): a few bytes more mean shifted rows."""
    raw = dataset.get_item(_PIXELS) if _PIXELS in dataset else None
    if raw is None or raw.length == _UNDEFINED:
        return
    end = raw.value_tell + raw.length
    if max(dataset.keys()) == _PIXELS and any(inflated[end : end + 8]):
        raise damaged(name, "behind its picture stands what does not belong there")


def _check_items(data: bytes, name: str) -> None:
    """Items of sequences and fragments of pixels are nested and chained at almost no cost to who writes them."""
    if max(data.count(b"\xfe\xff\x00\xe0"), data.count(b"\xff\xfe\xe0\x00")) > MAX_ITEMS:
        raise too_costly(name, f"it holds more than {MAX_ITEMS:,} items")


def _check_header(dataset: Dataset, name: str, limits: ReadLimits) -> None:
    """Everything that must be right before a decoder sees the pixels."""
    if "PixelData" not in dataset or not dataset.get("Rows") or not dataset.get("Columns"):
        what = "is a DICOM directory" if "DirectoryRecordSequence" in dataset else "is DICOM, but holds no picture"
        raise ScanError(
            UnreadableCode.NO_PIXELS,
            f"The file {name} {what}.",
            "Send the file of the spine image itself, not a report or a directory.",
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:
        raise unsupported(name, f"transfer syntax {syntax or 'not given'}")
    rows, cols = int(dataset.Rows), int(dataset.Columns)
    check_pixels(rows, cols, name, limits)
    check_frames(int(dataset.get("NumberOfFrames") or 1), name, limits)
    space = str(dataset.get("PhotometricInterpretation") or "")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated, stored = int(dataset.get("BitsAllocated") or 0), int(dataset.get("BitsStored") or 0)
    right_samples = samples == (1 if space in GREY_SPACES or space == "PALETTE COLOR" else 3)
    if space not in GREY_SPACES | COLOUR_SPACES or not right_samples:
        raise unsupported(name, f"colour space {space or 'not given'} with {samples} samples a pixel")
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise unsupported(name, f"{stored} bits stored in {allocated}")
    check_size(dataset, name, limits)


def _as_rgb(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Colour values to 8 bits."""
    if str(dataset.PhotometricInterpretation) == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        rgb = apply_color_lut(stored, dataset)[..., :3]
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
        # An 8-bit palette may stand in 16-bit entries.
        bits = 8 * rgb.dtype.itemsize if rgb.max(initial=0) >= 2**bits else bits
    else:
        rgb, bits = stored, int(dataset.BitsStored)
    if bits == 8:
        return np.asarray(rgb, dtype=np.uint8)
    scaled = np.rint(rgb.astype(np.float32) * (255.0 / (2**bits - 1)))
    return np.asarray(scaled.clip(0, 255), dtype=np.uint8)


def _text(dataset: Dataset, keyword: str) -> str | None:
    return str(dataset.get(keyword) or "").strip() or None


def _not_dicom(name: str) -> ScanError:
    return ScanError(
        UnreadableCode.NOT_A_PICTURE,
        f"The file {name} is neither a DICOM file nor a picture.",
        "Send the scan as DICOM, PNG, JPEG, TIFF or BMP.",
    )
