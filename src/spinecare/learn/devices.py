"""Where networks are fitted: a processor, a GPU, several, several machines; told by one setting, done by Fabric.

One process leads: it reads, prepares, checkpoints, reports. The others only lend their device to each fit. Alone on a
machine the leader starts them for the time of a fit; under `torchrun` they were started with it (`conduct`). What the
processes compute together is the same batch that one would compute: see `learn.shares`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from spinecare.errors import TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VARIABLE = "SPINECARE_DEVICES"
# The leader may prepare scans for hours between two fits, while the others wait for its word.
PATIENCE = timedelta(days=2)
# Processes of one machine are given work at once: one that doesn't come in this time has failed. On a machine with too
# much to do, importing torch alone can take minutes.
LOCAL_PATIENCE = timedelta(minutes=30)

T = TypeVar("T")


@dataclass(frozen=True)
class Devices:
    """Devices of one fit.

    accelerator
        `cpu`, `gpu`, or `auto`: a GPU where there is one.
    devices
        On each machine; of a CPU: processes.
    nodes
        Machines. More than one need `torchrun`, which then says how many there are.
    precision
        `bf16`, `float32`, or `auto`: bfloat16 where the device multiplies it natively (autocast; weights, statistics
        and losses stay float32).
    """

    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: int = 1
    nodes: int = 1
    precision: Literal["auto", "bf16", "float32"] = "auto"

    @classmethod
    def parse(cls, text: str) -> Devices:
        """Read `cpu`, `cpu:2`, `gpu`, `gpu:4` or `auto`, with `@bf16` or `@float32` behind it if wished.

        Raises
        ------
        TrainingError
            For anything else.
        """
        found = re.fullmatch(r"(cpu|gpu|auto)(?::([1-9]\d*))?(?:@(auto|bf16|float32))?", text.strip())
        if found is None:
            raise TrainingError(
                f"{text!r} names no devices. Say cpu, cpu:2, gpu, gpu:4 or auto, and @float32 if wished."
            )
        accelerator, count, precision = found.groups()
        return cls(accelerator, int(count or 1), 1, precision or "auto")  # type: ignore[arg-type]

    @classmethod
    def asked(cls) -> Devices:
        """What the environment variable `SPINECARE_DEVICES` says; without it one CPU process."""
        return cls.parse(os.environ.get(VARIABLE) or "cpu")

    def __str__(self) -> str:
        """As `parse` reads it, machines (where torchrun counted them) as `x2`."""
        count = f":{self.devices}" if self.devices > 1 or self.nodes > 1 else ""
        machines = f"x{self.nodes}" if self.nodes > 1 else ""
        return f"{self.accelerator}{count}{machines}" + ("" if self.precision == "auto" else f"@{self.precision}")

    @property
    def world(self) -> int:
        """Processes of all machines."""
        return self.devices * self.nodes


CPU = Devices()


def wants_bfloat16(devices: Devices, kind: str) -> bool:
    """Whether a fit on a device of torch's `kind` multiplies in bfloat16."""
    return devices.precision == "bf16" or (devices.precision == "auto" and bfloat16_pays(kind))


def bfloat16_pays(device: str = "cpu") -> bool:
    """Whether this processor multiplies bfloat16 natively; elsewhere it is emulated and slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capable: dict[str, Any] = torch.cpu.get_capabilities()
    return device == "cpu" and bool(capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"))


def together(devices: Devices, work: Callable[..., T], *arguments: Any, **own: Any) -> T:
    """Call `work(fabric, *arguments)` in every process of `devices`; what it returned in this one.

    Parameters
    ----------
    work
        A function of a module (it travels by name). What it does must go the same way in each process: every sum over
        processes waits for all of them.
    arguments
        Sent to the other processes.
    own
        Keywords for this process alone: its files, its progress.

    Raises
    ------
    TrainingError
        When the devices are not there, or another process failed.
    """
    if _under_torchrun():
        if not torch.distributed.is_initialized():
            raise TrainingError("Under torchrun only `spinecare train` works: it alone shares its fits out.")
        return _with_all(_launched(_counted(devices), PATIENCE), work, arguments, own)
    if devices.nodes > 1:
        raise TrainingError(
            f"{devices} are {devices.nodes} machines: start the command on each with "
            f"`torchrun --nnodes {devices.nodes} --nproc-per-node {devices.devices} --rdzv-endpoint HOST:PORT "
            "--rdzv-backend c10d --no-python spinecare train …`."
        )
    if devices.world == 1:
        return work(_launched(devices, LOCAL_PATIENCE), *arguments, **own)
    with _crew(devices) as fabric:
        return _with_all(fabric, work, arguments, own)


def conduct(devices: Devices, command: Callable[[], T]) -> T | None:
    """Run a command whose fits are to use all processes that torchrun started; without torchrun just run it.

    Returns what the command returned in the leading process; None in the others, which lent their devices meanwhile.
    """
    if not _under_torchrun():
        return command()
    fabric = _launched(_counted(devices), PATIENCE)
    if fabric.global_rank:
        _lend(fabric)
        _leave(fabric)
        return None
    # An error ends this process, and torchrun then the others; only who gets to the end sends them home.
    result = command()
    fabric.broadcast(None)
    _leave(fabric)
    return result


def _leave(fabric: Fabric) -> None:
    """All leave the group together: one that exits while another's threads still listen can make that one abort."""
    fabric.barrier()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _with_all(fabric: Fabric, work: Callable[..., T], arguments: tuple[Any, ...], own: dict[str, Any]) -> T:
    fabric.broadcast((work, arguments))
    return work(fabric, *arguments, **own)


