"""Whether several processes fit the network that one process fits, on the devices of this machine.

    python -m benchmarks.devices                          # one CPU process against two, and bfloat16 against float32
    python -m benchmarks.devices --against gpu gpu:2      # where there are GPUs
    python -m benchmarks.devices --width 24 --height 192 --pictures 400 --json devices.json

The same pictures, the same start, the same seed; then how far apart the two fits ended: their losses, their weights,
their answers. `moved` is how far the fit itself moved the weights, and `spread` how far answers on different pictures
lie apart: agreement means something beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinecare.learn.devices import Devices
from spinecare.learn.finetune import say
from spinecare.learn.fit import fit
from spinecare.learn.networks import build
from spinecare.learn.recipe import AugmentSettings, FitSettings

SEED = 7


def pictures(n: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """n pictures float32 (n, height, height / 2) whose class is the brightness of a band, and labels int64 (n,)."""
    rng = np.random.default_rng(SEED)
    width = height // 2
    labels = np.arange(n) % 3
    images = rng.normal(0.3, 0.05, (n, height, width))
    images[:, :, width // 3 : 2 * width // 3] += (0.4 - 0.15 * labels)[:, None, None]
    return np.clip(images, 0, 1).astype(np.float32), labels.astype(np.int64)


def one_fit(devices: Devices, asked: argparse.Namespace) -> dict[str, Any]:
    """Fit on `devices`: losses, weights at the end, probabilities (n, 3), seconds, and how far the weights moved."""
    torch.manual_seed(SEED)
    net = build("cnn", {"width": asked.width})
    start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    images, labels = pictures(asked.pictures + asked.pictures // 3, asked.height)
    cut = asked.pictures
    settings = FitSettings(epochs=asked.epochs, batch=asked.batch, learning_rate=2e-3)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        train, val = (images[:cut], labels[:cut]), (images[cut:], labels[cut:])
        history = fit(net, train, val, settings, AugmentSettings(), SEED, Path(folder), devices=devices)
        seconds = time.perf_counter() - began
    weights = net.state_dict()
    return {
        "losses": np.array([history.train_loss, history.val_loss]),
        "weights": weights,
        "said": say(net, images),
        "seconds": seconds,
        "moved": largest(weights, start),
    }


def largest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest difference of any weight or statistic; counts of batches are neither."""
    return max(float((one[k] - other[k]).abs().max()) for k in one if one[k].is_floating_point())


def compared(pairs: list[tuple[Devices, Devices]], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each pair of devices; what is fitted on once is fitted once."""
    fits: dict[Devices, dict[str, Any]] = {}
    rows = []
    for pair in pairs:
        for devices in pair:
            if devices not in fits:
                fits[devices] = one_fit(devices, asked)
        a, b = (fits[devices] for devices in pair)
        rows.append(
            {
                "one": str(pair[0]),
                "other": str(pair[1]),
                "loss": float(np.abs(a["losses"] - b["losses"]).max()),
                "weights": largest(a["weights"], b["weights"]),
                "probability": float(np.abs(a["said"] - b["said"]).max()),
                "moved": a["moved"],
                "spread": float(np.ptp(a["said"], axis=0).max()),
                "seconds": [round(a["seconds"], 2), round(b["seconds"], 2)],
            }
        )
    return rows


def shown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| one | other | loss | weights | probability | weights moved | spread | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = " | ".join(f"{row[key]:.1e}" for key in ("loss", "weights", "probability", "moved", "spread"))
        seconds = ", ".join(f"{value:.1f}" for value in row["seconds"])
        lines.append(f"| `{row['one']}` | `{row['other']}` | {figures} | {seconds} |")
    return "\n".join(lines)


def main() -> None:
    """Compare, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", nargs="*", default=[], help="devices to compare with one CPU process, in float32")
    parser.add_argument("--width", type=int, default=4, help="of the CNN")
    parser.add_argument("--height", type=int, default=64, help="of the pictures, in pixels")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    one = Devices.parse("cpu@float32")
    pairs = [(one, Devices.parse("cpu:2@float32")), (one, Devices.parse("cpu@bf16"))]
    if asked.against:
        pairs = [(one, Devices.parse(text if "@" in text else f"{text}@float32")) for text in asked.against]
    rows = compared(pairs, asked)
    print(
        f"CNN of width {asked.width}, {asked.pictures} pictures of {asked.height} x {asked.height // 2}, "
        f"{asked.epochs} epochs, batches of {asked.batch}; torch {torch.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(shown(rows))
    if asked.json:
        asked.json.write_text(json.dumps({"torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
