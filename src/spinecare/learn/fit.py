"""One network fitted: AdamW, warm-up and cosine, early stopping, and a checkpoint after each epoch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from spinecare.errors import TrainingError
from spinecare.learn.augment import augment
from spinecare.learn.checkpoint import History, checkpoint, finished_fit, resume, save_tensors
from spinecare.learn.devices import CPU, Devices, bfloat16_pays, together, wants_bfloat16
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import AugmentSettings, FitSettings, Progress, Step, silent
from spinecare.learn.shares import say_share, share, sharing, whole
from spinecare.scan import Float32

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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
    devices: Devices | None = None,
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
    devices
        Where to compute; None: where `Devices.asked` says. A batch stays `settings.batch` pictures, however many
        devices share it.

    Raises
    ------
    TrainingError
        When a part is empty, the loss is no number any more, or the devices are not there.
    """
    if not len(train[1]) or not len(val[1]):
        raise TrainingError(f"{stage}: {len(train[1])} training and {len(val[1])} validation pictures; both need some.")
    folder.mkdir(parents=True, exist_ok=True)
    history = finished_fit(folder)
    if history is None:
        devices = devices or Devices.asked()
        told = (net, train, val, settings, augmentation, seed, devices, stage)
        history = together(devices, _fit, *told, folder=folder, progress=progress)
    progress(Step(stage, settings.epochs, settings.epochs, _remark(history)))
    net.to("cpu", memory_format=torch.channels_last)
    net.load_state_dict(load_file(folder / "best.safetensors"))
    net.eval()
    return history


def _fit(
    fabric: Fabric,
    net: DeepMember,
    train: tuple[Float32, np.ndarray],
    val: tuple[Float32, np.ndarray],
    settings: FitSettings,
    augmentation: AugmentSettings,
    seed: int,
    devices: Devices,
    stage: str,
    folder: Path | None = None,
    progress: Progress = silent,
) -> History:
    """One process's part; `folder` in the leading process alone. All come to the same history and weights."""
    course = Course(fabric, net, settings, augmentation, seed, len(train[1]), devices)
    history = resume(course.net, course.optimiser, folder) if folder else History()
    history = course.level_with_leader(history)
    while not history.finished:
        epoch = history.epoch
        progress(Step(stage, epoch, settings.epochs, _remark(history)))
        history.train_loss.append(course.epoch(train, epoch))
        history.val_loss.append(log_loss(course.logits(val[0]), val[1]))
        if not math.isfinite(history.train_loss[-1] + history.val_loss[-1]):
            raise TrainingError(f"{stage}: the loss is no number after epoch {epoch + 1}. Try a lower learning rate.")
        best = min(history.val_loss) == history.val_loss[-1]
        if best:
            history.best_epoch = epoch + 1
        stale = history.epoch - history.best_epoch >= settings.patience
        history.finished = stale or history.epoch >= settings.epochs
        if folder:
            if best:
                save_tensors(course.net.state_dict(), folder / "best.safetensors")
            checkpoint(course.net, course.optimiser, history, folder)
    return history


