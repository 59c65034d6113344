"""The level network: fitted on virtual patients whose every pixel is known, exported, and measured as it ships."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from spinecare.bundle.read import LevelNetwork, open_level_network
from spinecare.bundle.schema import PARTS, LevelsSpec
from spinecare.errors import TrainingError
from spinecare.learn.export import FLOAT_TOLERANCE, first_convolution, session, store_int8_weights, to_int8, write_onnx
from spinecare.learn.fit import History, bfloat16_pays, checkpoint, rate, resume, save_tensors
from spinecare.learn.levels_augment import LevelsAugment, augment
from spinecare.learn.levels_data import MODEL_FILE, SPEC_FILE, Labelled, load_labelled, read_levels
from spinecare.learn.levels_net import Answering, LevelNet
from spinecare.learn.recipe import Progress, Step, silent
from spinecare.prepare.decode import read_parts
from spinecare.prepare.network import locate_by_network
from spinecare.prepare.spine import WORK_ROWS

if TYPE_CHECKING:
    import pandas as pd

BEST_FILE = "best.safetensors"
CALIBRATION_PICTURES = 64
# A boundary may move by this share of a level's height through int8, in 99 of 100 boundaries.
LARGEST_DRIFT = 0.03
# And this share of scans may be told in one form and refused in the other.
LARGEST_FLIPS = 0.02
# Scans are kept this much larger than the network takes them, so that zooming in finds detail.
SPARE = 1.2


@dataclass(frozen=True)
class LevelsSettings:
    """How the level network is fitted.

    Parameters
    ----------
    rows, cols
        Of the picture that it takes.
    features
        See `levels_net.LevelNet`.
    least_agreement, surest
        See `bundle.schema.LevelsSpec`. Chosen on the development half of spine_dxa (even groups), by
        `benchmarks/levels.py`.
    """

    rows: int = 160
    cols: int = 128
    features: tuple[int, ...] = (16, 32, 64, 128, 160, 24)
    epochs: int = 8
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: float = 0.1
    augment: LevelsAugment = field(default_factory=LevelsAugment)
    least_agreement: float = 0.5
    surest: float = 0.84
    seed: int = 0
    threads: int = 2
    int8: bool = True
    trained_on: str = "virtual patients only"


def train_levels(frame: pd.DataFrame, out: Path, settings: LevelsSettings, progress: Progress = silent) -> LevelsSpec:
    """Fit the level network on the training part of a virtual cohort, export it, and measure it on the test part.

    Called again with the same arguments after an interrupt it goes on from the last finished epoch.

    Parameters
    ----------
    frame
        As `io.dataset.read_manifest` returns it, with a `split` column (train, val, test); every scan has its label
        map beside it.
    out
        Folder for `levels.onnx`, `levels.json` (its entry for a bundle), and what a resumed run needs.

    Returns
    -------
    The entry.

    Raises
    ------
    TrainingError
        When the folder holds another run, or a part is empty.
    DatasetError
        When a scan has no label map.
    """
    torch.set_num_threads(settings.threads)
    out.mkdir(parents=True, exist_ok=True)
    _same_run(frame, out, settings)
    size = (_even(settings.rows * SPARE), _even(settings.cols * SPARE))
    scans = load_labelled(frame, size, out / "seen", settings.threads, progress)
    for part in ("train", "val", "test"):
        if not len(scans.part(part)):
            raise TrainingError(f"The {part} part has no scan. Give more virtual patients.")
    net = fit_levels(scans, settings, out / "work", progress)
    plain = out / "work" / MODEL_FILE
    export_levels(net, plain, settings)
    chosen, metrics = _packed(plain, out, scans, settings, progress)
    spec = replace(chosen, metrics=metrics)
    text = json.dumps(asdict(spec), indent=1, allow_nan=False)
    (out / SPEC_FILE).write_text(text + "\n", encoding="utf-8")
    return read_levels(out)


def _even(x: float) -> int:
    return 2 * round(x / 2)


def _same_run(frame: pd.DataFrame, out: Path, settings: LevelsSettings) -> None:
    config = json.loads(json.dumps({"settings": asdict(settings), "paths": [str(p) for p in frame["path"]]}))
    kept = out / "config.json"
    if kept.is_file() and json.loads(kept.read_text(encoding="utf-8")) != config:
        raise TrainingError(f"{out} holds another run. Give another --out, or the same cohort and settings.")
    kept.write_text(json.dumps(config) + "\n", encoding="utf-8")


def fit_levels(scans: Labelled, settings: LevelsSettings, folder: Path, progress: Progress = silent) -> LevelNet:
    """Fit the network: cross-entropy of every pixel, AdamW, warm-up and cosine; as last left."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    net = LevelNet(settings.features).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=settings.weight_decay)
    history = resume(net, optimiser, folder)
    train, val = scans.part("train"), scans.part("val")
    while not history.finished:
        epoch = history.epoch
        progress(Step("level network", epoch, settings.epochs, _remark(history)))
        history.train_loss.append(_epoch(net, optimiser, scans, train, settings, epoch))
        history.val_loss.append(_loss(net, scans, val, settings))
        if not math.isfinite(history.train_loss[-1] + history.val_loss[-1]):
            raise TrainingError(f"The level network's loss is no number after epoch {epoch + 1}.")
        # The rate falls to zero: the last epoch is the one that the schedule aims at.
        history.best_epoch = epoch + 1
        history.finished = history.epoch >= settings.epochs
        if history.finished:
            save_tensors(net.state_dict(), folder / BEST_FILE)
        checkpoint(net, optimiser, history, folder)
    progress(Step("level network", settings.epochs, settings.epochs, _remark(history)))
    net.load_state_dict(load_file(folder / BEST_FILE))
    net.eval()
    return net


