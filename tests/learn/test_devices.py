from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from spinecare.errors import TrainingError
from spinecare.learn.devices import CPU, VARIABLE, Devices, conduct, together
from spinecare.learn.fit import History, fit, logits_of
from spinecare.learn.networks import build
from spinecare.learn.networks.base import DeepMember
from spinecare.learn.recipe import AugmentSettings, FitSettings, Step
from spinecare.learn.shares import SharedBatchNorm, SharedDropout, share, sharing

ONE = replace(CPU, precision="float32")
TWO = replace(ONE, devices=2)
QUICK = FitSettings(epochs=2, batch=8, learning_rate=2e-3)


def bands(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n pictures float32 (n, 64, 32) whose class is the brightness of a band, and their labels."""
    rng = np.random.default_rng(1)
    labels = np.arange(n) % 3
    images = rng.normal(0.3, 0.05, (n, 64, 32))
    images[:, :, 10:22] += (0.4 - 0.15 * labels)[:, None, None]
    return np.clip(images, 0, 1).astype(np.float32), labels.astype(np.int64)


def run(devices: Devices, folder: Path, settings: FitSettings = QUICK, **more: object) -> tuple[History, DeepMember]:
    torch.manual_seed(0)
    net = build("cnn", {"width": 4})
    images, labels = bands(33)
    train, val = (images[:24], labels[:24]), (images[24:], labels[24:])
    history = fit(net, train, val, settings, AugmentSettings(), 7, folder, devices=devices, **more)  # type: ignore[arg-type]
    return history, net


def test_two_processes_fit_the_network_of_one_even_when_interrupted(tmp_path: Path) -> None:
    """The same batches, draws, statistics and gradients: what is left is the order of additions in float32."""
    alone, net = run(ONE, tmp_path / "one")

    def interrupt(step: Step) -> None:
        if step.done == 1:
            raise KeyboardInterrupt

    # One process begins, two go on: the checkpoint is the leader's, and reaches the other process.
    with pytest.raises(KeyboardInterrupt):
        run(ONE, tmp_path / "two", progress=interrupt)
    shared, twin = run(TWO, tmp_path / "two")
    np.testing.assert_allclose(shared.train_loss, alone.train_loss, atol=1e-6)
    np.testing.assert_allclose(shared.val_loss, alone.val_loss, atol=1e-6)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], tensor, atol=1e-5, rtol=0, msg=name)
    # Something was learnt, or agreement would say little.
    moved = (net.state_dict()["stages.0.1.weight"] - start().state_dict()["stages.0.1.weight"]).abs().max()
    assert moved > 1e-3
    images, _ = bands(33)
    np.testing.assert_allclose(logits_of(twin, images), logits_of(net, images), atol=1e-5)
    assert not torch.distributed.is_initialized()


def start() -> DeepMember:
    torch.manual_seed(0)
    return build("cnn", {"width": 4})


def test_torchrun_shares_the_fits_of_one_command_and_gives_its_numbers(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        f"import sys, torch; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from pathlib import Path\n"
        "from test_devices import ONE, run\n"
        "from spinecare.learn.devices import conduct\n"
        "def command():\n"
        f"    losses = [run(ONE, Path({str(tmp_path)!r}) / str(i))[0].val_loss for i in range(2)]\n"
        "    return losses, torch.distributed.get_world_size()\n"
        "told = conduct(ONE, command)\n"
        "if told is not None: print('leader', *told)\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(torchrun, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = [line for line in done.stdout.splitlines() if line.startswith("leader")]
    assert len(said) == 1
    assert said[0].endswith(" 2")
    losses = np.array(eval(said[0].removeprefix("leader").removesuffix("2")))
    np.testing.assert_allclose(losses, [run(ONE, tmp_path / "one")[0].val_loss] * 2, atol=1e-6)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_shared_batch_normalisation_is_torchs() -> None:
    """Values, gradients and running statistics, in training and after, against torch's own."""
    torch.manual_seed(0)
    ours, theirs = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    for norm in (ours, theirs):
        nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    ours.__class__ = SharedBatchNorm
    x = torch.randn(5, 3, 6, 4) * 3 + 10
    upstream = torch.randn(5, 3, 6, 4)
    got = []
    for norm in (ours, theirs):
        for _ in range(3):
            own = x.clone().requires_grad_()
            norm.zero_grad()
            out = norm(own)
            out.backward(upstream)
        stats = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
        got.append([out, own.grad, norm.weight.grad, norm.bias.grad, *stats, norm.eval()(x)])
    for a, b in zip(*got, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=2e-5)


def test_shared_dropout_draws_for_the_whole_batch() -> None:
    x = torch.rand(7, 5) + 1
    torch.manual_seed(3)
    whole = nn.Dropout(0.4)(x)
    pieces = []
    for part in (slice(0, 4), slice(4, 7)):
        dropout = nn.Dropout(0.4)
        dropout.__class__ = SharedDropout
        dropout.part, dropout.n = part, 7
        torch.manual_seed(3)
        pieces.append(dropout(x[part]))
    torch.testing.assert_close(torch.cat(pieces), whole, atol=0, rtol=0)


def test_shares_are_disjoint_and_whole() -> None:
    parts = [share(10, SimpleNamespace(world_size=4, global_rank=rank)) for rank in range(4)]  # type: ignore[arg-type]
    assert np.concatenate([np.arange(10)[part] for part in parts]).tolist() == list(range(10))
    with pytest.raises(TrainingError, match="batch of 3 pictures"):
        share(3, SimpleNamespace(world_size=4, global_rank=0))  # type: ignore[arg-type]


def test_alone_a_network_stays_what_it_is() -> None:
    net = start()
    assert sharing(net, SimpleNamespace(world_size=1)) is net  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["cpu", "cpu:2", "gpu", "gpu:4@bf16", "auto", "cpu@float32"])
def test_one_setting_names_devices(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices.parse(text)
    assert str(devices) == text
    monkeypatch.setenv(VARIABLE, text)
    assert Devices.asked() == devices


@pytest.mark.parametrize("text", ["", "tpu", "cpu:0", "gpu:two", "cpu@int8"])
def test_what_names_no_devices_is_said(text: str) -> None:
    with pytest.raises(TrainingError, match="names no devices"):
        Devices.parse(text)


def test_devices_that_are_not_there_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="finds 0 here"):
        together(Devices("gpu"), len)
    with pytest.raises(TrainingError, match="torchrun --nnodes 2"):
        together(Devices(nodes=2), len)


def test_without_torchrun_a_command_just_runs() -> None:
    assert conduct(CPU, lambda: 5) == 5
