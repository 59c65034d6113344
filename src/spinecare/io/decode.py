"""Stored values of the first frame of a DICOM file, whatever its transfer syntax.

Uncompressed and RLE pixels are decoded by pydicom, JPEG and JPEG 2000 by Pillow, both in this process. What
only gdcm can do (lossless JPEG, JPEG-LS, some JPEG 2000) is done in a process of its own: see `isolated.py`.
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
from spinecare.io.codestream import frame_size
from spinecare.io.limits import damaged

if TYPE_CHECKING:
    from pydicom import Dataset

GDCM_SECONDS = 60.0
"""Longest time for a frame in gdcm; a scan takes milliseconds there."""


def check_codestream(dataset: Dataset, name: str) -> None:
    """Raise `ScanError` when a compressed frame is not as big as the tags say.

    A decoder believes the frame, and the limits have been checked on the tags.
    """
    from pydicom.encaps import generate_frames
    from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in JPEGTransferSyntaxes + JPEGLSTransferSyntaxes + JPEG2000TransferSyntaxes:
        return
    rows, cols = int(dataset.Rows), int(dataset.Columns)
    size = frame_size(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    if size is None:
        raise damaged(name, "its compressed picture has no readable header")
    if size != (rows, cols):
        raise damaged(name, f"it says {rows} x {cols} pixels, its compressed picture {size[0]} x {size[1]}")


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
    # Only native pixels need no plugin; gdcm is never asked in this process.
    plugins = [p for p in ("pydicom", "pillow") if p in decoder.available_plugins]
    for plugin in plugins if syntax.is_encapsulated else [""]:
        try:
            # `raw=False` turns every YBR into RGB.
            values, _ = decoder.as_array(dataset, index=0, raw=False, decoding_plugin=plugin)
            return np.asarray(values)
        except Exception as error:
            if "gdcm" not in decoder.available_plugins:
                raise damaged(name, "its picture breaks off or cannot be decoded") from error
    if "gdcm" not in decoder.available_plugins:
        raise unsupported(name, f"transfer syntax {syntax.name}")
    return _decode_in_gdcm(data, name)


def unsupported(name: str, what: str) -> ScanError:
    """The error for an encoding that this program does not read."""
    return ScanError(
        UnreadableCode.UNSUPPORTED_ENCODING,
        f"The file {name} stores its picture in a way that is not supported: {what}.",
        "Export it as uncompressed DICOM or as PNG.",
    )


def _decode_in_gdcm(data: bytes, name: str) -> npt.NDArray[Any]:
    # -P: this folder holds an `io` package's modules and must not shadow anybody's.
    command = [sys.executable, "-P", str(Path(__file__).with_name("isolated.py"))]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=GDCM_SECONDS, check=True)
        return np.asarray(np.load(io.BytesIO(done.stdout), allow_pickle=False))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise damaged(name, "its picture breaks off or cannot be decoded") from error
