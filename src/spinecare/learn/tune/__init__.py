"""Tuning: options searched inside a training part, or on virtual patients."""

from __future__ import annotations

from spinecare.learn.tune.outcome import Tuned
from spinecare.learn.tune.run import training_rows, tune, tune_rows
from spinecare.learn.tune.search import SearchSettings

__all__ = ["SearchSettings", "Tuned", "training_rows", "tune", "tune_rows"]
