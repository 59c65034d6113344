"""What the rooms of the simulator hand to each other: maps on the scan plane, all in mm and g/cm2.

x runs to the picture's right, y downwards (to the feet), z backwards; the origin is the midline, midway between
L2 and L3, at the depth of their bodies' centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinecare.scan import Bool, Float32

# A densitometer's own pixel: 0.5-1.0 mm on fan-beam machines.
PIXEL_MM = 0.6

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """The scan plane's square pixels.

    `rows`, `cols`; `mm`, the spacing; (`row0`, `col0`), the pixel that the origin falls on.
    """

    rows: int
    cols: int
    mm: float
    row0: float
    col0: float

    @property
    def x(self) -> Float32:
        """float32 (cols,): mm of each column's centre from the origin."""
        return ((np.arange(self.cols) - self.col0) * self.mm).astype(np.float32)

    @property
    def y(self) -> Float32:
        """float32 (rows,): mm of each row's centre from the origin."""
        return ((np.arange(self.rows) - self.row0) * self.mm).astype(np.float32)


@dataclass(frozen=True)
class Visit:
    """How a person lies on the table at one scan.

    shift_x_mm, shift_y_mm
        Where the spine's origin lies against the plane's.
    turn_deg
        Rotation in the scan plane, clockwise in the picture.
    roll_deg
        Rotation about the spine's long axis (the pelvis not quite flat).
    flexion_deg
        How much the raised legs flatten the lordosis; 0 is the usual position.
    """

    shift_x_mm: float = 0.0
    shift_y_mm: float = 0.0
    turn_deg: float = 0.0
    roll_deg: float = 0.0
    flexion_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Projection:
    """A skeleton as the beam sees it, on a plane.

    bone
        float32 (rows, cols): areal bone mineral of everything as drawn, g/cm2 (Hologic scale). Its mean over
        `masks[i]` is the person's `bmd[i]`, and the mask's area their `area[i]`.
    added
        float32 (rows, cols): what degeneration adds, g/cm2; mean over `masks[i]` is `degeneration[i]`.
    thickness_cm
        float32 (rows, cols): how much bone tissue (marrow included) the beam crosses: soft tissue that is not there.
    masks
        bool (4, rows, cols), L1 first: the bone a reader would outline, between each level's separators.
    column
        bool (rows, cols): all of the spine (T9-L5 bodies and the sacrum), as a reader would outline it.
    parts
        uint8 (rows, cols): 0 nothing, 1-4 L1-L4, 5 spine above L1, 6 L5 and sacrum. What a level network learns.
    separators
        float64 (5, 2): the operator's ideal lines above L1 and below each of L1-L4, y = a + b x, mm.
    cobb_deg
        The angle between the most tilted of T12-L5 in the plane.
    fracture_grade
        Genant grade 0-3 per level name.
    half_width_mm
        float64 (4,): half the body width of L1-L4.
    """

    bone: Float32
    added: Float32
    thickness_cm: Float32
    masks: Bool
    column: Bool
    parts: npt.NDArray[np.uint8]
    separators: Float
    cobb_deg: float
    fracture_grade: dict[str, int]
    half_width_mm: Float


@dataclass(frozen=True, eq=False)
class SoftTissue:
    """Soft tissue in the beam: float32 (rows, cols) maps of `lean` (water-like) and `fat`, g/cm2."""

    lean: Float32
    fat: Float32


@dataclass(frozen=True, eq=False)
class BmdMap:
    """What the densitometer makes of one scan.

    bmd
        float32 (rows, cols): areal BMD, g/cm2, soft-tissue baseline taken off, calibrated; noisy.
    low, high
        float32 (rows, cols): the two logarithmic attenuations it was made from.
    """

    bmd: Float32
    low: Float32
    high: Float32
