"""The types that everybody shares: frozen values with their units in their names.

Coordinates are always (row, col) with pixel centres at whole numbers, so the picture covers
-0.5 ... rows - 0.5. `Mapping` takes points between a scan and its prepared picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]
UInt8 = npt.NDArray[np.uint8]

LEVEL_NAMES: tuple[str, ...] = ("L1", "L2", "L3", "L4")


class View(StrEnum):
    """What a file says it shows. `UNKNOWN` when it says nothing."""

    AP_SPINE = "ap_spine"
    LATERAL_SPINE = "lateral_spine"
    FEMUR = "femur"
    FOREARM = "forearm"
    WHOLE_BODY = "whole_body"
    OTHER = "other"
    UNKNOWN = "unknown"


class Label(StrEnum):
    """The three classes, in their order everywhere (osteopenia is called low bone mass)."""

    NORMAL = "normal"
    LOW_BONE_MASS = "low_bone_mass"
    OSTEOPOROSIS = "osteoporosis"


LABELS: tuple[Label, ...] = tuple(Label)


class RefusalCode(StrEnum):
    """Why a readable picture gets no label: the closed list behind `outcome: refused`."""

    TOO_SMALL = "too_small"
    BLANK = "blank"
    NOISE = "noise"
    COLOUR_PHOTO = "colour_photo"
    TEXT_SCREEN = "text_screen"
    OTHER_VIEW = "other_view"
    NOT_A_SPINE = "not_a_spine"
    UPSIDE_DOWN = "upside_down"
    TAGS_DISAGREE = "tags_disagree"
    LEVELS_NOT_FOUND = "levels_not_found"
    NOT_COVERED = "not_covered"
    LOW_CONTRAST = "low_contrast"
    CLIPPED = "clipped"


Quantity = Literal["display", "bmd_g_cm2"]
SpacingSource = Literal["PixelSpacing", "ImagerPixelSpacing", "ExposedArea", "simulated", "unknown"]
LevelSource = Literal["operator_roi", "network", "image_processing", "simulated"]


@dataclass(frozen=True)
class Patient:
    """Who was scanned, as far as the file says. Only the pseudonym is always there."""

    key: str
    sex: Literal["F", "M"] | None = None
    age_years: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    ethnicity: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a scan came from. `sha256` is of the whole file, in lower-case hex."""

    name: str
    sha256: str
    media_type: str
    path: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None


