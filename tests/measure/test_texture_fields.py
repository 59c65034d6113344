"""Gabor energies, gradients, roughness and variograms of fields whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import structure_tensor
from skimage.filters import gabor as gabor_filter

from spinecare.measure.texture import fractal, gabor, gradients, variogram
from spinecare.measure.texture.regions import Window
from spinecare.scan import Float32


def surface(hurst: float, rng: np.random.Generator) -> Float32:
    """40 x 40 pixels out of a fractional Brownian surface of 256 x 256, by its spectrum f^-(2 hurst + 2)."""
    f = np.hypot(np.fft.fftfreq(256)[:, np.newaxis], np.fft.fftfreq(256)[np.newaxis, :])
    f[0, 0] = np.inf
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(256, 256))) * f ** -(hurst + 1.0)).real
    return field[50:90, 60:100].astype(np.float32)


@pytest.mark.parametrize(("wavelength", "angle"), [(3, 0), (6, 45), (12, 90), (24, 135)])
def test_gabor_energy_is_that_of_the_picture_filtered_by_scikit_image(wavelength: int, angle: int) -> None:
    region = np.random.default_rng(0).normal(size=(48, 40)).astype(np.float32)
    # On enough black ground, so that nothing is lost over the rim.
    ground = np.pad(region, 80).astype(np.float64)
    real, imaginary = gabor_filter(ground, 1.0 / wavelength, np.deg2rad(angle), bandwidth=1.0, mode="constant")
    found = gabor.energies(region)[gabor.NAMES.index(f"w{wavelength}_a{angle}")]
    assert found == pytest.approx(float((real**2 + imaginary**2).sum()), rel=1e-4)


@pytest.mark.parametrize("wavelength", gabor.WAVELENGTHS)
@pytest.mark.parametrize("angle", gabor.ANGLES_DEG)
def test_a_wave_is_found_by_its_own_filter(wavelength: int, angle: int) -> None:
    rows, cols = np.mgrid[:192, :40]
    a = np.deg2rad(angle)
    wave = np.cos(2 * np.pi * (cols * np.cos(a) + rows * np.sin(a)) / wavelength)
    found = gabor.gabor(wave.astype(np.float32))
    assert gabor.NAMES[int(found.argmax())] == f"w{wavelength}_a{angle}"


def whole(picture: np.ndarray) -> dict[str, float]:
    inner = Window(8, picture.shape[0] - 8, 8, picture.shape[1] - 8)
    return dict(zip(gradients.NAMES, gradients.gradients(picture.astype(np.float32), [inner])[0], strict=True))


def test_a_ramp_is_as_steep_as_it_is_and_runs_one_way() -> None:
    rows, cols = np.mgrid[:96, :64].astype(np.float64)
    found = whole(0.003 * cols + 0.004 * rows)
    assert found["steepness"] == pytest.approx(0.005, rel=1e-3)
    assert found["vertical_share"] == pytest.approx(0.64, rel=1e-3)
    assert found["coherence_s1"] == pytest.approx(1.0, abs=1e-3)
    assert found["edge_density"] == 0.0
    assert found["laplace_of_std"] == pytest.approx(0.0, abs=1e-3)


def test_noise_runs_no_way_over_a_wide_scale() -> None:
    found = whole(np.random.default_rng(0).normal(size=(192, 96)))
    assert found["vertical_share"] == pytest.approx(0.5, abs=0.01)
    assert found["coherence_s3"] < found["coherence_s1"] < 0.35
    # Lengths of two independent normals (Rayleigh): cv 0.523, and exp(-4 ln 2) of them beyond twice their median.
    assert found["steepness_cv"] == pytest.approx(np.sqrt(4.0 / np.pi - 1.0), abs=0.02)
    assert found["edge_density"] == pytest.approx(1.0 / 16.0, abs=0.01)


def test_coherence_is_that_of_the_structure_tensor_of_scikit_image() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(1).normal(size=(96, 80)).astype(np.float32), (0, 0), 1.5)
    # Theirs differentiates by Sobel; on a smooth picture that is nearly Scharr.
    rr, rc, cc = structure_tensor(picture.astype(np.float64), sigma=3, mode="reflect", order="rc")
    theirs = (((rr - cc) ** 2 + 4 * rc**2) / (rr + cc) ** 2)[8:-8, 8:-8].mean()
    assert whole(picture)["coherence_s3"] == pytest.approx(theirs, rel=0.03)


def test_steepness_is_that_of_the_weights_of_scharr() -> None:
    picture = np.random.default_rng(2).random((60, 60))
    weights = np.outer([3, 10, 3], [-1, 0, 1]) / 32.0
    across, down = ndimage.correlate(picture, weights), ndimage.correlate(picture, weights.T)
    assert whole(picture)["steepness"] == pytest.approx(np.hypot(across, down)[8:-8, 8:-8].mean(), rel=1e-5)


def test_dimension_of_a_plane_is_two_and_of_rougher_surfaces_more() -> None:
    rows, cols = np.mgrid[:40, :40]
    assert fractal.dimension((2.0 * rows + 3.0 * cols).astype(np.float32)) == pytest.approx(2.0, abs=1e-6)
    rng = np.random.default_rng(0)
    by_hurst = {h: np.mean([fractal.dimension(surface(h, rng)) for _ in range(10)]) for h in (0.1, 0.5, 0.9)}
    # 2.9, 2.5 and 2.1; small pictures of rough surfaces come out too smooth, as the docstring says.
    assert by_hurst[0.9] == pytest.approx(2.1, abs=0.1)
    assert by_hurst[0.5] == pytest.approx(2.5, abs=0.22)
    assert by_hurst[0.1] > by_hurst[0.5] + 0.1 > by_hurst[0.9] + 0.2


def test_dimension_by_walking_windows() -> None:
    picture = np.random.default_rng(4).random((40, 40)).astype(np.float32)
    log_range = []
    for reach in fractal.REACHES:
        spans = [
            np.ptp(picture[r - reach : r + reach + 1, c - reach : c + reach + 1])
            for r in range(reach, 40 - reach)
            for c in range(reach, 40 - reach)
        ]
        log_range.append(np.log(np.mean(spans)))
    slope = np.linalg.lstsq(np.c_[np.log(fractal.REACHES), np.ones(6)], np.array(log_range), rcond=None)[0][0]
    assert fractal.dimension(picture) == pytest.approx(3.0 - slope, rel=1e-5)


@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.8])
def test_spectrum_slope_of_fractional_brownian_surfaces(hurst: float) -> None:
    rng = np.random.default_rng(1)
    found = np.mean([fractal.spectrum_slope(surface(hurst, rng)) for _ in range(30)])
    assert found == pytest.approx(2.0 * hurst + 2.0, abs=0.25)


def test_spectrum_of_white_noise_is_flat() -> None:
    rng = np.random.default_rng(2)
    found = np.mean([fractal.spectrum_slope(rng.normal(size=(40, 40)).astype(np.float32)) for _ in range(30)])
    assert found == pytest.approx(0.0, abs=0.2)


def vario(picture: np.ndarray) -> dict[str, float]:
    return dict(zip(variogram.NAMES, variogram.variogram(picture.astype(np.float32)), strict=True))


def test_variogram_by_pairs() -> None:
    picture = np.random.default_rng(0).random((20, 18)).astype(np.float32)
    for lag, found in zip(variogram.LAGS, variogram.gammas(picture), strict=True):
        pairs = [(picture[r, c], picture[r + lag, c]) for r in range(20 - lag) for c in range(18)]
        assert found == pytest.approx(0.5 * np.mean([(float(a) - float(b)) ** 2 for a, b in pairs]), rel=1e-6)


def test_variogram_of_noise_walks_and_ramps() -> None:
    rng = np.random.default_rng(1)
    noise = vario(rng.normal(size=(192, 96)))
    assert noise["vertical_log_g1"] == pytest.approx(0.0, abs=0.02)
    assert noise["horizontal_near_slope"] == pytest.approx(0.0, abs=0.02)
    # Rows are independent, each a random walk: gamma grows as the lag along it.
    walk = vario(np.cumsum(rng.normal(size=(400, 200)), axis=1))
    assert walk["horizontal_near_slope"] == pytest.approx(1.0, abs=0.02)
    assert walk["horizontal_far_slope"] == pytest.approx(1.0, abs=0.05)
    ramp = vario(np.mgrid[:60, :50][0])
    assert ramp["vertical_near_slope"] == pytest.approx(2.0)
    assert ramp["vertical_far_slope"] == pytest.approx(2.0)


def test_variogram_of_an_exponential_covariance() -> None:
    rng, rho = np.random.default_rng(3), 0.8
    steps = rng.normal(size=(300, 300)) * np.sqrt(1.0 - rho**2)
    steps[0] /= np.sqrt(1.0 - rho**2)
    field = np.empty_like(steps)
    field[0] = steps[0]
    for row in range(1, 300):
        field[row] = rho * field[row - 1] + steps[row]
    found = vario(field)
    for lag in (1, 4, 16):
        assert 10.0 ** found[f"vertical_log_g{lag}"] == pytest.approx(1.0 - rho**lag, rel=0.03)
    assert 10.0 ** found["horizontal_log_g4"] == pytest.approx(1.0, rel=0.03)
