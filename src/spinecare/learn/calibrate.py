"""Calibration fitted: temperature, Platt, or isotonic where there are scans enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from spinecare.errors import TrainingError
from spinecare.learn.stack import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, fit_temperature
from spinecare.runtime.calibrate import temperature_scale
from spinecare.runtime.stack import LEAST_PROBABILITY, softmax
from spinecare.scan import LABELS

LEAST_ISOTONIC = 1000
METHODS = ("temperature", "platt", "isotonic")


@dataclass(frozen=True)
class Calibration:
    """Probabilities to calibrated ones.

    method
        One of `METHODS`.
    temperature
        softmax(log(p) / temperature + bias); 1 changes nothing.
    bias
        (3,), the first 0; Platt alone has it.
    steps
        Isotonic alone: for each class the breakpoints of its curve, ((p ...), (calibrated ...)).
    """

    method: str
    temperature: float = 1.0
    bias: tuple[float, ...] = (0.0, 0.0, 0.0)
    steps: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()

    def __call__(self, p: np.ndarray) -> np.ndarray:
        """Calibrated probabilities float64 (n, 3) of p (n, 3)."""
        if self.steps:
            curves = [np.interp(p[:, k], x, y) for k, (x, y) in enumerate(self.steps)]
            raised = np.clip(np.stack(curves, axis=1), LEAST_PROBABILITY, 1.0)
            return raised / raised.sum(axis=1, keepdims=True)
        if self.method == "temperature":
            return temperature_scale(p, self.temperature)
        return softmax(_logs(p) / self.temperature + np.array(self.bias))

    @property
    def about(self) -> str:
        """A phrase for reports."""
        if self.method == "temperature":
            return f"temperature {self.temperature:.2f}"
        if self.method == "platt":
            return f"Platt, slope {1 / self.temperature:.2f} and a bias for each class"
        return "isotonic regression for each class"


def fit_calibration(p: np.ndarray, labels: np.ndarray, method: str) -> Calibration:
    """Fit on probabilities (n, 3) of scans that the model had not seen.

    temperature
        Guo et al. 2017, arXiv:1706.04599: one number.
    platt
        Platt's slope and intercept, with three classes one slope and a bias for each: bias-corrected temperature
        scaling (Alexandari et al. 2020, arXiv:1901.06852).
    isotonic
        Each class against the rest, made to sum to 1 (Zadrozny and Elkan 2002, doi:10.1145/775047.775151).

    Raises
    ------
    TrainingError
        For another method, or isotonic on fewer than a thousand scans, where its steps follow chance.
    """
    if method == "temperature":
        return Calibration(method, fit_temperature(p, labels))
    if method == "platt":
        return _platt(p, labels)
    if method != "isotonic":
        raise TrainingError(f"There is no calibration {method!r}. Choose from {', '.join(METHODS)}.")
    if len(labels) < LEAST_ISOTONIC:
        raise TrainingError(
            f"Isotonic calibration needs {LEAST_ISOTONIC} scans and there are {len(labels)}. Use temperature or platt."
        )
    return Calibration(method, steps=tuple(_curve(p[:, k], labels == k) for k in range(len(LABELS))))


def _logs(p: np.ndarray) -> np.ndarray:
    return np.log(np.clip(p, LEAST_PROBABILITY, 1.0))


def _platt(p: np.ndarray, labels: np.ndarray) -> Calibration:
    logs, rows = _logs(p), np.arange(len(labels))

    def loss(free: np.ndarray) -> float:
        told = softmax(logs * free[0] + np.array([0.0, *free[1:]]))[rows, labels]
        return float(-np.log(np.maximum(told, 1e-300)).mean())

    bounds = [(1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE), (-10, 10), (-10, 10)]
    slope, *bias = minimize(loss, np.array([1.0, 0.0, 0.0]), method="L-BFGS-B", bounds=bounds).x
    return Calibration("platt", float(1 / slope), (0.0, *(float(b) for b in bias)))


def _curve(score: np.ndarray, positive: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, positive)
    return tuple(map(float, model.X_thresholds_)), tuple(map(float, model.y_thresholds_))
