"""Class maps: what they add up to, where they lie, and that they follow the head they explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.assessor import Assessor, load
from spinecare.explain.maps import MOST_ALIKE, class_map, class_maps, enlarged, joint_map, likeness_to_shuffled, overlay
from spinecare.io.read import read_scan
from spinecare.scan import LABELS, Assessment, Label, Mapping, Scan

YES = LABELS.index(Label.OSTEOPOROSIS)


@pytest.fixture(scope="module")
def assessor() -> Assessor:
    return load()


@pytest.fixture(scope="module")
def scan(idxa: Path) -> Scan:
    return read_scan(idxa / "ap_spine.dcm")


@pytest.fixture(scope="module")
def answer(assessor: Assessor, scan: Scan) -> Assessment:
    given = assessor.assess(scan)
    assert isinstance(given, Assessment)
    return given


@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_the_mean_of_a_map_is_the_logit_against_the_others(seed: int, h: int, w: int) -> None:
    rng = np.random.default_rng(seed)
    features, weight, bias = rng.normal(size=(8, h, w)), rng.normal(size=(3, 8)), rng.normal(size=3)
    map_ = class_map(features.astype(np.float32), weight.astype(np.float32), bias.astype(np.float32))
    logits = weight @ features.mean(axis=(1, 2)) + bias
    assert map_.mean() == pytest.approx(logits[YES] - np.delete(logits, YES).mean(), abs=1e-4)


def test_the_maps_of_a_real_scan_add_up_to_what_the_networks_said(assessor: Assessor, answer: Assessment) -> None:
    for name in ("cnn", "vgg16"):  # the resnet's answer is the forest's
        heads = assessor.bundle.heads
        map_ = class_map(answer.features[name], heads[f"{name}.weight"], heads[f"{name}.bias"])
        log_p = np.log([answer.members[name][label] for label in LABELS])
        # The weights of the networks are stored as int8, the heads are not.
        assert map_.mean() == pytest.approx(log_p[YES] - np.delete(log_p, YES).mean(), abs=0.25), name


def test_only_maps_that_follow_their_head_are_shown(assessor: Assessor, answer: Assessment) -> None:
    maps, left_out = class_maps(assessor.bundle, answer.features)
    assert set(maps) | set(left_out) == {"cnn", "vgg16", "resnet"}
    assert "resnet" in maps
    for name in maps:
        heads = assessor.bundle.heads
        alike = likeness_to_shuffled(answer.features[name], heads[f"{name}.weight"], heads[f"{name}.bias"])
        assert alike <= MOST_ALIKE


def test_a_network_that_is_merely_active_explains_nothing() -> None:
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(3, 64)).astype(np.float32), np.zeros(3, np.float32)
    places = rng.random((6, 3)).astype(np.float32)
    active = (rng.random(64).astype(np.float32)[:, None, None]) * places  # every channel at the same places
    apart = rng.random((64, 6, 3)).astype(np.float32)
    assert likeness_to_shuffled(active, weight, bias) == pytest.approx(1, abs=1e-3)
    assert likeness_to_shuffled(apart, weight, bias) < 0.5
    assert likeness_to_shuffled(np.ones((64, 6, 3), np.float32), weight, bias) == 1


def test_the_overlay_lies_on_the_crop_and_nowhere_else(scan: Scan, answer: Assessment) -> None:
    rows, cols = answer.prepared.image.shape
    full = enlarged(np.full((6, 3), 100.0, np.float32), rows, cols)
    shape = scan.pixels.shape
    alpha = overlay(full, answer.prepared.mapping, shape, shape)[..., 3] > 0
    reached = answer.prepared.mapping.to_image(np.argwhere(np.ones(shape, bool)))
    inside = ((reached >= -0.5) & (reached <= (rows - 0.5, cols - 0.5))).all(axis=1).reshape(shape)
    # One pixel of grace at the border of the crop.
    assert (alpha != inside).sum() <= 4 * sum(shape)
    assert not alpha[0].any()
    for level in answer.levels:
        row, col = np.rint(level.polygon.mean(axis=0)).astype(int)
        assert alpha[row, col]


def test_colours_say_the_direction_and_strength() -> None:
    same = Mapping(np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    said = np.array([[-8.0, 0.0, 1.0, 8.0]], np.float32)
    rgba = overlay(said, same, (1, 4), (1, 4))[0]
    assert rgba[0, 2] > rgba[0, 0]  # blue
    assert rgba[3, 0] > rgba[3, 2]  # orange
    assert rgba[1, 3] == 0
    assert 0 < rgba[2, 3] < rgba[3, 3] == rgba[0, 3] < 255


def test_together_the_members_speak_by_their_share() -> None:
    maps = {"a": np.ones((2, 2), np.float32), "b": -np.ones((2, 2), np.float32)}
    assert joint_map(maps, {"a": 0.75, "b": 0.25}, 4, 4) == pytest.approx(0.5)
