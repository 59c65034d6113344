"""Whether a difference's interval holds what models trained on other scans would show: simulated studies, by hand.

`pytest -m slow -s tests/evaluate/test_widened.py` prints how often each kind of interval held the truth.
"""

from __future__ import annotations

import numpy as np
import pytest

from spinecare.evaluate import metrics as m
from spinecare.evaluate.bootstrap import draw, percentile_bounds
from spinecare.evaluate.compare import widened
from spinecare.evaluate.predictions import Figure

SCANS, FOLDS, REPEATS, STUDIES = 128, 5, 5, 80


def people(rng: np.random.Generator, n: int, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Ten measurements of n people, three of which tell the third that is ill."""
    ill = rng.permutation(np.arange(n) < n // 3)
    return rng.normal(size=(n, 10)) + signal * ill[:, None] * (np.arange(10) < 3), ill


def fitted(x: np.ndarray, ill: np.ndarray, columns: list[int], ridge: float) -> np.ndarray:
    """A linear discriminant on some columns."""
    weights = np.zeros(x.shape[1])
    x = x[:, columns]
    spread = np.cov(x.T) + ridge * np.eye(len(columns))
    weights[columns] = np.linalg.solve(spread, x[ill].mean(axis=0) - x[~ill].mean(axis=0))
    return weights


@pytest.mark.slow
@pytest.mark.parametrize(("signal", "ridge", "at_least"), [(0.6, 0.05, 0.85), (1.2, 2.0, 0.9)], ids=["weak", "strong"])
def test_widened_intervals_hold_the_difference(
    signal: float, ridge: float, at_least: float, request: pytest.FixtureRequest
) -> None:
    if "slow" not in request.config.getoption("markexpr"):
        pytest.skip("a simulation of minutes: pytest -m slow")
    rng = np.random.default_rng(0)
    models = [list(range(10)), [0, *range(3, 10)]]
    far, ill_far = people(rng, 5000, signal)
    seen = SCANS * (FOLDS - 1) // FOLDS
    truth = np.mean(
        [
            np.subtract(*[m.auc(ill_far, far @ fitted(x, ill, columns, ridge)) for columns in models])
            for x, ill in (people(rng, seen, signal) for _ in range(300))
        ]
    )
    held = np.zeros(2)
    for study in range(STUDIES):
        x, ill = people(rng, SCANS, signal)
        scores = np.zeros((REPEATS, 2, SCANS))
        for repeat in range(REPEATS):
            fold = rng.permutation(SCANS) % FOLDS
            for tested in (fold == f for f in range(FOLDS)):
                for model, columns in enumerate(models):
                    said = x @ fitted(x[~tested], ill[~tested], columns, ridge)
                    scores[repeat, model, tested] = said[tested] - said[~tested].mean()

        def difference(w: np.ndarray, ill: np.ndarray = ill, scores: np.ndarray = scores) -> dict[str, np.ndarray]:
            return {"": np.mean([m.auc(ill, a, w) - m.auc(ill, b, w) for a, b in scores], axis=0)}

        bounds = percentile_bounds(draw(difference, np.arange(SCANS), 300, study)[""])
        plain = Figure(float(difference(np.ones(SCANS))[""]), bounds.low, bounds.high, SCANS, SCANS)
        held += [one.low <= truth <= one.high for one in (plain, widened(plain, FOLDS))]
    print(f"difference {truth:.3f}: plain intervals held it in {held[0]:.0f}, widened in {held[1]:.0f} of {STUDIES}")
    assert held[0] < held[1]
    assert held[1] / STUDIES >= at_least