class Course:
    """A network on its devices with its optimiser and its schedule: what goes from epoch to epoch.

    Parameters
    ----------
    fabric
        A launched Lightning Fabric; each process of it makes the same course and calls the same things.
    n
        Training pictures.
    """

    def __init__(
        self,
        fabric: Fabric,
        net: DeepMember,
        settings: FitSettings,
        augmentation: AugmentSettings,
        seed: int,
        n: int,
        devices: Devices = CPU,
    ) -> None:
        self.fabric, self.settings, self.augmentation, self.seed = fabric, settings, augmentation, seed
        self.net: DeepMember = sharing(net.to(memory_format=torch.channels_last), fabric)
        self.model = fabric.setup_module(self.net)
        self.optimiser = torch.optim.AdamW(_groups(self.net, settings), weight_decay=settings.weight_decay)
        self.steps = math.ceil(n / settings.batch)
        # The leader decides for all: machines may differ.
        self.bf16: bool = fabric.broadcast(wants_bfloat16(devices, fabric.device.type))

    def level_with_leader(self, history: History) -> History:
        """Only the leader found a checkpoint; weights, optimiser and history go from it to the others."""
        if self.fabric.world_size == 1:
            return history
        found = (self.net.state_dict(), self.optimiser.state_dict(), history) if not self.fabric.global_rank else None
        weights, optimiser, history = self.fabric.broadcast(found)
        self.net.load_state_dict(weights)
        self.optimiser.load_state_dict(optimiser)
        return history

    def epoch(self, train: tuple[Float32, np.ndarray], epoch: int) -> float:
        """One pass over the training pictures, every batch shared by all processes; the mean loss."""
        images, labels = train
        fabric, settings, device = self.fabric, self.settings, self.fabric.device
        order, draws = self._generators(epoch)
        self.net.train()
        for stage in self.net.stages[: self.net.frozen]:
            stage.eval()  # what is frozen keeps its statistics too
        total = 0.0
        # Equal pieces: a last batch of one picture would break batch normalisation.
        rows_of = np.array_split(torch.randperm(len(labels), generator=order).numpy(), self.steps)
        for number, rows in enumerate(rows_of):
            for group in self.optimiser.param_groups:
                done = epoch * self.steps + number
                group["lr"] = group["peak"] * rate(done, settings.epochs * self.steps, settings.warmup)
            part = share(len(rows), fabric)
            say_share(self.net, part, len(rows))
            with device:  # draws are made where the generator lives
                x = augment(_batch(images[rows]).to(device), self.augmentation, draws)[part]
            # Autocast and not Fabric's precision, which would round the pictures themselves to bfloat16's 8 bits.
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
                logits, _ = self.model(x.contiguous(memory_format=torch.channels_last))
            wanted = torch.from_numpy(labels[rows[part]]).to(device)
            loss = functional.cross_entropy(logits.float(), wanted, label_smoothing=settings.label_smoothing)
            # Fabric averages over processes; their shares may differ by a picture.
            loss = loss * (len(wanted) * fabric.world_size / len(rows))
            self.optimiser.zero_grad(set_to_none=True)
            fabric.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            self.optimiser.step()
            total += loss.item() * len(rows)
        here = slice(fabric.global_rank, fabric.global_rank + 1)
        every = whole(torch.tensor([total], dtype=torch.float64), here, fabric.world_size, fabric)
        return float(every.mean()) / len(labels)

    def logits(self, images: Float32) -> Float32:
        """Logits float32 (n, 3) of images float32 (n, height, width), each process computing its share."""
        if len(images) < self.fabric.world_size:
            return logits_of(self.net, images, fast=self.bf16)
        part = share(len(images), self.fabric)
        mine = torch.from_numpy(logits_of(self.net, images[part], fast=self.bf16))
        return whole(mine, part, len(images), self.fabric).numpy()

    def _generators(self, epoch: int) -> tuple[torch.Generator, torch.Generator]:
        """For the order, and for augmentation: one and the same on a CPU. Dropout draws from the global one."""
        seed = self.seed * 100_003 + epoch
        torch.manual_seed(seed)
        order = torch.Generator().manual_seed(seed)
        if self.fabric.device.type == "cpu":
            return order, order
        return order, torch.Generator(self.fabric.device).manual_seed(seed)


def logits_of(net: DeepMember, images: Float32, batch: int = 64, fast: bool = False) -> Float32:
    """Logits float32 (n, 3) of images float32 (n, height, width); `fast` computes in bfloat16 where that pays."""
    return predict(net, images, batch, fast)[0]


def predict(net: DeepMember, images: Float32, batch: int = 64, fast: bool = False) -> tuple[Float32, Float32]:
    """Logits float32 (n, 3) and pooled features float32 (n, channels)."""
    net.eval()
    device = next(net.parameters()).device
    logits, pooled = [], []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=fast and bfloat16_pays(device.type)):
                out, features = net(_batch(images[start : start + batch]).to(device))
            logits.append(out.float().cpu().numpy())
            pooled.append(features.float().mean(dim=(2, 3)).cpu().numpy())
    return np.concatenate(logits), np.concatenate(pooled)


def log_loss(logits: Float32, labels: np.ndarray) -> float:
    """Mean negative log likelihood of the labels."""
    return float(functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))


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


def _remark(history: History) -> str:
    if not history.epoch:
        return ""
    return f"validation log loss {history.val_loss[-1]:.3f}, best {min(history.val_loss):.3f}"
