"""From stored values to grey levels: the DICOM greyscale display pipeline.

The order is that of PS3.3 C.11: stored values -> modality LUT or rescale (C.11.1) -> VOI LUT or
window (C.11.2) -> polarity (MONOCHROME1, C.7.6.3.1.2). The window of a MONOCHROME1 file is meant for
the values before the inversion, so polarity comes last. Presentation LUT Shape is not applied: in image
objects it repeats what the photometric interpretation says, and applying both would invert twice.

The functions agree with `pydicom.pixels.apply_modality_lut` and `apply_voi_lut` (tests compare them),
but always end in 0 ... `white`, also for a negative rescale slope, and never overflow an 8-bit LUT.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinecare.scan import Float32

if TYPE_CHECKING:
    from pydicom import Dataset

FULL_RANGE_BITS = 8
"""Up to this depth a file without a window is shown over its whole range; deeper over the range it uses."""


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table: `entries` (n,), the input value of the first one, and the bits of an entry."""

    entries: npt.NDArray[np.float32]
    first: int
    bits: int

    def look_up(self, values: npt.NDArray[Any]) -> Float32:
        """The entries for `values` (any shape); those outside the table take its first or last entry."""
        index = np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[index], dtype=np.float32)


def display_grey(stored: npt.NDArray[Any], dataset: Dataset) -> tuple[Float32, float]:
    """Stored values of a MONOCHROME file to grey levels.

    Parameters
    ----------
    stored
        Integers (rows, cols) as the decoder gives them.
    dataset
        The DICOM dataset with the LUTs, the window and the photometric interpretation.

    Returns
    -------
    tuple
        float32 (rows, cols) in 0 ... white (0 black), and `white`. With a VOI LUT `white` is its largest
        possible entry, with a window 2**BitsStored - 1. Without either it is the width of the range shown:
        the whole range of the modality values up to 8 bits (so an 8-bit file keeps its values), and beyond
        that the range that the picture uses, padding aside, as 12 bits in a 16-bit file would be black.
    """
    if stored.dtype == np.uint8 and int(dataset.BitsStored) <= FULL_RANGE_BITS and stored.ndim > 1:
        # Each grey level follows from one stored value alone: 256 of them instead of every pixel.
        table, white = display_grey(np.arange(256, dtype=np.uint8), dataset)
        return table[stored], white
    values, low, high = _modality(stored, dataset)
    white = float(2 ** int(dataset.BitsStored) - 1)
    voi = _read_lut(dataset.get("VOILUTSequence"))
    window = None if voi else _read_window(dataset)
    if voi:
        white = float(2**voi.bits - 1)
        grey = np.clip(voi.look_up(values), 0, white)
    elif window:
        grey = np.float32(white) * _apply_window(values, *window)
    else:
        if int(dataset.BitsStored) > FULL_RANGE_BITS:
            low, high = _used_range(values, stored, dataset)
        white = high - low if high > low else 1.0
        grey = np.clip(values - low, 0.0, white)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        grey = white - grey
    return np.ascontiguousarray(grey, dtype=np.float32), white


def _modality(stored: npt.NDArray[Any], dataset: Dataset) -> tuple[npt.NDArray[Any], float, float]:
    """Modality values (PS3.3 C.11.1) and the range they can have."""
    lut = _read_lut(dataset.get("ModalityLUTSequence"))
    if lut:
        return lut.look_up(stored), 0.0, float(2**lut.bits - 1)
    bits = int(dataset.BitsStored)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    slope, intercept = (
        _number(dataset.get("RescaleSlope"), 1.0),
        _number(dataset.get("RescaleIntercept"), 0.0),
    )
    values = stored.astype(np.float64) * slope + intercept
    ends = sorted((low * slope + intercept, high * slope + intercept))
    return values, ends[0], ends[1]


def _used_range(values: npt.NDArray[Any], stored: npt.NDArray[Any], dataset: Dataset) -> tuple[float, float]:
    """Smallest and largest modality value in the picture, padding (0028,0120) aside."""
    padding = dataset.get("PixelPaddingValue")
    seen = values if padding is None else values[stored != int(padding)]
    if seen.size == 0:
        seen = values
    return float(seen.min()), float(seen.max())


def _read_window(dataset: Dataset) -> tuple[float, float, str] | None:
    """(centre, width, function) of the first window, or None when there is no valid one."""
    centre, width = _number(dataset.get("WindowCenter")), _number(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    smallest = 1.0 if function == "LINEAR" else 0.0
    if not math.isfinite(centre) or not math.isfinite(width) or width < smallest or width == 0.0:
        return None
    return centre, width, function


def _apply_window(values: npt.NDArray[Any], centre: float, width: float, function: str) -> Float32:
    """The window as a fraction in [0, 1] (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        z = np.clip(-4.0 * (values - centre) / width, -700.0, 700.0)
        return (1.0 / (1.0 + np.exp(z))).astype(np.float32)
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1.0
    if width == 0.0:
        return (values > centre).astype(np.float32)
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0).astype(np.float32)


def _read_lut(sequence: Any) -> Lut | None:
    """The first table of a LUT sequence, or None when there is none."""
    if not sequence:
        return None
    item = sequence[0]
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    if descriptor is None or data is None or len(descriptor) != 3:
        return None
    length, first, bits = (int(v) for v in descriptor)
    length = length or 2**16
    if isinstance(data, bytes):
        # OW: two bytes an entry, or one when an 8-bit table is packed.
        entries = np.frombuffer(data, dtype="<u2" if len(data) >= 2 * length else "u1")
    else:
        entries = np.atleast_1d(np.asarray(data))
    if not 1 <= bits <= 16 or entries.size == 0:
        return None
    return Lut(entries[:length].astype(np.float32), first, bits)


def _number(value: Any, missing: float = math.nan) -> float:
    """The first number of a DICOM value, or `missing`."""
    if isinstance(value, (list, tuple)) or hasattr(value, "insert"):
        value = value[0] if len(value) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return missing
    return number if math.isfinite(number) else missing
