"""A spine of boxes on a small plane, and a person to go with it: the densitometer's tests need no anatomy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from spinecare.phantom.maps import Plane, Projection

PLANE = Plane(rows=300, cols=220, mm=0.6, row0=150, col0=110)
HALF_WIDTH_MM, PITCH_MM = 21.0, 35.0


def box_spine(
    bmd: float | tuple[float, float, float, float] = 1.0, added: float = 0.0, plane: Plane = PLANE
) -> Projection:
    """Four levels of even density one above the other, more spine above and below, 3.5 cm of bone tissue."""
    column = np.broadcast_to(np.abs(plane.x)[None, :] < HALF_WIDTH_MM, (plane.rows, plane.cols))
    level = np.floor(plane.y / PITCH_MM).astype(int) + 2
    values = np.broadcast_to(np.asarray(bmd, np.float32), (4,))
    bone = column * values[np.clip(level, 0, 3)][:, None]
    masks = np.stack([column & (level == i)[:, None] for i in range(4)])
    inside = masks.any(axis=0)
    parts = np.where(column, np.clip(level + 1, 0, 5), 0)[:, :] if level.min() >= 0 else column * 5
    return Projection(
        bone=bone.astype(np.float32),
        added=np.float32(added) * inside,
        thickness_cm=np.float32(3.5) * column,
        masks=masks,
        column=column,
        parts=parts.astype(np.uint8),
        separators=np.stack([PITCH_MM * np.arange(-2, 3), np.zeros(5)], axis=1),
        cobb_deg=0.0,
        fracture_grade={},
        half_width_mm=np.full(4, HALF_WIDTH_MM),
    )


def somebody(
    bmi: float = 26.0, fat_share: float = 0.33, fat_uneven_mm: float = 0.0, sex: str = "F", age: float = 62.0
) -> Any:
    """The columns of `People` that soft tissue is made from, one row."""
    return SimpleNamespace(
        sex=np.array([sex]),
        age_years=np.array([age]),
        height_cm=np.array([165.0]),
        weight_kg=np.array([bmi * 1.65**2]),
        fat_share=np.array([fat_share]),
        fat_uneven_mm=np.array([fat_uneven_mm]),
    )
