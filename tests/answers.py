"""Values for tests of what comes after the picture: a scan, four boxes, an assessment."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from spinecare.scan import (
    LEVEL_NAMES,
    Assessment,
    Check,
    Label,
    Level,
    LevelSource,
    Mapping,
    ModelInfo,
    Patient,
    Prepared,
    Scan,
    Source,
)

SOURCE = Source("scan.dcm", "ab" * 32, "application/dicom", None, "1.2.3", "1.2")


def some_scan(**changes: Any) -> Scan:
    """A grey scan of 240 x 160 with everything known."""
    scan = Scan(
        pixels=np.full((240, 160), 100.0, dtype=np.float32),
        white=255.0,
        source=SOURCE,
        patient=Patient("0123456789ab", sex="F", age_years=71.0),
        spacing_mm=(0.5, 0.25),
        spacing_source="PixelSpacing",
        device="Maker Model",
        acquired=date(2024, 2, 29),
    )
    return replace(scan, **changes)


def four_levels(
    lean_px: float = 0.0, height_px: float = 40.0, source: LevelSource = "image_processing"
) -> tuple[Level, ...]:
    """Boxes 40 pixels wide from row 20 down, each `lean_px` further right than the one above."""
    levels = []
    for i, name in enumerate(LEVEL_NAMES):
        top, left = 20 + i * height_px, 60 + i * lean_px
        box = [[top, left], [top, left + 40], [top + height_px, left + 40], [top + height_px, left]]
        levels.append(Level(name, np.array(box, dtype=np.float32), source, 0.9))
    return tuple(levels)


def some_prepared(**changes: Any) -> Prepared:
    """Four levels of grey 0.6 on soft tissue of 0.2 and 0.3, the crop being the scan itself."""
    raw = np.full((240, 160), 0.2, dtype=np.float32)
    raw[::2] = 0.3
    raw[20:181, 60:101] = 0.6
    prepared = Prepared(
        image=raw,
        raw=raw,
        levels=four_levels(),
        mapping=Mapping(np.eye(2, 3)),
        clean=raw,
        valid=np.ones(raw.shape, dtype=bool),
    )
    return replace(prepared, **changes)


def some_assessment(**changes: Any) -> Assessment:
    """An answer of yes."""
    shares = {"normal": 0.1, "low_bone_mass": 0.3, "osteoporosis": 0.6}
    answer = Assessment(
        source=SOURCE,
        patient=Patient("0123456789ab"),
        osteoporosis=True,
        category=Label.OSTEOPOROSIS,
        prediction_set=(Label.LOW_BONE_MASS, Label.OSTEOPOROSIS),
        probabilities=shares,
        interval=None,
        abstained=False,
        levels=four_levels(),
        members={"cnn": dict(shares)},
        quality=(Check("contrast", True, 0.3, 0.1, "of white", "The contrast is good."),),
        measurements={"height_l1_px": 40.0},
        model=ModelInfo("tiny", "0.0.1", "cd" * 32, "virtual patients only"),
        warnings=("For research, not a diagnosis.",),
        threshold=0.3,
        prevalence=shares,
        assumed_prevalence=shares,
        acquired=date(2024, 2, 29),
        device="Maker Model",
        prepared=some_prepared(),
    )
    return replace(answer, **changes)
