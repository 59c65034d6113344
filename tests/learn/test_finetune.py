from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spinecare.errors import TrainingError
from spinecare.learn.checkpoint import save_tensors
from spinecare.learn.data import Pictures
from spinecare.learn.finetune import finetune, freeze, say, start_weights
from spinecare.learn.material import Sources
from spinecare.learn.networks import build
from spinecare.learn.recipe import AugmentSettings, FitSettings

QUICK = FitSettings(epochs=2, batch=16, learning_rate=5e-3)


def leave_run(folder: Path, kind: str = "cnn", width: int = 4, cut: str = "holdout") -> dict[str, torch.Tensor]:
    """A finished `spinecare train` run as far as fine-tuning reads it; the weights in it."""
    torch.manual_seed(5)
    net = build(kind, {"width": width})
    work = folder / "work" / kind / cut
    work.mkdir(parents=True)
    save_tensors(net.state_dict(), work / "best.safetensors")
    options = {"width": width, "weights": "gone.safetensors", "frozen": 2} if kind == "vgg16" else {"width": width}
    settings = {"settings": {"members": [{"name": kind, "options": options}]}}
    (folder / "config.json").write_text(json.dumps(settings))
    return net.state_dict()


def test_it_learns_what_can_be_learnt(pictures: Pictures) -> None:
    net = start_weights("cnn", Sources(), "none")
    train, test = pictures.part("train"), pictures.part("test")
    settings = FitSettings(epochs=6, batch=8, learning_rate=2e-3)
    finetune(net, pictures.images[train], pictures.labels[train], settings, AugmentSettings(), 0)
    p = say(net, pictures.images[test])
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == pictures.labels[test]).mean() > 0.8  # chance: 1/3


def test_the_same_seed_gives_the_same_answers_whatever_was_drawn_before(pictures: Pictures, tmp_path: Path) -> None:
    leave_run(tmp_path)
    said, state = [], []
    for before in (0, 1):
        torch.manual_seed(before)
        state.append(torch.random.get_rng_state())
        net = start_weights("cnn", Sources(virtual=str(tmp_path)), "virtual", seed=3)
        said.append(say(finetune(net, pictures.images, pictures.labels, QUICK, AugmentSettings(), 3), pictures.images))
        # Nor does it draw from what others draw from.
        assert torch.equal(torch.random.get_rng_state(), state[-1])
    np.testing.assert_array_equal(*said)


@pytest.mark.parametrize(("kind", "cut"), [("cnn", "holdout"), ("vgg16", "all")])
def test_it_starts_from_the_run_on_virtual_patients(tmp_path: Path, kind: str, cut: str) -> None:
    weights = leave_run(tmp_path, kind, cut=cut)
    fresh = start_weights(kind, Sources(virtual=str(tmp_path)), "virtual")
    kept = start_weights(kind, Sources(virtual=str(tmp_path)), "virtual", keep_head=True)
    for name, tensor in weights.items():
        assert torch.equal(kept.state_dict()[name], tensor)
        wanted = torch.zeros_like(tensor) if name.startswith("head.") else tensor
        assert torch.equal(fresh.state_dict()[name], wanted)
    assert all(p.requires_grad for p in fresh.parameters())
    np.testing.assert_allclose(say(fresh, np.zeros((1, 64, 32), np.float32)), 1 / 3)


def test_only_the_last_stages_move(pictures: Pictures, tmp_path: Path) -> None:
    """Frozen stages keep their statistics too: a hundred pictures should not move what thousands told."""
    before = leave_run(tmp_path)
    net = freeze(start_weights("cnn", Sources(virtual=str(tmp_path)), "virtual"), 2)
    finetune(net, pictures.images[:32], pictures.labels[:32], QUICK, AugmentSettings(), 0)
    moved = {name.split(".")[1] for name, t in net.state_dict().items() if not torch.equal(t, before[name])}
    assert moved == {"3", "4", "weight", "bias"}


def test_missing_weights_are_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Give `virtual` in \[sources\]"):
        start_weights("cnn", Sources(), "virtual")
    with pytest.raises(TrainingError, match="holds no weights of resnet"):
        start_weights("resnet", Sources(virtual=str(tmp_path)), "virtual")
    with pytest.raises(TrainingError, match="Give `imagenet`"):
        start_weights("vgg16", Sources(), "imagenet")
    leave_run(tmp_path, width=4)
    (tmp_path / "config.json").unlink()
    with pytest.raises(TrainingError, match="does not hold the weights of this cnn"):
        start_weights("cnn", Sources(virtual=str(tmp_path)), "virtual")


def test_nonsense_is_said(pictures: Pictures) -> None:
    with pytest.raises(TrainingError, match="no network 'unet'"):
        start_weights("unet", Sources(), "none")
    with pytest.raises(TrainingError, match="can't start from 'imagenet'"):
        start_weights("cnn", Sources(), "imagenet")
    net = build("cnn", {"width": 4})
    for depth in (-1, 6, "deep"):
        with pytest.raises(TrainingError, match="has 5 stages"):
            freeze(net, depth)
    with pytest.raises(TrainingError, match="no picture"):
        finetune(net, pictures.images[:0], pictures.labels[:0], QUICK, AugmentSettings(), 0)
    with pytest.raises(TrainingError, match="lower rate"):
        finetune(net, pictures.images * np.nan, pictures.labels, QUICK, AugmentSettings(), 0)