def _lend(fabric: Fabric) -> None:
    while (job := fabric.broadcast(None)) is not None:
        work, arguments = job
        # It is the leader's error just as well, and the leader tells it.
        with suppress(TrainingError):
            work(fabric, *arguments)


def _launched(devices: Devices, patience: timedelta) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    kind = _kind(devices)
    # Gloo for what travels as objects, so that processes which wait for work don't keep their GPUs busy waiting.
    shared = DDPStrategy(
        process_group_backend="cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo",
        timeout=patience,
    )
    fabric = Fabric(
        accelerator=kind,
        devices=devices.devices,
        num_nodes=devices.nodes,
        strategy=shared if devices.world > 1 else "auto",
        # Autocast stands in `learn.fit`, where it is told why.
        precision="32-true",
    )
    fabric.launch()
    return fabric


def _kind(devices: Devices) -> str:
    """Torch's name of the device, once it is sure that there are enough."""
    if devices.accelerator == "cpu":
        return "cpu"
    kind, there = ("cuda", torch.cuda.device_count()) if torch.cuda.is_available() else ("cpu", 0)
    if not there and torch.backends.mps.is_available():
        kind, there = "mps", 1
    if devices.accelerator == "auto" and not there:
        return "cpu"
    if there < devices.devices:
        raise TrainingError(
            f"{devices} asks for {devices.devices} GPUs; torch {torch.__version__} finds {there} here. "
            "Ask for fewer, for cpu, or install torch for your GPU."
        )
    return kind


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and _LOCAL not in os.environ


def _counted(devices: Devices) -> Devices:
    """Devices and machines as torchrun counts them: the setting need not say it again."""
    each, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if world % each:
        raise TrainingError("Every machine must lend the same number of devices: the same --nproc-per-node everywhere.")
    return replace(devices, devices=each, nodes=world // each)


_LOCAL = "SPINECARE_LOCAL_CREW"


def _as_torchrun_would(rank: int, devices: Devices, port: int) -> dict[str, str]:
    """The environment of one process of a crew on this machine."""
    told = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": devices.world,
        "LOCAL_WORLD_SIZE": devices.world,
        "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "spinecare",
        _LOCAL: 1,
    }
    if sys.platform == "linux":
        told["GLOO_SOCKET_IFNAME"] = "lo"
    return {key: str(value) for key, value in told.items()}


@contextmanager
def _crew(devices: Devices) -> Iterator[Fabric]:
    """This process and new ones beside it, until the block ends."""
    _kind(devices)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads, before = torch.get_num_threads(), dict(os.environ)
    each = max(1, threads // devices.devices)
    spawn = multiprocessing.get_context("spawn")
    others = [
        spawn.Process(target=_helper, args=(devices, _as_torchrun_would(rank, devices, port), each), daemon=True)
        for rank in range(1, devices.world)
    ]
    try:
        for other in others:
            other.start()
        torch.set_num_threads(each)
        os.environ |= _as_torchrun_would(0, devices, port)
        fabric = _launched(devices, LOCAL_PATIENCE)
        yield fabric
        fabric.broadcast(None)
        for other in others:
            other.join()
    except RuntimeError as error:
        failed = [other for other in others if other.exitcode]
        if not failed:
            raise
        raise TrainingError(
            "A process that lent its device ended; its message stands above. Finished epochs are kept: begin again."
        ) from error
    finally:
        for other in others:
            other.terminate()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ |= before
        torch.set_num_threads(threads)


def _helper(devices: Devices, environment: dict[str, str], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the leader, who ends this process
    os.environ |= environment
    torch.set_num_threads(threads)
    _lend(_launched(devices, LOCAL_PATIENCE))
    torch.distributed.destroy_process_group()
