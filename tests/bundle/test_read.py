"""Opening a bundle: every byte counts."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from make_bundle import TINY_LEVELS, level_network, make_bundle
from spinecare.bundle import read
from spinecare.bundle.read import open_bundle, open_level_network, open_levels
from spinecare.errors import BundleError
from spinecare.settings import PrepareSettings, RuntimeSettings


@pytest.fixture
def folder(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def rewrite(folder: Path, change: Any) -> None:
    document = json.loads((folder / "bundle.json").read_text())
    change(document)
    (folder / "bundle.json").write_text(json.dumps(document))


def test_a_good_bundle_opens_with_its_sessions_heads_and_hash(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle, RuntimeSettings(threads=1))
    assert set(bundle.sessions) == {"cnn.onnx", "vgg16.onnx", "resnet.onnx", "resnet_forest.onnx"}
    assert bundle.heads["vgg16.weight"].shape == (3, 4)
    assert bundle.sha256 == hashlib.sha256((tiny_bundle / "bundle.json").read_bytes()).hexdigest()


def test_the_head_in_the_bundle_gives_the_logits_of_the_graph(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    image = np.random.default_rng(0).random((2, 1, 192, 96), dtype=np.float32)
    logits, features = bundle.sessions["cnn.onnx"].run(["logits", "features"], {"image": image})
    by_hand = features.mean(axis=(2, 3)) @ bundle.heads["cnn.weight"].T + bundle.heads["cnn.bias"]
    np.testing.assert_allclose(logits, by_hand, atol=1e-5)


@pytest.mark.parametrize("name", ["cnn.onnx", "resnet_forest.onnx", "heads.safetensors", "card.md"])
def test_one_changed_byte_in_any_file_is_noticed_before_anything_opens(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    monkeypatch.setattr(read, "_open_session", lambda *a: pytest.fail("a session was opened"))
    with pytest.raises(BundleError, match=rf"{name}.*changed or damaged"):
        open_bundle(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "vgg16.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks its file vgg16\.onnx"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["extra.onnx", "EXTRA.ONNX", "weights.data", "more.safetensors"])
def test_weights_that_are_not_listed_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    with pytest.raises(BundleError, match="does not list"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["../secret.onnx", "/etc/hostname", "a/b.onnx", "..", ".hidden.onnx", "a\\b"])
def test_a_file_name_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    def change(document: dict[str, Any]) -> None:
        document["files"][name] = "0" * 64

    rewrite(folder, change)
    with pytest.raises(BundleError, match="only plain file names"):
        open_bundle(folder)


def test_a_hash_made_for_a_file_that_is_no_model_does_not_help(folder: Path) -> None:
    (folder / "cnn.onnx").write_bytes(b"not a model")

    def change(document: dict[str, Any]) -> None:
        document["files"]["cnn.onnx"] = hashlib.sha256(b"not a model").hexdigest()

    rewrite(folder, change)
    with pytest.raises(BundleError, match=r"ONNX Runtime cannot open cnn\.onnx"):
        open_bundle(folder)


def test_prepare_settings_that_the_graphs_do_not_take_are_refused(folder: Path) -> None:
    rewrite(folder, lambda document: document["prepare"].update(height=224))
    with pytest.raises(BundleError, match=r"must take one input `image` of \(n, 1, 224, 96\)"):
        open_bundle(folder)


def test_another_picture_size_works_when_the_graphs_were_made_for_it(tmp_path: Path) -> None:
    spec = open_bundle(make_bundle(tmp_path / "b", prepare=PrepareSettings(64, 48, "off"))).spec
    assert (spec.prepare.height, spec.prepare.width, spec.prepare.denoise) == (64, 48, "off")


def test_not_json_an_empty_folder_and_no_folder_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a model bundle"):
        open_bundle(tmp_path)
    with pytest.raises(BundleError, match="is not a model bundle"):
        open_bundle(tmp_path / "nowhere")
    (tmp_path / "bundle.json").write_bytes(b"\xff\x00")
    with pytest.raises(BundleError, match="is not JSON"):
        open_bundle(tmp_path)


def test_an_installation_without_a_default_bundle_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "DEFAULT_FOLDER", tmp_path / "default")
    with pytest.raises(BundleError, match="default-train"):
        open_bundle()


def test_the_level_network_opens_with_the_bundle_and_alone(tmp_path: Path, tiny_bundle: Path) -> None:
    folder = make_bundle(tmp_path / "b", levels=TINY_LEVELS)
    whole, alone = open_bundle(folder).levels, open_levels(folder)
    assert whole is not None
    assert alone is not None
    assert whole.spec == alone.spec == TINY_LEVELS
    image = np.random.default_rng(0).random((2, 1, 64, 48), dtype=np.float32)
    said = [network.session.run(["probabilities"], {"image": image})[0] for network in (whole, alone)]
    np.testing.assert_array_equal(*said)
    assert said[0].shape == (2, 7, 32, 24)
    assert open_levels(tiny_bundle) is None
    assert open_bundle(tiny_bundle).levels is None


def test_a_changed_level_network_is_noticed(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "b", levels=TINY_LEVELS)
    content = bytearray((folder / "levels.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "levels.onnx").write_bytes(content)
    for opens in (open_bundle, open_levels):
        with pytest.raises(BundleError, match=r"levels.onnx.*changed or damaged"):
            opens(folder)


def test_a_level_network_of_another_shape_is_refused() -> None:
    with pytest.raises(BundleError, match=r"must take one input `image` of \(n, 1, 64, 48\)"):
        open_level_network(TINY_LEVELS, level_network(64, 64).SerializeToString())
    with pytest.raises(BundleError, match=r"must give `probabilities` of \(n, 7, h, w\)"):
        open_level_network(TINY_LEVELS, level_network(64, 48, classes=5).SerializeToString())
    with pytest.raises(BundleError, match="cannot open"):
        open_level_network(TINY_LEVELS, b"no ONNX")
