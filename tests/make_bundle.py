"""A tiny, valid model bundle for tests: two deep members and a deep forest, made in milliseconds.

Not trained: it answers by the brightness of the picture, through the same files, graphs and hashes as a
real bundle. Needs `onnx` (the train extra).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from spinecare.bundle.schema import (
    CARD_FILE,
    HEADS_FILE,
    BundleSpec,
    CalibrationSpec,
    ConformalSpec,
    LevelsSpec,
    MemberSpec,
    StackSpec,
    seal,
)
from spinecare.settings import PrepareSettings

CHANNELS = 4
TINY_LEVELS = LevelsSpec(
    "levels.onnx", 64, 48, least_agreement=0.3, surest=0.8, trained_on="nothing: for tests", metrics={}
)
NETWORKS = ("cnn", "vgg16", "resnet")


def tiny_spec(**changes: Any) -> BundleSpec:
    """The spec of the tiny bundle, with some fields changed."""
    third = np.eye(3) / len(NETWORKS)
    spec = BundleSpec(
        name="spinecare-tiny",
        version="0.0.1",
        prepare=PrepareSettings(),
        members=(
            MemberSpec("cnn", "deep", "cnn.onnx"),
            MemberSpec("vgg16", "deep", "vgg16.onnx"),
            MemberSpec("resnet", "deep_forest", "resnet.onnx", forest="resnet_forest.onnx"),
        ),
        stack=StackSpec(NETWORKS, tuple(map(tuple, np.hstack([third] * 3).tolist())), (0.0, 0.0, 0.0)),
        calibration=CalibrationSpec(1.2),
        prevalence={"normal": 0.4, "low_bone_mass": 0.35, "osteoporosis": 0.25},
        assumed_prevalence={"normal": 0.4, "low_bone_mass": 0.4, "osteoporosis": 0.2},
        threshold=0.3,
        threshold_rule="chosen by hand, for tests",
        conformal=ConformalSpec(0.9, 0.75, "chosen by hand, for tests"),
        intended_use="Tests only.",
        trained_on="virtual patients only (n=0, not trained: for tests)",
        created="2025-01-01",
    )
    return replace(spec, **changes)


def make_bundle(folder: Path, **changes: Any) -> Path:
    """Write the tiny bundle into `folder` and return it; `changes` go to the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = tiny_spec(**changes)
    size = (spec.prepare.height, spec.prepare.width)
    rng = np.random.default_rng(2)
    heads: dict[str, np.ndarray] = {}
    for name in NETWORKS:
        kernel = rng.normal(size=(CHANNELS, 1, 3, 3)).astype(np.float32)
        weight = rng.normal(size=(3, CHANNELS)).astype(np.float32)
        bias = rng.normal(scale=0.1, size=3).astype(np.float32)
        heads |= {f"{name}.weight": weight, f"{name}.bias": bias}
        onnx.save(_network(size, kernel, weight, bias), folder / f"{name}.onnx")
    onnx.save(_forest(rng), folder / "resnet_forest.onnx")
    save_file(heads, folder / HEADS_FILE)
    if spec.levels is not None:
        onnx.save(level_network(spec.levels.rows, spec.levels.cols), folder / spec.levels.model)
    (folder / CARD_FILE).write_text("# A tiny bundle for tests\n", encoding="utf-8")
    seal(spec, folder)
    return folder


def level_network(rows: int, cols: int, classes: int = 7) -> onnx.ModelProto:
    """A level network that calls everything bright spine, and all of it L1 to L4 by the row it lies in."""
    half = np.linspace(0, 1, rows // 2)
    places = np.stack([half < 0.2, *[(half >= a) & (half < a + 0.15) for a in (0.2, 0.35, 0.5, 0.65)], half >= 0.8])
    order = [1, 2, 3, 4, 0, 5]  # L1-L4, above, below
    by_row = np.where(places[order], 0.0, -20.0)[None, :, :, None].astype(np.float32)
    nodes = [
        helper.make_node("MaxPool", ["image"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Sub", ["small", "middle"], ["signed"]),
        helper.make_node("Mul", ["signed", "steep"], ["bone"]),
        helper.make_node("Add", ["bone", "by_row"], ["spine"]),
        helper.make_node("Mul", ["bone", "zero"], ["background"]),
        helper.make_node("Concat", ["background", "spine"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = {
        "middle": np.array(0.4, np.float32),
        "steep": np.array(20.0, np.float32),
        "zero": np.array(0.0, np.float32),
        "by_row": by_row[:, : classes - 1],
    }
    shapes = {"probabilities": ["n", classes, rows // 2, cols // 2]}
    return _model(nodes, {"image": ["n", 1, rows, cols]}, shapes, weights)


def _network(size: tuple[int, int], kernel: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["map"], strides=[4, 4], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["map"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"], transB=1),
    ]
    weights = {"kernel": kernel, "weight": weight, "bias": bias}
    return _model(
        nodes,
        {"image": ["n", 1, *size]},
        {"logits": ["n", 3], "features": ["n", CHANNELS, "h", "w"]},
        weights,
    )


def _forest(rng: np.random.Generator) -> onnx.ModelProto:
    # A linear stand-in: what matters here are the names and shapes that a forest from skl2onnx has.
    nodes = [
        helper.make_node("Gemm", ["features", "weight"], ["scores"], transB=1),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    weight = rng.normal(size=(3, CHANNELS)).astype(np.float32)
    return _model(nodes, {"features": ["n", CHANNELS]}, {"probabilities": ["n", 3]}, {"weight": weight})


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in inputs.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
