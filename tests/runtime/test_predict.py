"""The answer: each step of the contract's arithmetic, and what must always hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bundle import tiny_spec
from spinecare.bundle.read import Bundle, open_bundle
from spinecare.bundle.schema import ConformalSpec
from spinecare.errors import AssessmentError
from spinecare.runtime.members import member_probabilities
from spinecare.runtime.predict import combine, decide, predict
from spinecare.scan import Label, Mapping, Patient, Prepared

SPEC = tiny_spec()


def prepared(image: np.ndarray) -> Prepared:
    grey = image.astype(np.float32)
    return Prepared(grey, grey, (), Mapping(np.eye(2, 3)), grey, np.ones(grey.shape, dtype=bool))


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(5).random((192, 96), dtype=np.float32)


def test_members_are_what_plain_numpy_makes_of_the_graphs(bundle: Bundle, image: np.ndarray) -> None:
    said = member_probabilities(bundle, image)
    assert list(said) == ["cnn", "vgg16", "resnet"]
    logits, _ = bundle.sessions["vgg16.onnx"].run(["logits", "features"], {"image": image[None, None]})
    np.testing.assert_allclose(said["vgg16"], np.exp(logits[0]) / np.exp(logits[0]).sum(), atol=1e-6)
    (features,) = bundle.sessions["resnet.onnx"].run(["features"], {"image": image[None, None]})
    pooled = features.mean(axis=(2, 3))
    (voted,) = bundle.sessions["resnet_forest.onnx"].run(["probabilities"], {"features": pooled})
    np.testing.assert_allclose(said["resnet"], voted[0], atol=1e-6)


def test_the_whole_arithmetic_of_one_answer(bundle: Bundle, image: np.ndarray) -> None:
    answer = predict(bundle, prepared(image), {}, Patient("x"))
    p = member_probabilities(bundle, image)
    # Written out again from the contract: log, stack, temperature, prior shift.
    x = np.log(np.clip(np.concatenate([p[m] for m in bundle.spec.stack.inputs]), 1e-6, 1))
    z = np.array(bundle.spec.stack.coef) @ x + np.array(bundle.spec.stack.intercept)
    q = np.exp(z) / np.exp(z).sum()
    q = q ** (1 / bundle.spec.calibration.temperature)
    q /= q.sum()
    q *= np.array([1.0, 0.40 / 0.35, 0.20 / 0.25])
    q /= q.sum()
    np.testing.assert_allclose(list(answer.probabilities.values()), q, atol=1e-9)
    assert list(answer.probabilities) == ["normal", "low_bone_mass", "osteoporosis"]
    assert answer.members["cnn"]["normal"] == pytest.approx(p["cnn"][0])


def test_the_same_picture_gives_the_same_answer(bundle: Bundle, image: np.ndarray) -> None:
    first, second = (predict(bundle, prepared(image), {}, Patient("x")) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("wrong", [np.zeros((96, 192)), np.full((192, 96), np.nan)])
def test_a_picture_the_members_cannot_take_gets_no_label(bundle: Bundle, wrong: np.ndarray) -> None:
    with pytest.raises(AssessmentError, match="prepared picture"):
        predict(bundle, prepared(wrong), {}, Patient("x"))


class Broken:
    """A session whose answer is not a set of probabilities."""

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        shapes = {"logits": (1, 3), "features": (1, 2, 6, 3)}
        return [np.full(shapes[name], np.nan, dtype=np.float32) for name in names]


def test_a_member_that_answers_nonsense_gives_no_label(bundle: Bundle, image: np.ndarray) -> None:
    broken = replace(bundle, sessions={**bundle.sessions, "cnn.onnx": Broken()})
    with pytest.raises(AssessmentError, match="member cnn answered"):
        predict(broken, prepared(image), {}, Patient("x"))


@pytest.mark.parametrize(
    ("p", "osteoporosis", "category"),
    [
        ((0.70, 0.20, 0.10), False, Label.NORMAL),
        ((0.20, 0.70, 0.10), False, Label.LOW_BONE_MASS),
        ((0.10, 0.60, 0.30), True, Label.OSTEOPOROSIS),  # exactly at the threshold of 0.3
        ((0.10, 0.61, 0.29), False, Label.LOW_BONE_MASS),
        ((0.05, 0.05, 0.90), True, Label.OSTEOPOROSIS),
    ],
)
def test_the_threshold_decides_and_not_the_likeliest_class(
    p: tuple[float, ...], osteoporosis: bool, category: Label
) -> None:
    answer = decide({}, np.array(p), SPEC)
    assert (answer.osteoporosis, answer.category, answer.abstained) == (osteoporosis, category, False)


def test_both_ends_in_the_set_means_no_answer() -> None:
    answer = decide({}, np.array([0.4, 0.2, 0.4]), SPEC)
    assert answer.abstained
    assert (answer.osteoporosis, answer.category) == (None, None)
    assert answer.probabilities["osteoporosis"] == 0.4


distributions = st.tuples(*[st.floats(0.0, 1.0)] * 3).filter(sum).map(lambda w: np.array(w) / sum(w))


@given(st.lists(distributions, min_size=3, max_size=3), st.floats(0.0, 1.0))
def test_what_always_holds(said: list[np.ndarray], conformal_threshold: float) -> None:
    members = dict(zip(("cnn", "vgg16", "resnet"), said, strict=True))
    spec = replace(SPEC, conformal=ConformalSpec(0.9, conformal_threshold, "x"))
    answer = decide(members, combine(members, spec), spec)
    assert sum(answer.probabilities.values()) == pytest.approx(1.0, abs=1e-12)
    assert answer.prediction_set
    assert answer.abstained == ({Label.NORMAL, Label.OSTEOPOROSIS} <= set(answer.prediction_set))
    if answer.abstained:
        assert answer.osteoporosis is None
        assert answer.category is None
    else:
        assert answer.osteoporosis is (answer.category is Label.OSTEOPOROSIS)
        assert answer.osteoporosis is (answer.probabilities["osteoporosis"] >= spec.threshold)


@given(st.lists(distributions, min_size=3, max_size=3))
def test_many_scans_at_once_give_what_each_gives_alone(said: list[np.ndarray]) -> None:
    members = dict(zip(("cnn", "vgg16", "resnet"), said, strict=True))
    many = combine({name: np.stack([p, p]) for name, p in members.items()}, SPEC)
    np.testing.assert_allclose(many, np.stack([combine(members, SPEC)] * 2), atol=1e-12)
