"""A process of its own for gdcm and pylibjpeg: a DICOM file from stdin, its first frame to stdout as .npy.

A malformed JPEG frame can make gdcm abort the process that it runs in. That must not be a server that other
people use, so `decode.py` runs this file as a script with the name of pydicom's plugin. It imports nothing
of SpineCare.
"""

from __future__ import annotations

import io
import sys

MAX_MEMORY_BYTES = 2 * 2**30


def main() -> None:
    """Decode; any failure ends in an exit status other than 0."""
    _limit_memory()
    import numpy as np
    import pydicom
    from pydicom.pixels import get_decoder

    plugin = sys.argv[1]
    if plugin == "gdcm":
        import gdcm

        gdcm.Trace.WarningOff()
        gdcm.Trace.ErrorOff()
    dataset = pydicom.dcmread(io.BytesIO(sys.stdin.buffer.read()), force=True)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    values, _ = decoder.as_array(dataset, index=0, raw=False, decoding_plugin=plugin)
    np.save(sys.stdout.buffer, values, allow_pickle=False)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the abort stays isolated all the same.
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


if __name__ == "__main__":
    main()
