"""From the stack's probabilities to those that are shown: temperature, then prior shift."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinecare.runtime.stack import Float64, softmax


def temperature_scale(probabilities: npt.ArrayLike, temperature: float) -> Float64:
    """softmax(log(p) / temperature) over the last axis; 1 changes nothing.

    Guo et al., On calibration of modern neural networks, ICML 2017, arXiv:1706.04599.
    """
    # log(0) would be -inf; the smallest normal number keeps a hopeless class hopeless, and finite.
    p = np.clip(np.asarray(probabilities, dtype=np.float64), np.finfo(np.float64).tiny, 1.0)
    return softmax(np.log(p) / temperature)


def prior_shift(probabilities: npt.ArrayLike, prevalence: npt.ArrayLike, assumed_prevalence: npt.ArrayLike) -> Float64:
    """p x assumed / prevalence, made to add up to 1 over the last axis.

    Saerens, Latinne, Decaestecker, Adjusting the outputs of a classifier to new a priori
    probabilities, Neural Computation 14 (2002), doi:10.1162/089976602753284446, equation 2.4.

    Parameters
    ----------
    probabilities
        (..., 3), for a population with the class shares of training.
    prevalence, assumed_prevalence
        (3,), all above 0: the class shares in training and in the population that is asked about.
    """
    odds = np.asarray(assumed_prevalence, dtype=np.float64) / np.asarray(prevalence, dtype=np.float64)
    shifted: Float64 = np.asarray(probabilities, dtype=np.float64) * odds
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted
