"""Trivial models that any real one must beat."""

from __future__ import annotations

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spinecare.scan import Float32

THUMBNAIL = 14


def brightness(images: Float32) -> np.ndarray:
    """Minus the mean grey of each picture (n, height, width): higher for darker, so weaker bone."""
    return -images.mean(axis=(1, 2), dtype=np.float64)


def thumbnail(train: Float32, labels: np.ndarray, test: Float32) -> np.ndarray:
    """Probabilities (n, 3) of a logistic regression on 14 x 14 thumbnails, fitted on the training part."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model.fit(_small(train), labels)
    return model.predict_proba(_small(test))


def _small(images: Float32) -> np.ndarray:
    sizes = (THUMBNAIL, THUMBNAIL)
    return np.stack([cv2.resize(i, sizes, interpolation=cv2.INTER_AREA).ravel() for i in images])
