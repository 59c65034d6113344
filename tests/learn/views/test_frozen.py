"""Copies of scans, and views through frozen networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from make_bundle import make_bundle
from spinecare.bundle.read import open_bundle
from spinecare.errors import TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material, Sources
from spinecare.learn.networks.vgg16 import vgg16
from spinecare.learn.recipe import AugmentSettings
from spinecare.learn.views import VIEWS, View, make_view
from spinecare.learn.views import imagenet as imagenet_view
from spinecare.learn.views.copies import chunks, copies_of, pixel_view
from spinecare.settings import PrepareSettings

SIZE = (64, 32)
STILL = AugmentSettings(shift=0, rotation_deg=0, scale=0, gain=0, gamma=0, noise=0, line_noise=0, blur=0, flip=0)


def pixels(n: int = 5, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).random((n, *size)).astype(np.float32)


def material(folder: Path, n: int = 5, copies: int = 2, **sources: str) -> Material:
    images = pixels(n)
    pictures = Pictures(
        rows=pd.DataFrame(index=range(n)),
        images=images,
        labels=np.arange(n) % 3,
        patients=np.arange(n).astype(str),
        refused=pd.DataFrame(),
        raws=1 - images,
        wholes=pixels(n, (40, 40)),
    )
    return Material(pictures, AugmentSettings(), copies, 7, folder / "views", Sources(**sources))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"), prepare=PrepareSettings(*SIZE))


# ---------------------------------------------------------------- copies


def test_copy_0_is_the_picture_and_the_others_are_not() -> None:
    x = pixels()
    made = copies_of(x, AugmentSettings(), 3, 1)
    assert made.shape == (5, 4, *SIZE)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made[:, 0], x)
    assert (np.abs(made[:, 1:] - x[:, None]).mean(axis=(2, 3)) > 0.01).all()
    assert made.min() >= 0
    assert made.max() <= 1
    assert copies_of(x, AugmentSettings(), 0, 1).shape == (5, 1, *SIZE)


def test_copies_depend_on_seed_and_position_and_on_nothing_else() -> None:
    x = pixels()
    made = copies_of(x, AugmentSettings(), 2, 1)
    np.testing.assert_array_equal(made, copies_of(x, AugmentSettings(), 2, 1))
    np.testing.assert_array_equal(made[3:], copies_of(x[3:], AugmentSettings(), 2, 1, first=3))
    assert np.abs(made - copies_of(x, AugmentSettings(), 2, 2))[:, 1:].max() > 0.1


def test_settings_that_allow_no_change_make_copies_that_are_the_picture() -> None:
    x = pixels()
    np.testing.assert_allclose(copies_of(x, STILL, 2, 1), np.repeat(x[:, None], 3, axis=1), atol=1e-5)


def test_picture_crop_and_whole_of_a_copy_are_moved_alike() -> None:
    """A bright quarter of each goes to the same share of each side; flips go together."""
    moves = replace(STILL, shift=0.2, flip=0.5)

    def centre(size: tuple[int, int]) -> np.ndarray:
        x = np.zeros((4, *size), np.float32)
        x[:, size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
        made = copies_of(x, moves, 3, 5)
        total = made.sum(axis=(2, 3))
        rows = (made.sum(axis=3) @ ((np.arange(size[0]) + 0.5) / size[0])) / total
        cols = (made.sum(axis=2) @ ((np.arange(size[1]) + 0.5) / size[1])) / total
        return np.stack([rows, cols])

    np.testing.assert_allclose(centre((64, 32)), centre((40, 40)), atol=0.02)
    assert np.ptp(centre((64, 32))[1]) > 0.1


def test_chunks_are_the_whole_in_order_whatever_their_size(tmp_path: Path) -> None:
    some = material(tmp_path)
    for of in ("images", "raws", "wholes"):
        whole = np.concatenate(list(chunks(some, of)))
        np.testing.assert_array_equal(whole, np.concatenate(list(chunks(some, of, size=2))))
    with pytest.raises(TrainingError, match="raws"):
        next(chunks(replace(some, pictures=replace(some.pictures, raws=None)), "raws"))


def test_a_view_of_pixels_keeps_scans_and_copies_apart(tmp_path: Path) -> None:
    some = material(tmp_path)
    x = pixel_view(lambda p: np.stack([p.mean(axis=(1, 2)), p.max(axis=(1, 2))], axis=1), "raws")(some)
    assert x.shape == (5, 3, 2)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0, 0], some.pictures.raws.mean(axis=(1, 2)), rtol=1e-5)


# ---------------------------------------------------------------- registry


def test_the_registry_holds_the_views_of_the_contract_and_each_tells_what_it_is() -> None:
    wanted = {"radiomics", "thumbnail", "hog", "profile", "geometry", "imagenet", "imagenet_whole"}
    wanted |= {"thumbnail_whole", "hog_whole", "virtual_cnn", "virtual_vgg16", "virtual_resnet"}
    assert wanted <= set(VIEWS)
    assert all(view.about for view in VIEWS.values())


def test_an_unknown_view_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="soul"):
        make_view("soul", material(tmp_path))


@pytest.mark.parametrize("name", ["thumbnail", "thumbnail_whole", "hog", "hog_whole"])
def test_views_of_pixels_are_found_and_made(name: str, tmp_path: Path) -> None:
    some = material(tmp_path)
    x = some.view(name)
    assert x.shape[:2] == (5, 3)
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(x, some.view(name))


def test_a_view_is_made_once_and_again_when_its_version_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    view = View("counts", lambda some: made.append(1) or np.ones((5, 3, 1), np.float32))
    monkeypatch.setitem(VIEWS, "thumbnail", view)
    material(tmp_path).view("thumbnail")
    material(tmp_path).view("thumbnail")
    assert len(made) == 1
    monkeypatch.setitem(VIEWS, "thumbnail", replace(view, version=2))
    material(tmp_path).view("thumbnail")
    assert len(made) == 2


# ---------------------------------------------------------------- bundle


def test_a_virtual_view_is_the_networks_pooled_features_and_logits(bundle: Path, tmp_path: Path) -> None:
    some = material(tmp_path, bundle=str(bundle))
    session = open_bundle(bundle).sessions["resnet.onnx"]
    logits, features = session.run(["logits", "features"], {"image": some.pictures.images[:, None]})
    x = some.view("virtual_resnet")
    np.testing.assert_allclose(x[:, 0], np.hstack([features.mean(axis=(2, 3)), logits]), atol=1e-5)
    np.testing.assert_allclose(x[:, 0, -3:], logits, atol=1e-5)


def test_logits_of_the_three_networks_stand_side_by_side(bundle: Path, tmp_path: Path) -> None:
    some = material(tmp_path, bundle=str(bundle))
    x = some.view("virtual_logits")
    assert x.shape == (5, 3, 9)
    np.testing.assert_array_equal(x[..., 3:6], some.view("virtual_vgg16")[..., -3:])


def test_another_bundle_is_another_view(bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", prepare=PrepareSettings(*SIZE), version="0.0.2")
    reads = VIEWS["virtual_cnn"].reads
    assert reads(Sources(bundle=str(bundle))) != reads(Sources(bundle=str(other)))
    assert reads(Sources()) == reads(Sources())


def test_a_bundle_that_is_not_there_or_takes_other_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no bundle"):
        material(tmp_path, bundle=str(tmp_path)).view("virtual_cnn")
    large = make_bundle(tmp_path / "large")
    with pytest.raises(TrainingError, match="settings of the bundle"):
        material(tmp_path, bundle=str(large)).view("virtual_cnn")


# ---------------------------------------------------------------- ImageNet


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG16's thirteen convolutions with random weights, eight times narrower."""
    torch.manual_seed(0)
    convolutions = [m for m in vgg16(width=8).stages.modules() if isinstance(m, torch.nn.Conv2d)]
    tensors = {}
    for number, convolution in enumerate(convolutions):
        tensors[f"features.{number}.weight"] = convolution.weight.detach().clone()
        tensors[f"features.{number}.bias"] = torch.rand(convolution.bias.shape)
    file = tmp_path_factory.mktemp("weights") / "vgg.safetensors"
    save_file(tensors, file)
    return file


