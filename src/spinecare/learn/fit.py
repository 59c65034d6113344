"""One network fitted: AdamW, warm-up and cosine, early stopping, and a checkpoint after each epoch."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from spinecare.errors import TrainingError
from spinecare.learn.augment import augment
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import AugmentSettings, FitSettings, Progress, Step, silent
from spinecare.scan import Float32


@dataclass
class History:
    """What happened so far: losses per epoch, and which epoch was best (from 1; 0 before any)."""

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    finished: bool = False

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self.val_loss)


def fit(
    net: DeepMember,
    train: tuple[Float32, np.ndarray],
    val: tuple[Float32, np.ndarray],
    settings: FitSettings,
    augmentation: AugmentSettings,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    stage: str = "fit",
) -> History:
    """Fit `net` in place; it ends with the weights of its best epoch on the validation part.

    Parameters
    ----------
    train, val
        Images float32 (n, height, width) in [0, 1], and labels int (n,) as positions in `LABELS`.
    seed
        With the epoch it decides every draw, so that a resumed fit gives the same numbers as an uninterrupted one.
    folder
        Checkpoints live here (`last`, `best` as safetensors, `history.json`); a fit that finds them goes on
        from the last finished epoch, or only loads the best weights when it had finished.

    Raises
    ------
    TrainingError
        When a part is empty, or the loss is no number any more.
    """
    if not len(train[1]) or not len(val[1]):
        raise TrainingError(f"{stage}: {len(train[1])} training and {len(val[1])} validation pictures; both need some.")
    folder.mkdir(parents=True, exist_ok=True)
    net.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(_groups(net, settings), weight_decay=settings.weight_decay)
    history = resume(net, optimiser, folder)
    steps = math.ceil(len(train[1]) / settings.batch)
    while not history.finished:
        epoch = history.epoch
        progress(Step(stage, epoch, settings.epochs, _remark(history)))
        loss = _epoch(net, optimiser, train, settings, augmentation, seed, epoch, steps)
        history.train_loss.append(loss)
        history.val_loss.append(log_loss(logits_of(net, val[0], fast=True), val[1]))
        if not math.isfinite(loss + history.val_loss[-1]):
            raise TrainingError(f"{stage}: the loss is no number after epoch {epoch + 1}. Try a lower learning rate.")
        if min(history.val_loss) == history.val_loss[-1]:
            history.best_epoch = epoch + 1
            save_tensors(net.state_dict(), folder / "best.safetensors")
        stale = history.epoch - history.best_epoch >= settings.patience
        history.finished = stale or history.epoch >= settings.epochs
        checkpoint(net, optimiser, history, folder)
    progress(Step(stage, settings.epochs, settings.epochs, _remark(history)))
    net.load_state_dict(load_file(folder / "best.safetensors"))
    net.eval()
    return history


def logits_of(net: DeepMember, images: Float32, batch: int = 64, fast: bool = False) -> Float32:
    """Logits float32 (n, 3) of images float32 (n, height, width); `fast` computes in bfloat16 where that pays."""
    return predict(net, images, batch, fast)[0]


def predict(net: DeepMember, images: Float32, batch: int = 64, fast: bool = False) -> tuple[Float32, Float32]:
    """Logits float32 (n, 3) and pooled features float32 (n, channels)."""
    net.eval()
    logits, pooled = [], []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=fast and bfloat16_pays()):
                out, features = net(_batch(images[start : start + batch]))
            logits.append(out.float().numpy())
            pooled.append(features.float().mean(dim=(2, 3)).numpy())
    return np.concatenate(logits), np.concatenate(pooled)


def log_loss(logits: Float32, labels: np.ndarray) -> float:
    """Mean negative log likelihood of the labels."""
    return float(functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))


def bfloat16_pays() -> bool:
    """Whether this processor multiplies bfloat16 natively; elsewhere it is emulated and slower than float32."""
    capable: dict[str, Any] = torch.cpu.get_capabilities()
    return bool(capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"))


def _batch(images: Float32) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None]


def _groups(net: DeepMember, settings: FitSettings) -> list[dict[str, Any]]:
    body = [p for p in net.stages.parameters() if p.requires_grad]
    return [
        {"params": body, "peak": settings.learning_rate},
        {"params": list(net.head.parameters()), "peak": settings.learning_rate * settings.head_rate},
    ]


def rate(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine to zero."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _epoch(
    net: DeepMember,
    optimiser: torch.optim.Optimizer,
    train: tuple[Float32, np.ndarray],
    settings: FitSettings,
    augmentation: AugmentSettings,
    seed: int,
    epoch: int,
    steps: int,
) -> float:
    images, labels = train
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    torch.manual_seed(seed * 100_003 + epoch)  # dropout draws from the global generator
    net.train()
    order = torch.randperm(len(labels), generator=generator).numpy()
    total = 0.0
    # Equal pieces: a last batch of one picture would break batch normalisation.
    for number, rows in enumerate(np.array_split(order, steps)):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate(epoch * steps + number, settings.epochs * steps, settings.warmup)
        x = augment(_batch(images[rows]), augmentation, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays()):
            logits, _ = net(x)
        loss = functional.cross_entropy(
            logits.float(), torch.from_numpy(labels[rows]), label_smoothing=settings.label_smoothing
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        total += loss.item() * len(rows)
    return total / len(labels)


def _remark(history: History) -> str:
    if not history.epoch:
        return ""
    return f"validation log loss {history.val_loss[-1]:.3f}, best {min(history.val_loss):.3f}"


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Written beside and then moved: an interrupt leaves the old file or the new one, never half a file."""
    part = path.with_suffix(".part")
    save_file({k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}, part)
    part.replace(path)


def checkpoint(net: nn.Module, optimiser: torch.optim.Optimizer, history: History, folder: Path) -> None:
    """Network, optimiser and history after an epoch, all in one file: they can't come from different epochs."""
    last = folder / "last.safetensors"
    if history.finished:
        _write_history(history, folder)
        last.unlink(missing_ok=True)
        return
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
    text = json.dumps(asdict(history)).encode()
    tensors["history"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    save_tensors(tensors, last)
    _write_history(history, folder)


def _write_history(history: History, folder: Path) -> None:
    part = folder / "history.part"
    part.write_text(json.dumps(asdict(history), indent=1))
    part.replace(folder / "history.json")


def resume(net: nn.Module, optimiser: torch.optim.Optimizer, folder: Path) -> History:
    """Load what `checkpoint` left into network and optimiser; an empty history where it left nothing."""
    written = folder / "history.json"
    if written.exists():
        history = History(**json.loads(written.read_text()))
        if history.finished:
            return history
    last = folder / "last.safetensors"
    if not last.exists():
        return History()
    tensors = load_file(last)
    net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".")
            state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return History(**json.loads(bytes(tensors["history"].numpy()).decode()))
