"""Denoising calms grain and keeps edges; `off` changes nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from spinecare.prepare.denoise import denoise, noise_sigma
from spinecare.settings import Denoise


def step(seed: int = 0, sigma: float = 0.05) -> npt.NDArray[np.float32]:
    """A dark and a bright half with Gaussian noise."""
    image = np.full((192, 96), 0.3)
    image[:, 48:] = 0.7
    return np.clip(image + np.random.default_rng(seed).normal(0, sigma, image.shape), 0, 1).astype(np.float32)


def test_off_is_identity() -> None:
    image = step()
    assert denoise(image, "off") is image


@pytest.mark.parametrize("how", ["gaussian", "nlm", "wavelet"])
def test_noise_of_a_flat_patch_falls_and_the_edge_stays(how: Denoise) -> None:
    image = step()
    quiet = denoise(image, how)
    assert quiet.dtype == np.float32
    assert quiet.shape == image.shape
    assert quiet.min() >= 0
    assert quiet.max() <= 1
    assert quiet[:, :40].std() < 0.75 * image[:, :40].std()
    assert abs(quiet[:, :40].mean() - image[:, :40].mean()) < 0.005
    assert quiet[:, 50:54].mean() - quiet[:, 42:46].mean() > 0.35


@pytest.mark.parametrize("how", ["off", "gaussian", "nlm", "wavelet"])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_flat_stays_flat(how: Denoise, level: float) -> None:
    image = np.full((32, 24), level, np.float32)
    assert np.allclose(denoise(image, how), level, atol=1e-4)


def test_noise_sigma_of_known_noise() -> None:
    assert noise_sigma(step(sigma=0.03)) == pytest.approx(0.03, rel=0.1)


def test_unknown_name_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match="nlm"):
        denoise(step(), "median")  # type: ignore[arg-type]