@dataclass(frozen=True, eq=False)
class Scan:
    """One picture, read.

    pixels
        float32 (rows, cols). For `display`: grey levels, 0 black to `white` white, after rescale,
        VOI and MONOCHROME1 inversion. For `bmd_g_cm2`: areal bone mineral density.
    white
        The grey level of white (255 for 8 bits); for `bmd_g_cm2` the largest value.
    colour
        uint8 (rows, cols, 3) RGB when the file was in colour, else None. Overlays are read there.
    spacing_mm
        (row, col) distance between pixel centres, or None when unknown.
    """

    pixels: Float32
    white: float
    source: Source
    patient: Patient
    quantity: Quantity = "display"
    colour: UInt8 | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_source: SpacingSource = "unknown"
    view: View = View.UNKNOWN
    view_tags: tuple[str, ...] = ()
    device: str | None = None
    acquired: date | None = None

    @property
    def grey(self) -> Float32:
        """The pixels as float32 in [0, 1]."""
        return np.asarray(np.clip(self.pixels / np.float32(self.white), 0.0, 1.0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Level:
    """One vertebral level: its region of interest as a polygon.

    polygon
        float32 (points, 2), (row, col) in scan pixels, closed implicitly. For a box the four
        corners: top left, top right, bottom right, bottom left (left as the picture shows it).
    confidence
        In [0, 1].
    """

    name: str
    polygon: Float32
    source: LevelSource
    confidence: float

    @property
    def top_row(self) -> float:
        """Mean row of the two upper corners."""
        return float(np.sort(self.polygon[:, 0])[:2].mean())

    @property
    def bottom_row(self) -> float:
        """Mean row of the two lower corners."""
        return float(np.sort(self.polygon[:, 0])[-2:].mean())


@dataclass(frozen=True, eq=False)
class Mapping:
    """The affine map from a scan to its prepared picture.

    matrix
        float64 (2, 3): image point = matrix[:, :2] @ (row, col) + matrix[:, 2].
    """

    matrix: npt.NDArray[np.float64]

    def to_image(self, points: npt.ArrayLike) -> Float32:
        """(n, 2) (row, col) in scan pixels to (n, 2) (row, col) in image pixels."""
        p = np.asarray(points, dtype=np.float64)
        return (p @ self.matrix[:, :2].T + self.matrix[:, 2]).astype(np.float32)

    def to_scan(self, points: npt.ArrayLike) -> Float32:
        """(n, 2) (row, col) in image pixels to (n, 2) (row, col) in scan pixels."""
        p = np.asarray(points, dtype=np.float64) - self.matrix[:, 2]
        return np.linalg.solve(self.matrix[:, :2], p.T).T.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan made ready for the members.

    image
        float32 (height, width) in [0, 1]: cropped, denoised, normalised.
    raw
        The same crop before denoising and normalising, grey in [0, 1] (or g/cm2).
    levels
        The levels in use, L1 first, in scan pixels.
    levels_from_image
        What the picture alone says, beside `levels` when those came from the operator's ROI.
    clean
        float32 (rows, cols): the whole scan in [0, 1] with overlays removed.
    valid
        bool (rows, cols): False on unscanned margins.
    bone_outline
        bool (rows, cols) region inside the operator's burned-in bone outline, or None.
    """

    image: Float32
    raw: Float32
    levels: tuple[Level, ...]
    mapping: Mapping
    clean: Float32
    valid: Bool
    levels_from_image: tuple[Level, ...] = ()
    bone_outline: Bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a virtual patient.

    bmd_g_cm2
        Per level, bone as drawn.
    bmd_measured_g_cm2
        Per level, as the simulated scanner reads it, degeneration included.
    masks
        Per level, bool (rows, cols) in pixels of the scan.
    polygons
        Per level, (points, 2) box as an operator would place it, (row, col) in scan pixels.
    parts
        uint8 (rows, cols) in pixels of the scan: 0 nothing, 1-4 L1-L4, 5 spine above L1, 6 L5 and sacrum.
    t_score, label
        From the measured L1-L4 BMD.
    """

    bmd_g_cm2: dict[str, float]
    bmd_measured_g_cm2: dict[str, float]
    area_cm2: dict[str, float]
    t_score: float
    label: Label
    masks: dict[str, Bool] = field(default_factory=dict)
    polygons: dict[str, Float32] = field(default_factory=dict)
    cobb_deg: float = 0.0
    fracture_grade: dict[str, int] = field(default_factory=dict)
    artefacts: tuple[str, ...] = ()
    parts: UInt8 | None = None


@dataclass(frozen=True)
class Check:
    """One quality check: `value` against `limit`, in `unit`, and a sentence."""

    name: str
    passed: bool
    value: float
    limit: float
    unit: str
    sentence: str


@dataclass(frozen=True)
class ModelInfo:
    """Which model spoke."""

    name: str
    version: str
    sha256: str
    trained_on: str


@dataclass(frozen=True)
class Interval:
    """An interval of a probability, with how it was made."""

    of: str
    level: float
    low: float
    high: float
    method: str


@dataclass(frozen=True, eq=False)
class Assessment:
    """The answer to one scan. `category` and `osteoporosis` are None when abstained.

    `timings_ms` is the wall time of each step on the way here, in milliseconds. `features` is each member's last map,
    float32 (channels, h, w), for explaining the answer.
    """

    source: Source
    patient: Patient
    osteoporosis: bool | None
    category: Label | None
    prediction_set: tuple[Label, ...]
    probabilities: dict[str, float]
    interval: Interval | None
    abstained: bool
    levels: tuple[Level, ...]
    members: dict[str, dict[str, float]]
    quality: tuple[Check, ...]
    measurements: dict[str, float]
    model: ModelInfo
    warnings: tuple[str, ...]
    threshold: float
    prevalence: dict[str, float]
    assumed_prevalence: dict[str, float]
    acquired: date | None
    device: str | None
    prepared: Prepared
    timings_ms: dict[str, float] = field(default_factory=dict)
    features: dict[str, Float32] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A readable picture that gets no label, with its reason and what the person can do."""

    code: RefusalCode
    reason: str
    hint: str
    source: Source | None = None
    details: dict[str, Any] = field(default_factory=dict)