def test_the_imagenet_view_is_the_mean_of_the_last_three_stages(weights: Path) -> None:
    net = vgg16(weights, width=8).eval()
    x = pixels(3)
    found = imagenet_view.stage_means(net, x)
    assert found.shape == (3, 32 + 64 + 64)
    with torch.inference_mode():
        third = net.stages[2](net.stages[1](net.stages[0](torch.from_numpy(x)[:, None])))
        last = net.features(torch.from_numpy(x)[:, None])
    # Loose: where the processor has bfloat16, the view is computed in it.
    np.testing.assert_allclose(found[:, :32], third.mean(dim=(2, 3)), rtol=0.03, atol=0.03 * float(third.mean()))
    np.testing.assert_allclose(found[:, 96:], last.mean(dim=(2, 3)), rtol=0.03, atol=0.03 * float(last.mean()))


def test_imagenet_weights_are_told_apart_by_their_bytes(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    reads = VIEWS["imagenet"].reads
    assert reads(Sources(imagenet=str(weights))) == reads(Sources(imagenet=str(copy)))
    copy.write_bytes(weights.read_bytes() + b"\0")
    assert reads(Sources(imagenet=str(weights))) != reads(Sources(imagenet=str(copy)))


def test_imagenet_weights_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    for sources in ({}, {"imagenet": str(tmp_path / "none.safetensors")}):
        with pytest.raises(TrainingError, match="sources"):
            material(tmp_path, **sources).view("imagenet_whole")
