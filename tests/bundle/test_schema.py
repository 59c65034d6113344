"""bundle.json: what is accepted, and the sentence for each thing that is not."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinecare.bundle.schema import (
    BundleSpec,
    CalibrationSpec,
    ConformalSpec,
    LevelsSpec,
    MemberSpec,
    StackSpec,
    StartingWeights,
    needed_files,
    parse_spec,
    seal,
)
from spinecare.errors import BundleError
from spinecare.settings import PrepareSettings

THIRDS = {"normal": 0.5, "low_bone_mass": 0.3, "osteoporosis": 0.2}
HASH = "0" * 64


def spec() -> BundleSpec:
    return BundleSpec(
        name="test",
        version="0.0.1",
        prepare=PrepareSettings(),
        members=(
            MemberSpec("cnn", "deep", "cnn.onnx", precision="int8"),
            MemberSpec("resnet", "deep_forest", "resnet.onnx", forest="resnet_forest.onnx"),
        ),
        stack=StackSpec(("cnn", "resnet"), tuple((0.5,) * 6 for _ in range(3)), (0.0, 0.1, -0.1)),
        calibration=CalibrationSpec(1.07),
        prevalence=THIRDS,
        assumed_prevalence=THIRDS,
        threshold=0.31,
        threshold_rule="sensitivity of at least 0.9 on validation",
        conformal=ConformalSpec(0.9, 0.83, "LAC, on validation"),
        intended_use="research",
        trained_on="virtual patients only (n=10)",
        created="2025-01-01",
        starting_weights=(StartingWeights("cnn", "random"),),
        metrics={"auc": {"value": 0.9, "low": 0.8, "high": 0.95}},
        files=dict.fromkeys(("cnn.onnx", "resnet.onnx", "resnet_forest.onnx", "heads.safetensors", "card.md"), HASH),
    )


def test_a_spec_comes_back_from_its_json_unchanged() -> None:
    document = json.loads(json.dumps(spec().to_json()))
    assert parse_spec(document) == spec()
    assert document["format"] == 1
    assert document["classes"] == ["normal", "low_bone_mass", "osteoporosis"]
    assert "forest" not in document["members"][0]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), 2, "format is 2"),
        (("classes",), ["osteoporosis", "low_bone_mass", "normal"], "in this order"),
        (("threshold",), 1.0, "between 0 and 1"),
        (("threshold",), float("nan"), "finite number"),
        (("threshold",), True, "finite number"),
        (("prevalence", "normal"), 0.6, "adds up to 1.1"),
        (("assumed_prevalence", "osteoporosis"), 0, "between 0 and 1"),
        (("assumed_prevalence",), {"normal": 1.0}, "nothing else"),
        (("prepare", "denoise"), "median", "prepare.denoise is 'median'"),
        (("prepare", "height"), 4000, "whole number"),
        (("prepare", "equalise"), True, "prepare.equalise is not known"),
        (("surprise",), 1, "surprise is not known"),
        (("members", 0, "kind"), "radiomics", "this version knows deep, deep_forest"),
        (("members", 0, "inputs"), ["image", "age_years"], "gives members the image"),
        (("members", 0, "model"), "../cnn.onnx", "only plain file names"),
        (("members", 0, "model"), "/etc/passwd", "only plain file names"),
        (("members", 0, "forest"), "f.onnx", "only for one"),
        (("members", 1, "name"), "cnn", "two members with one name"),
        (("stack", "inputs"), ["cnn", "vgg"], "'vgg', which is not a member"),
        (("stack", "coef"), [[0.0] * 6] * 2, "3 rows of 6"),
        (("stack", "coef"), [[0.0] * 5] * 3, "must hold 6 numbers"),
        (("stack", "intercept"), [0.0, 0.0], "must hold 3 numbers"),
        (("stack", "transform"), "none", "this version knows log"),
        (("calibration", "method"), "isotonic", "this version knows temperature"),
        (("calibration", "temperature"), 0, "between 0 and"),
        (("conformal", "threshold"), 1.5, "must lie between"),
        (("trained_on",), " ", "not empty"),
        (("files", "cnn.onnx"), "ABC", "64 lower-case hex"),
        (("files", "..\\x.onnx"), HASH, "only plain file names"),
        (("files", "bundle.json"), HASH, "cannot hold its own hash"),
    ],
)
def test_a_wrong_field_is_named_in_one_sentence(path: tuple[Any, ...], value: Any, words: str) -> None:
    document = copy.deepcopy(spec().to_json())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(BundleError) as caught:
        parse_spec(document)
    assert words in str(caught.value)


@pytest.mark.parametrize("key", sorted(spec().to_json()))
def test_every_field_must_be_there(key: str) -> None:
    document = spec().to_json()
    del document[key]
    with pytest.raises(BundleError, match=key):
        parse_spec(document)


@pytest.mark.parametrize("name", ["cnn.onnx", "resnet_forest.onnx", "heads.safetensors", "card.md"])
def test_a_needed_file_without_a_hash_is_refused(name: str) -> None:
    document = spec().to_json()
    del document["files"][name]
    with pytest.raises(BundleError, match=name):
        parse_spec(document)


@pytest.mark.parametrize("document", [None, [], "x", {}])
def test_something_else_than_a_spec_is_refused(document: Any) -> None:
    with pytest.raises(BundleError):
        parse_spec(document)


def test_seal_hashes_what_lies_in_the_folder(tmp_path: Path) -> None:
    for name in spec().files or {}:
        (tmp_path / name).write_bytes(b"abc")
    sealed = seal(spec(), tmp_path)
    # SHA-256 of "abc": FIPS 180-2, appendix B.1.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert set((sealed.files or {}).values()) == {abc}
    assert parse_spec(json.loads((tmp_path / "bundle.json").read_text())) == sealed


def test_seal_refuses_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("card")
    with pytest.raises(BundleError, match=r"cnn\.onnx"):
        seal(spec(), tmp_path)
    assert not (tmp_path / "bundle.json").exists()


LEVELS = LevelsSpec(
    "levels.onnx", 160, 128, least_agreement=0.5, surest=0.85, trained_on="virtual patients", metrics={"told": 0.9}
)


def with_levels() -> dict[str, Any]:
    files = dict(spec().files or {}) | {"levels.onnx": HASH}
    return json.loads(json.dumps(replace(spec(), levels=LEVELS, files=files).to_json()))


def test_the_level_network_comes_back_from_json_and_bundles_without_one_still_load() -> None:
    assert parse_spec(with_levels()).levels == LEVELS
    assert "levels.onnx" in needed_files(parse_spec(with_levels()))
    old = spec().to_json()
    assert "levels" not in old
    assert parse_spec(old).levels is None


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("model", "../levels.onnx", "plain file names"),
        ("model", "other.onnx", "does not list 'other.onnx'"),
        ("rows", 16, "whole number from 32"),
        ("least_agreement", 1.0, "between 0 and 1"),
        ("surest", float("nan"), "finite"),
        ("classes", ["background", "L1"], "in this order"),
        ("metrics", None, "JSON object"),
        ("window", 3, "not known to this version"),
    ],
)
def test_what_is_wrong_with_the_level_network_is_named(key: str, value: Any, sentence: str) -> None:
    document = with_levels()
    document["levels"][key] = value
    with pytest.raises(BundleError, match=sentence):
        parse_spec(document)
