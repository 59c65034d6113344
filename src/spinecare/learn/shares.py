"""What lets several processes compute one batch as one process would: each its share of the pictures.

Draws (order, augmentation, dropout) are made for the whole batch by the same generators everywhere, so that they don't
depend on how many processes there are; batch normalisation takes its statistics over all shares; gradients are averaged
by pictures. What is left is the order in which floating-point numbers are added.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spinecare.errors import TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def share(n: int, fabric: Fabric) -> slice:
    """This process's part of `n` rows: consecutive, parts as equal as can be.

    Raises
    ------
    TrainingError
        When there are fewer rows than processes.
    """
    if n < fabric.world_size:
        raise TrainingError(f"A batch of {n} pictures can't be shared by {fabric.world_size} devices. Use fewer.")
    part = np.array_split(np.arange(n), fabric.world_size)[fabric.global_rank]
    return slice(int(part[0]), int(part[-1]) + 1)


def whole(mine: Tensor, part: slice, n: int, fabric: Fabric) -> Tensor:
    """All `n` rows from every process's own: (part, …) → (n, …), the same in each process."""
    if fabric.world_size == 1:
        return mine
    rows = torch.zeros(n, *mine.shape[1:], dtype=mine.dtype, device=fabric.device)
    rows[part] = mine.to(fabric.device)
    torch.distributed.all_reduce(rows)
    return rows.to(mine.device)


def sharing(net: nn.Module, fabric: Fabric) -> Any:
    """The network itself for one process; for several, a copy whose batch normalisation and dropout know of the others.

    Parameters have the same names and values. torch's own SyncBatchNorm refuses CPUs; this one takes any device.
    """
    if fabric.world_size == 1:
        return net
    made = copy.deepcopy(net)
    for module in made.modules():
        # The class alone is exchanged: parameters, buffers and settings stay what they are.
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm
        elif type(module) is nn.Dropout:
            module.__class__ = SharedDropout
    return made


def say_share(net: nn.Module, part: slice, n: int) -> None:
    """Tell dropout which rows of a batch of `n` this process has."""
    for module in net.modules():
        if isinstance(module, SharedDropout):
            module.part, module.n = part, n


class _Sum(torch.autograd.Function):
    """Sum over the processes; so is its gradient, since each process's loss depends on every process's term."""

    @staticmethod
    def forward(ctx: Any, term: Tensor) -> Tensor:
        total = term.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) over the pictures of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → the same; float32 inside, whatever autocast says."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.float()
            own = torch.cat([wide.sum(dim=(0, 2, 3)), wide.new_tensor([wide.numel() / wide.shape[1]])])
            total = _Sum.apply(own)
            n = total[-1].detach()
            centred = wide - (total[:-1] / n)[:, None, None]
            # Centred before it is squared: the difference of two large sums would lose the digits.
            variance = _Sum.apply((centred**2).sum(dim=(0, 2, 3))) / n
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(total[:-1] / n, self.momentum)
                self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            scale = self.weight * torch.rsqrt(variance + self.eps)
            made = centred * scale[:, None, None] + self.bias[:, None, None]
        return made.to(x.dtype)


class SharedDropout(nn.Dropout):
    """Dropout whose draws are those of one process: made for the whole batch, the own rows taken."""

    part: slice = slice(None)
    n: int = 0

    def forward(self, x: Tensor) -> Tensor:
        """(own rows, …) → the same."""
        if not self.training or not self.p:
            return x
        kept = functional.dropout(torch.ones(self.n, *x.shape[1:], dtype=x.dtype, device=x.device), self.p)
        return x * kept[self.part]
