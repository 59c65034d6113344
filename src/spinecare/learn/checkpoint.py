"""What a fit leaves on disk after each epoch, and how it goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


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


def finished_fit(folder: Path) -> History | None:
    """The history of a fit that came to its end."""
    written = folder / "history.json"
    if not written.exists():
        return None
    history = History(**json.loads(written.read_text()))
    return history if history.finished else None


def resume(net: nn.Module, optimiser: torch.optim.Optimizer, folder: Path) -> History:
    """Load what `checkpoint` left into network and optimiser; an empty history where it left nothing."""
    ended = finished_fit(folder)
    if ended is not None:
        return ended
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
