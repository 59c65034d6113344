from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from spinecare.learn.data import Pictures
from spinecare.learn.export import (
    drift,
    export_network,
    first_convolution,
    run_network,
    session,
    store_int8_weights,
    to_int8,
)
from spinecare.learn.fit import predict
from spinecare.learn.networks import NETWORKS, build
from spinecare.runtime.stack import softmax

SMALL = {"cnn": {"width": 8}, "vgg16": {"width": 8}, "resnet": {"width": 16, "blocks": (1, 1, 1, 1)}}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_onnx_runtime_says_what_torch_says(name: str, tmp_path: Path, pictures: Pictures) -> None:
    torch.manual_seed(0)
    net = build(name, SMALL[name] | ({"frozen": 2} if name == "vgg16" else {}))
    path = tmp_path / "net.onnx"
    export_network(net, path, 64, 32)
    for wanted, got in zip(predict(net, pictures.images), run_network(path, pictures.images), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4)
    graph = session(path)
    assert [i.name for i in graph.get_inputs()] == ["image"]
    assert isinstance(graph.get_inputs()[0].shape[0], str)  # any number of pictures at once
    assert {o.name for o in graph.get_outputs()} == {"logits", "features"}
    assert b"/site-packages/" not in path.read_bytes()

    # Quantised: close, smaller, and the same inputs and outputs.
    before = softmax(predict(net, pictures.images)[0])
    to_int8(path, tmp_path / "int8.onnx", pictures.images[:32])
    to_int8(path, tmp_path / "mixed.onnx", pictures.images[:32], (first_convolution(path),))
    store_int8_weights(tmp_path / "mixed.onnx", tmp_path / "mixed.onnx")
    store_int8_weights(path, tmp_path / "weights.onnx")
    for form in ("int8", "mixed", "weights"):
        small = tmp_path / f"{form}.onnx"
        assert drift(before, softmax(run_network(small, pictures.images)[0]))["max_abs_dp"] < 0.05
        assert small.stat().st_size < 0.7 * path.stat().st_size
        features = session(small).run(["features"], {"image": pictures.images[:2, None]})[0]
        assert features.shape[1] == net.head.in_features
    kept = [t for t in onnx.load(tmp_path / "weights.onnx").graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert len(kept) == 2 * sum(isinstance(m, torch.nn.Conv2d) for m in net.modules())


def test_drift_counts_what_moved() -> None:
    before = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]])
    after = np.array([[0.5, 0.3, 0.2], [0.35, 0.4, 0.25]])
    moved = drift(before, after)
    assert moved["max_abs_dp"] == pytest.approx(0.05)
    assert moved["flips"] == 1
    assert moved["n"] == 2
