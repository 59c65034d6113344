"""Stored values of the first frame of a DICOM file, whatever its transfer syntax.

Uncompressed and RLE pixels are decoded by pydicom, JPEG and JPEG 2000 by Pillow, both in this process. What
only gdcm or pylibjpeg can do (lossless JPEG, JPEG-LS, HTJ2K, some JPEG 2000) is done in a process of its own:
see `isolated.py`.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.codestream import frame_size, rle_segment_sizes
from spinecare.io.jpeg import check_jpeg
from spinecare.io.limits import damaged
from spinecare.settings import ReadLimits

if TYPE_CHECKING:
    from pydicom import Dataset

APART_SECONDS = 60.0
"""Longest time for a frame in a process of its own; a scan takes milliseconds there."""


def check_size(dataset: Dataset, name: str, limits: ReadLimits) -> None:
    """Raise `ScanError` when the pixels are not as many as the tags say, or take too long to decode.

    A decoder believes the frame, and the limits have been checked on the tags. Native and RLE pixels beyond the
    last row would be dropped without a word: a picture that is cut or sheared. Too few are found by the decoder.
    """
    from pydicom.encaps import generate_frames
    from pydicom.uid import (
        JPEG2000TransferSyntaxes,
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLSTransferSyntaxes,
        JPEGTransferSyntaxes,
        RLELossless,
    )

    syntax = dataset.file_meta.TransferSyntaxUID
    rows, cols = int(dataset.Rows), int(dataset.Columns)
    if not syntax.is_encapsulated:
        # YBR_FULL_422 has two Y, one CB and one CR for each two pixels (PS3.3 C.7.6.3.1.2).
        half = str(dataset.PhotometricInterpretation) == "YBR_FULL_422"
        samples = 2 if half else int(dataset.get("SamplesPerPixel") or 1)
        row_bytes = cols * samples * int(dataset.BitsAllocated) // 8
        _check_rows(len(dataset.PixelData), row_bytes, rows, name)
        return
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if syntax == RLELossless:
        # A run that is damaged is longer or shorter: the rows behind it would be shifted.
        for size in rle_segment_sizes(frame, (rows + 1) * cols):
            if not 0 <= size - rows * cols <= 1:
                raise damaged(name, f"it says {rows} rows of pixels, but holds more or fewer")
        return
    if syntax not in JPEGTransferSyntaxes + JPEGLSTransferSyntaxes + JPEG2000TransferSyntaxes:
        return
    claimed = frame_size(frame)
    if claimed is None:
        raise damaged(name, "its compressed picture has no readable header")
    if claimed != (rows, cols):
        raise damaged(name, f"it says {rows} x {cols} pixels, its compressed picture {claimed[0]} x {claimed[1]}")
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        check_jpeg(frame, rows, cols, name, limits)


def _check_rows(size: int, row_bytes: int, rows: int, name: str) -> None:
    # Padding is shorter than a row.
    if size >= (rows + 1) * row_bytes:
        raise damaged(name, f"it says {rows} rows of pixels, but holds more")


def decode_first_frame(dataset: Dataset, data: bytes, name: str) -> npt.NDArray[Any]:
    """Decode the first frame.

    Parameters
    ----------
    dataset
        The parsed file, with a transfer syntax in its file meta information.
    data
        The same file as bytes.
    name
        What to call the file in messages.

    Returns
    -------
    numpy.ndarray
        Stored values (rows, cols), or RGB (rows, cols, 3): YBR is converted.

    Raises
    ------
    ScanError
        `unsupported_encoding` when there is no decoder, `damaged` when it fails.
    """
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise unsupported(name, f"transfer syntax {syntax.name}") from error
    # Only native pixels need no plugin; gdcm and pylibjpeg are never asked in this process.
    plugins = [p for p in ("pydicom", "pillow") if p in decoder.available_plugins]
    apart = [p for p in ("gdcm", "pylibjpeg") if p in decoder.available_plugins]
    for plugin in plugins if syntax.is_encapsulated else [""]:
        try:
            # `raw=False` turns every YBR into RGB.
            values, _ = decoder.as_array(dataset, index=0, raw=False, decoding_plugin=plugin)
            return np.asarray(values)
        except Exception as error:
            if not apart:
                raise damaged(name, "its picture breaks off or cannot be decoded") from error
    if not apart:
        raise unsupported(name, f"transfer syntax {syntax.name}")
    return _decode_apart(data, apart[0], name)


def unsupported(name: str, what: str) -> ScanError:
    """The error for an encoding that this program does not read."""
    return ScanError(
        UnreadableCode.UNSUPPORTED_ENCODING,
        f"The file {name} stores its picture in a way that is not supported: {what}.",
        "Export it as uncompressed DICOM or as PNG.",
    )


def _decode_apart(data: bytes, plugin: str, name: str) -> npt.NDArray[Any]:
    # -P: this folder holds an `io` package's modules and must not shadow anybody's.
    command = [sys.executable, "-P", str(Path(__file__).with_name("isolated.py")), plugin]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=APART_SECONDS, check=True)
        return np.asarray(np.load(io.BytesIO(done.stdout), allow_pickle=False))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise damaged(name, "its picture breaks off or cannot be decoded") from error
