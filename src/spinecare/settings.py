"""Settings, as frozen values with the defaults of the product."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
