from __future__ import annotations

from dataclasses import replace

import numpy as np

from spinecare.learn.export import session
from spinecare.learn.forest import fit_forest, forest_to_onnx
from spinecare.learn.recipe import ForestSettings


def test_the_forests_onnx_says_what_scikit_learn_says_and_stays_small() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1700)
    features = rng.normal(0, 1, (1700, 512)).astype(np.float32)
    features[:, :8] += labels[:, None]
    settings = ForestSettings()
    forest = fit_forest(features, labels, replace(settings, trees=60), 0)
    model = forest_to_onnx(forest)
    new = rng.normal(0.5, 1, (64, 512)).astype(np.float32)
    (p,) = session(model).run(["probabilities"], {"features": new})
    np.testing.assert_allclose(p, forest.predict_proba(new), atol=1e-5)
    assert [o.name for o in model.graph.output] == ["probabilities"]
    assert len(model.SerializeToString()) * settings.trees / 60 < 3e6