def _remark(history: History) -> str:
    return f"validation log loss {history.val_loss[-1]:.3f}" if history.epoch else ""


def _epoch(
    net: LevelNet,
    optimiser: torch.optim.Optimizer,
    scans: Labelled,
    rows: np.ndarray,
    settings: LevelsSettings,
    epoch: int,
) -> float:
    generator = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
    order = rows[torch.randperm(len(rows), generator=generator).numpy()]
    steps = max(1, len(rows) // settings.batch)
    net.train()
    total = 0.0
    for number, piece in enumerate(np.array_split(order, steps)):
        share = rate(epoch * steps + number, settings.epochs * steps, settings.warmup)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * share
        images, parts = torch.from_numpy(scans.images[piece]), torch.from_numpy(scans.parts[piece])
        seed = torch.randint(2**62, (), generator=generator)
        made = augment(images, parts, (settings.rows, settings.cols), settings.augment, seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays()):
            logits = net(made.images.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float(), made.parts[:, ::2, ::2])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        total += loss.item() * len(piece)
    return total / len(rows)


def _loss(net: LevelNet, scans: Labelled, rows: np.ndarray, settings: LevelsSettings) -> float:
    """Mean log loss of the pixels, unvaried."""
    net.eval()
    total = 0.0
    size = (settings.rows, settings.cols)
    with torch.inference_mode():
        for piece in np.array_split(rows, math.ceil(len(rows) / 32)):
            parts = torch.from_numpy(scans.parts[piece])[:, None].float()
            wanted = functional.interpolate(parts, (size[0] // 2, size[1] // 2), mode="nearest-exact")[:, 0].long()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays()):
                logits = net(torch.from_numpy(at_size(scans.images[piece], size))[:, None])
            total += float(functional.cross_entropy(logits.float(), wanted)) * len(piece)
    return total / len(rows)


def at_size(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Kept pictures uint8 (n, rows, cols) as the network takes them: float32 (n, *size) in [0, 1]."""
    whole: Tensor = torch.from_numpy(images)[:, None].float() / 255.0
    return functional.interpolate(whole, size, mode="area")[:, 0].numpy()


def export_levels(net: LevelNet, path: Path, settings: LevelsSettings) -> None:
    """Write the network as float32 ONNX: `image` (n, 1, rows, cols) → `probabilities` (n, 7, rows / 2, cols / 2).

    Raises
    ------
    TrainingError
        When ONNX Runtime's answer to a random picture differs from torch's by more than 1e-4.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    answering = Answering(net).eval()
    write_onnx(answering, torch.rand(2, 1, settings.rows, settings.cols), path, ["probabilities"])
    image = np.random.default_rng(0).random((2, 1, settings.rows, settings.cols), dtype=np.float32)
    with torch.inference_mode():
        wanted = answering(torch.from_numpy(image)).numpy()
    drift = float(np.abs(session(path).run(None, {"image": image})[0] - wanted).max())
    if drift > FLOAT_TOLERANCE:
        raise TrainingError(f"{path.name}: ONNX Runtime differs from torch by {drift:.1e}; the export is not usable.")


def _packed(
    plain: Path, out: Path, scans: Labelled, settings: LevelsSettings, progress: Progress
) -> tuple[LevelsSpec, dict[str, Any]]:
    """The smallest form whose boundaries stay where the float network's are, written to `out`; and its numbers."""
    size = (settings.rows, settings.cols)
    train, test = scans.part("train"), scans.part("test")
    calibration = at_size(scans.images[train[np.linspace(0, len(train) - 1, CALIBRATION_PICTURES).astype(int)]], size)
    spec = LevelsSpec(MODEL_FILE, *size, settings.least_agreement, settings.surest, settings.trained_on, metrics={})
    out.mkdir(parents=True, exist_ok=True)
    target = out / MODEL_FILE
    forms = {
        "int8": lambda: to_int8(plain, target, calibration),
        "int8, first convolution computed in float": lambda: to_int8(
            plain, target, calibration, (first_convolution(plain),)
        ),
        "int8-weights": lambda: store_int8_weights(plain, target),
        "float32": lambda: target.write_bytes(plain.read_bytes()),
    }
    before = _found(open_level_network(spec, plain.read_bytes()), scans.images[test])
    tried: dict[str, Any] = {}
    after, precision = before, "float32"
    for number, precision in enumerate(forms if settings.int8 else ["float32"]):
        progress(Step("level network as ONNX", number, len(forms), precision))
        forms[precision]()
        after = _found(open_level_network(spec, target.read_bytes()), scans.images[test])
        tried[precision] = drift(before, after)
        if tried[precision]["p99"] <= LARGEST_DRIFT and tried[precision]["flips"] <= LARGEST_FLIPS:
            break
    progress(Step("level network as ONNX", len(forms), len(forms), precision))
    metrics = {
        "on": "virtual patients of the test part, overlays removed",
        **compare([true_boundaries(parts) for parts in scans.parts[test]], after),
        "drift": tried,
    }
    return replace(spec, precision=precision), metrics


def _found(network: LevelNetwork, images: np.ndarray) -> list[np.ndarray | None]:
    """Boundaries (5,) in rows of kept pictures uint8 (n, rows, cols), found as in a scan; None where refused."""
    found = []
    for image in images:
        located = locate_by_network(network, image.astype(np.float32) / 255, np.ones(image.shape, dtype=np.bool_))
        found.append(located.boundaries if located.levels else None)
    return found


def true_boundaries(parts: np.ndarray) -> np.ndarray | None:
    """The boundaries (5,) in rows of a label map uint8 (rows, cols), on the spine's centre line; None without one."""
    reading = read_parts((parts[None] == np.arange(len(PARTS))[:, None, None]).astype(np.float32))
    return None if reading is None else (reading.cut + 0.5) * len(parts) / WORK_ROWS - 0.5


def drift(before: list[np.ndarray | None], after: list[np.ndarray | None]) -> dict[str, float | int]:
    """How far boundaries moved, in level heights: 99th percentile and largest; `flips`: share told in one only."""
    both = [(b, a) for b, a in zip(before, after, strict=True) if b is not None and a is not None]
    one = sum((b is None) != (a is None) for b, a in zip(before, after, strict=True))
    every = np.array([np.abs(b - a) / np.diff(b).mean() for b, a in both]).ravel()
    return {
        "n": len(both),
        "flips": one / max(1, len(before)),
        "p99": float(np.quantile(every, 0.99)) if every.size else 0.0,
        "largest": float(every.max()) if every.size else 0.0,
    }


def compare(truth: list[np.ndarray | None], found: list[np.ndarray | None], within: float = 0.15) -> dict[str, Any]:
    """Boundaries that were told against the truth.

    Returns
    -------
    `scans`; `told`, their share; and of those told `all_five_within` and `misnumbered` (shares of scans, the second
    by more than half a level) and `boundaries_within`.
    """
    pairs = [(t, f) for t, f in zip(truth, found, strict=True) if t is not None]
    told = [(t, f) for t, f in pairs if f is not None]
    if not told:
        return {"scans": len(pairs), "told": 0.0}
    errors = np.array([(f - t) / np.diff(t).mean() for t, f in told])
    inside = np.abs(errors) <= within
    return {
        "scans": len(pairs),
        "told": len(told) / len(pairs),
        "boundaries_within": float(inside.mean()),
        "all_five_within": float(inside.all(axis=1).mean()),
        "misnumbered": float((np.abs(np.median(errors, axis=1)) > 0.5).mean()),
    }
