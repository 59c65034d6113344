"""Level 0 of a run: every member fitted on every cut, and what it says about pictures that it did not see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from sklearn.ensemble import RandomForestClassifier

from spinecare.learn.crossval import Cut
from spinecare.learn.data import Pictures
from spinecare.learn.fit import fit, predict
from spinecare.learn.forest import fit_forest
from spinecare.learn.networks import NETWORKS, build
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import MemberRecipe, Progress, Step, TrainSettings
from spinecare.runtime.stack import softmax

Float = np.ndarray


@dataclass(frozen=True, eq=False)
class Fitted:
    """One member fitted on one cut: the network with its best weights, and its forest if it has one."""

    net: DeepMember
    forest: RandomForestClassifier | None

    def says(self, logits: Float, pooled: Float) -> Float:
        """Probabilities float64 (n, 3) from the network's two outputs."""
        return softmax(logits) if self.forest is None else self.forest.predict_proba(pooled)


def seed_of(settings: TrainSettings, member: str, cut: str) -> int:
    """One seed a member and cut, so that adding a member changes no other."""
    text = f"{settings.seed}/{member}/{cut}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:3], "big")


def fit_cut(
    recipe: MemberRecipe, cut: Cut, pictures: Pictures, settings: TrainSettings, work: Path, progress: Progress
) -> Fitted:
    """Fit one member on `cut.fit`, stopping early on the validation part; goes on where it was interrupted."""
    seed = seed_of(settings, recipe.name, cut.name)
    torch.manual_seed(seed)
    net = build(recipe.name, recipe.options)
    val = pictures.part("val")
    fit(
        net,
        (pictures.images[cut.fit], pictures.labels[cut.fit]),
        (pictures.images[val], pictures.labels[val]),
        recipe.fit,
        settings.augment,
        seed,
        work,
        progress,
        f"{recipe.name} {cut.name}",
    )
    forest = None
    if NETWORKS[recipe.name].kind == "deep_forest":
        # Pooled features of the fit part are kept: a resumed run gets the same forest without asking the network.
        _, pooled = _outputs(net, pictures, cut.fit, work / "fit_part.safetensors")
        forest = fit_forest(pooled, pictures.labels[cut.fit], settings.forest, seed)
    return Fitted(net, forest)


def say(
    fitted: Fitted, pictures: Pictures, rows: np.ndarray, work: Path, name: str, progress: Progress, stage: str
) -> Float:
    """A fitted member's probabilities float64 (n, 3) for `rows`, in float32 arithmetic; kept in the work folder."""
    progress(Step(f"{stage}: {name}", 0, 1))
    logits, pooled = _outputs(fitted.net, pictures, rows, work / f"{name}.safetensors")
    progress(Step(f"{stage}: {name}", 1, 1))
    return fitted.says(logits, pooled)


def _outputs(net: DeepMember, pictures: Pictures, rows: np.ndarray, kept: Path) -> tuple[Float, Float]:
    if not kept.exists():
        logits, pooled = predict(net, pictures.images[rows])
        part = kept.with_suffix(".part")
        save_file({"logits": logits, "pooled": pooled}, part)
        part.replace(kept)
    stored = load_file(kept)
    return stored["logits"], stored["pooled"]
