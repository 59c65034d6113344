"""A server with hand-made answers: what a file is called says which answer it gets."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from spinecare.errors import AssessmentError
from spinecare.scan import (
    LEVEL_NAMES,
    Assessment,
    Check,
    Interval,
    Label,
    Level,
    LevelSource,
    Mapping,
    ModelInfo,
    Prepared,
    RefusalCode,
    Refused,
    Scan,
)
from spinecare.server.app import create_app
from spinecare.settings import ServeSettings

MODEL = ModelInfo("hand-made", "0.0.1", "ab" * 32, "nobody: answers written by hand for tests")
EVEN = {Label.NORMAL: 0.5, Label.LOW_BONE_MASS: 0.35, Label.OSTEOPOROSIS: 0.15}


def boxes(scan: Scan, source: LevelSource, shift: float = 0.0) -> tuple[Level, ...]:
    """Four boxes one above the other in the middle half of the scan."""
    rows, cols = scan.pixels.shape
    edges = np.linspace(0.1 * rows, 0.9 * rows, 5) + shift
    left, right = 0.3 * cols, 0.7 * cols
    return tuple(
        Level(
            name,
            np.array([[top, left], [top, right], [bottom, right], [bottom, left]], np.float32),
            source,
            0.93,
        )
        for name, top, bottom in zip(LEVEL_NAMES, edges, edges[1:], strict=False)
    )


def assessment(scan: Scan) -> Assessment:
    """A "no" with everything filled in."""
    rows, cols = scan.pixels.shape
    matrix = np.array([[192 / rows, 0, 0], [0, 96 / cols, 0]], np.float64)
    grid = np.linspace(0, 1, 192 * 96, dtype=np.float32).reshape(192, 96)
    levels = boxes(scan, "operator_roi")
    return Assessment(
        source=scan.source,
        patient=scan.patient,
        osteoporosis=False,
        category=Label.LOW_BONE_MASS,
        prediction_set=(Label.NORMAL, Label.LOW_BONE_MASS),
        probabilities={"normal": 0.36, "low_bone_mass": 0.52, "osteoporosis": 0.12},
        interval=Interval("osteoporosis", 0.9, 0.05, 0.24, "members' spread"),
        abstained=False,
        levels=levels,
        members={
            "cnn": {"normal": 0.30, "low_bone_mass": 0.55, "osteoporosis": 0.15},
            "vgg16": {"normal": 0.40, "low_bone_mass": 0.50, "osteoporosis": 0.10},
            "resnet": {"normal": 0.38, "low_bone_mass": 0.51, "osteoporosis": 0.11},
        },
        quality=(
            Check("contrast", True, 0.4, 0.1, "", "Bone stands out from its surroundings."),
            Check("coverage", False, 0.7, 0.9, "", "The scan ends inside L4."),
        ),
        measurements={"mean_density": 0.512, "area_ratio": float("nan")},
        model=MODEL,
        warnings=(
            "For research, not a diagnosis.",
            "The age is unknown: WHO categories are for people from 50.",
        ),
        threshold=0.31,
        prevalence={"normal": 1 / 3, "low_bone_mass": 1 / 3, "osteoporosis": 1 / 3},
        assumed_prevalence={"normal": 0.5, "low_bone_mass": 0.35, "osteoporosis": 0.15},
        acquired=scan.acquired,
        device=scan.device,
        prepared=Prepared(
            image=grid,
            raw=grid,
            levels=levels,
            mapping=Mapping(matrix),
            clean=scan.grey,
            valid=np.ones((rows, cols), np.bool_),
            levels_from_image=boxes(scan, "image_processing", shift=0.02 * rows),
            notes=("Coloured lines of the operator were removed.",),
        ),
    )


class FakeAssessor:
    """Answers by the name of the file: yes, abstain, refuse, boom; anything else is a no."""

    model = MODEL

    def assess(self, x: Scan, name: str | None = None) -> Assessment | Refused:
        name = name or ""
        if "boom" in name:
            raise RuntimeError("secret: /srv/hidden/path")
        if "fail" in name:
            raise AssessmentError("The step 'x' failed (OSError: /srv/hidden/path).", "No label is given.")
        if "refuse" in name:
            return Refused(
                RefusalCode.NOT_A_SPINE,
                "This is no AP lumbar spine.",
                "Send an AP scan of L1 to L4.",
                x.source,
            )
        answer = assessment(x)
        if "yes" in name:
            return replace(
                answer,
                osteoporosis=True,
                category=Label.OSTEOPOROSIS,
                prediction_set=(Label.OSTEOPOROSIS,),
                probabilities={"normal": 0.02, "low_bone_mass": 0.27, "osteoporosis": 0.71},
                interval=None,
            )
        if "abstain" in name:
            return replace(answer, osteoporosis=None, category=None, prediction_set=tuple(Label), abstained=True)
        return answer


def make_png(rows: int = 64, cols: int = 48, seed: int = 0) -> bytes:
    """A small grey PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (rows, cols), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def png() -> bytes:
    return make_png()


@pytest.fixture
def fake_assessor() -> FakeAssessor:
    return FakeAssessor()


@pytest.fixture
def make_client(fake_assessor: FakeAssessor) -> Callable[..., TestClient]:
    def make(**limits: Any) -> TestClient:
        app = create_app(fake_assessor, ServeSettings(**limits))
        return TestClient(app, raise_server_exceptions=False, follow_redirects=False)

    return make


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> Iterator[TestClient]:
    with make_client() as made:
        yield made
