"""The random forest on a deep member's pooled features, and its ONNX."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

from spinecare.learn.recipe import ForestSettings
from spinecare.scan import Float32

OPSET = {"": 17, "ai.onnx.ml": 3}


def fit_forest(features: Float32, labels: np.ndarray, settings: ForestSettings, seed: int) -> RandomForestClassifier:
    """A forest on pooled features float32 (n, channels); all three classes must be among `labels`."""
    forest = RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_samples_leaf,
        random_state=seed,
        n_jobs=1,
    )
    return forest.fit(features, labels)


def forest_to_onnx(forest: RandomForestClassifier) -> ModelProto:
    """ONNX: `features` float32 (n, channels) → `probabilities` float32 (n, 3)."""
    model = to_onnx(
        forest,
        initial_types=[("features", FloatTensorType([None, forest.n_features_in_]))],
        options={id(forest): {"zipmap": False, "output_class_labels": False}},
        target_opset=OPSET,
    )
    # The label output is of no use: the category follows from probabilities and threshold.
    keep = [output for output in model.graph.output if output.name == "probabilities"]
    del model.graph.output[:]
    model.graph.output.extend(keep)
    return model
