from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spinecare.errors import TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.fit import History, fit, logits_of
from spinecare.learn.networks import build
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import AugmentSettings, FitSettings, Step

SETTINGS = FitSettings(epochs=4, batch=16, learning_rate=5e-3, patience=4)


def fresh(name: str = "cnn") -> DeepMember:
    torch.manual_seed(0)
    return build(name, {"width": 4})


def run(
    pictures: Pictures, folder: Path, settings: FitSettings = SETTINGS, **more: object
) -> tuple[History, DeepMember]:
    net = fresh()
    rows = {
        part: (pictures.images[pictures.part(part)], pictures.labels[pictures.part(part)]) for part in ("train", "val")
    }
    history = fit(net, rows["train"], rows["val"], settings, AugmentSettings(), 5, folder, **more)  # type: ignore[arg-type]
    return history, net


def test_it_learns_what_can_be_learnt(pictures: Pictures, tmp_path: Path) -> None:
    _, net = run(pictures, tmp_path, replace(SETTINGS, epochs=12, patience=12))
    test = pictures.part("test")
    said = logits_of(net, pictures.images[test]).argmax(axis=1)
    assert (said == pictures.labels[test]).mean() > 0.8  # chance: 1/3


def test_the_same_seed_gives_the_same_numbers(pictures: Pictures, tmp_path: Path) -> None:
    first, net = run(pictures, tmp_path / "a")
    second, twin = run(pictures, tmp_path / "b")
    assert first == second
    np.testing.assert_array_equal(logits_of(net, pictures.images), logits_of(twin, pictures.images))


def test_a_resumed_fit_gives_the_numbers_of_an_uninterrupted_one(pictures: Pictures, tmp_path: Path) -> None:
    whole, net = run(pictures, tmp_path / "whole")

    def interrupt(step: Step) -> None:
        if step.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(pictures, tmp_path / "broken", progress=interrupt)
    begun: list[int] = []
    resumed, twin = run(pictures, tmp_path / "broken", progress=lambda s: begun.append(s.done))
    assert begun[0] == 2
    assert resumed == whole
    np.testing.assert_array_equal(logits_of(net, pictures.images), logits_of(twin, pictures.images))
    again, third = run(pictures, tmp_path / "broken")
    assert again == whole
    np.testing.assert_array_equal(logits_of(net, pictures.images), logits_of(third, pictures.images))


def test_it_stops_early_and_goes_back_to_the_best_epoch(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The validation losses are given, so that what is tested is what follows from them and not the luck of a fit."""
    said: list[np.ndarray] = []
    losses = iter([1.0, 0.5, 0.7, 0.6, 0.4])

    def given(logits: np.ndarray, labels: np.ndarray) -> float:
        said.append(logits)
        return next(losses)

    monkeypatch.setattr("spinecare.learn.fit.log_loss", given)
    history, net = run(pictures, tmp_path, replace(SETTINGS, epochs=12, patience=2))
    assert history.val_loss == [1.0, 0.5, 0.7, 0.6]
    assert history.best_epoch == 2
    now = logits_of(net, pictures.images[pictures.part("val")], fast=True)
    np.testing.assert_array_equal(now, said[1])
    assert not np.array_equal(now, said[3])
    assert not list(tmp_path.glob("last*"))  # the large checkpoint goes when the fit is done


def test_frozen_stages_keep_their_weights(pictures: Pictures, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build("vgg16", {"width": 4, "frozen": 2})
    before = [p.clone() for p in net.stages[:2].parameters()]
    rows = pictures.part("train")[:16]
    part = (pictures.images[rows], pictures.labels[rows])
    fit(net, part, part, FitSettings(epochs=1, batch=8), AugmentSettings(), 0, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, net.stages[:2].parameters(), strict=True))


def test_an_empty_part_is_said(pictures: Pictures, tmp_path: Path) -> None:
    none = (pictures.images[:0], pictures.labels[:0])
    with pytest.raises(TrainingError, match="0 training"):
        fit(fresh(), none, none, SETTINGS, AugmentSettings(), 0, tmp_path)
