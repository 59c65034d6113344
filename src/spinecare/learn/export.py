"""Networks to ONNX, in float and in int8, each checked against what it came from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from spinecare.errors import TrainingError
from spinecare.learn.networks.base import DeepMember
from spinecare.scan import Float32

OPSET = 20
FLOAT_TOLERANCE = 1e-4
# Everything else (input normalisation, global average, head) stays in float: it costs nothing there.
QUANTISED_OPERATORS = ["Conv", "MaxPool", "Add"]


def export_network(net: DeepMember, path: Path, height: int, width: int) -> None:
    """Write the network as float32 ONNX: `image` (n, 1, height, width) → `logits` (n, 3), `features` (n, C, h, w).

    Raises
    ------
    TrainingError
        When ONNX Runtime's answer to four random pictures differs from torch's by more than 1e-4.
    """
    net.eval()
    frozen, net.frozen = net.frozen, 0
    try:
        write_onnx(net, torch.rand(2, 1, height, width), path, ["logits", "features"])
    finally:
        net.frozen = frozen
    images = np.random.default_rng(0).random((4, height, width), dtype=np.float32)
    with torch.inference_mode():
        wanted = [t.numpy() for t in net(torch.from_numpy(images)[:, None])]
    got = session(path).run(["logits", "features"], {"image": images[:, None]})
    # Features of VGG reach hundreds: their difference counts relative to their size.
    drift = max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max())) for a, b in zip(wanted, got, strict=True))
    if drift > FLOAT_TOLERANCE:
        raise TrainingError(f"{path.name}: ONNX Runtime differs from torch by {drift:.1e}; the export is not usable.")


def write_onnx(net: torch.nn.Module, example: torch.Tensor, path: Path, outputs: list[str]) -> None:
    """Write a network of one input, `image` of any number of pictures like `example` (n, ...), as float32 ONNX."""
    with _quiet():
        torch.onnx.export(
            net,
            (example,),
            path,
            input_names=["image"],
            output_names=outputs,
            dynamo=True,
            dynamic_shapes={"image": {0: torch.export.Dim("n")}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    # Exporters write where each node came from, with this machine's paths: not for others.
    model = onnx.load(path)
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    del model.graph.metadata_props[:]
    onnx.save(model, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's and the quantiser's remarks (torchvision is not there; pre-process first), known here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def session(model: Path | ModelProto, threads: int = 0) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_network(model: Path, images: Float32, batch: int = 16) -> tuple[Float32, Float32]:
    """Logits float32 (n, 3) and pooled features float32 (n, channels) of an exported network."""
    opened = session(model)
    logits, pooled = [], []
    for start in range(0, len(images), batch):
        piece = np.ascontiguousarray(images[start : start + batch, None])
        out, features = opened.run(["logits", "features"], {"image": piece})
        logits.append(out)
        pooled.append(features.mean(axis=(2, 3)))
    return np.concatenate(logits), np.concatenate(pooled)


class _Pictures(CalibrationDataReader):
    """Calibration pictures, one at a time."""

    def __init__(self, images: Float32) -> None:
        self._items: Iterator[Float32] = iter(images)

    def get_next(self) -> dict[str, Float32] | None:
        item = next(self._items, None)
        return None if item is None else {"image": item[None, None]}


def to_int8(source: Path, target: Path, images: Float32, exclude: tuple[str, ...] = ()) -> None:
    """Static int8: activations and weights (per channel), ranges from calibration pictures (n, height, width).

    Weights keep to seven bits: on processors without VNNI instructions eight would saturate inside ONNX Runtime's
    kernels and give other answers than here.
    """
    with _quiet():
        quantize_static(
            source,
            target,
            _Pictures(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED_OPERATORS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(exclude),
        )


def store_int8_weights(source: Path, target: Path) -> None:
    """Store float weights of convolutions as int8 (per channel, symmetric) before a DequantizeLinear.

    What they take part in is still computed in float. Convolutions that are quantised already stay as they are.
    """
    model = onnx.load(source)
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    added = []
    for node in graph.node:
        if node.op_type != "Conv" or node.input[1] not in stored:
            continue
        tensor = stored[node.input[1]]
        weight = numpy_helper.to_array(tensor)
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
        scale = (np.maximum(largest, 1e-12) / 127).astype(np.float32)
        whole = np.rint(weight / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.extend(
            [
                numpy_helper.from_array(whole, f"{name}.int8"),
                numpy_helper.from_array(scale, f"{name}.scale"),
                helper.make_tensor(f"{name}.zero", TensorProto.INT8, [len(scale)], bytes(len(scale)), raw=True),
            ]
        )
        parts = [f"{name}.int8", f"{name}.scale", f"{name}.zero"]
        added.append(helper.make_node("DequantizeLinear", parts, [name], name=f"{name}.dequantise", axis=0))
    for node in reversed(added):
        graph.node.insert(0, node)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def first_convolution(source: Path) -> str:
    """The name of the first convolution: on trained members most of int8's drift comes from there."""
    return next(str(node.name) for node in onnx.load(source).graph.node if node.op_type == "Conv")


def drift(before: np.ndarray, after: np.ndarray) -> dict[str, float | int]:
    """How far probabilities (n, 3) moved: largest and mean |Δp|, and how many likeliest classes flipped."""
    moved = np.abs(np.asarray(before) - np.asarray(after))
    return {
        "n": len(moved),
        "max_abs_dp": float(moved.max()),
        "mean_abs_dp": float(moved.mean()),
        "flips": int((np.argmax(before, axis=1) != np.argmax(after, axis=1)).sum()),
    }
