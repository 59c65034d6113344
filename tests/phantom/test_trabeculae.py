"""The random field: unit variance, upright struts, coarser where asked, the same pattern wherever it is seen from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from spinecare.phantom import trabeculae
from spinecare.phantom.maps import PIXEL_MM


def field(coarse: float = 1.0, upright: float = 1.7, seed: int = 0) -> npt.NDArray[np.float32]:
    return trabeculae.field(8, 40.0, 40.0, coarse, upright, np.random.default_rng(seed))


def roughness(image: npt.NDArray[np.float32], axis: int) -> float:
    return float(np.mean(np.diff(image, axis=axis) ** 2) / image.var())


def test_variance_is_one() -> None:
    assert np.mean([field(seed=s).var() for s in range(4)]) == pytest.approx(1.0, abs=0.1)
    assert abs(np.mean([field(seed=s).mean() for s in range(4)])) < 0.02


def test_struts_stand_upright() -> None:
    f = field(upright=2.5)
    assert roughness(f, 1) < 0.6 * roughness(f, 2)
    even = field(upright=1.0)
    assert roughness(even, 1) == pytest.approx(roughness(even, 2), rel=0.05)


def test_coarse_fields_are_smoother() -> None:
    assert roughness(field(coarse=1.5), 2) < 0.75 * roughness(field(coarse=0.9), 2)


def test_a_shifted_view_shows_the_same_pattern() -> None:
    layer = field()[0]
    to_own = np.array([[PIXEL_MM, 0, -12.0], [0, PIXEL_MM, -12.0]])
    here = trabeculae.seen(layer, to_own, (40, 40))
    to_own[:, 2] += 3 * PIXEL_MM
    np.testing.assert_allclose(trabeculae.seen(layer, to_own, (40, 40))[:30, :30], here[3:33, 3:33], atol=1e-4)
    # Own centre is the field's middle.
    middle = trabeculae.seen(layer, np.array([[PIXEL_MM, 0, 0.0], [0, PIXEL_MM, 0.0]]), (1, 1))
    assert middle[0, 0] == pytest.approx(layer[layer.shape[0] // 2, layer.shape[1] // 2], abs=1e-4)
