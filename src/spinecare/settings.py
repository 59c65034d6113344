"""Settings, as frozen values with the defaults of the product."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Denoise = Literal["off", "gaussian", "nlm", "wavelet"]


@dataclass(frozen=True)
class ReadLimits:
    """What a file may cost before it is decoded.

    `max_bytes` of the file, `max_pixels` of one decoded frame (rows x cols), `max_frames`.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_frames: int = 1


@dataclass(frozen=True)
class PrepareSettings:
    """How a scan is made ready. A bundle names the settings it was trained with.

    `height`, `width` of the prepared picture in pixels; `denoise` on the crop.
    """

    height: int = 192
    width: int = 96
    denoise: Denoise = "gaussian"

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ServeSettings:
    """What one request to the web service may cost.

    `max_file_bytes` of one file, `max_request_bytes` of a whole upload, `max_files` in it;
    `workers` is the number of scans assessed at the same time.
    """

    max_file_bytes: int = 32 * 1024 * 1024
    max_request_bytes: int = 128 * 1024 * 1024
    max_files: int = 20
    workers: int = 2


def _default_threads() -> int:
    # More than four threads gain nothing on pictures this small and take cores from other requests.
    return min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class RuntimeSettings:
    """How the members run: `threads` inside one ONNX Runtime session."""

    threads: int = field(default_factory=_default_threads)
