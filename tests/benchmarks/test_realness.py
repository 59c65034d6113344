"""The study that tells real from virtual: a blunt one would call any generator real."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.phantom import realness
from benchmarks.phantom.crop_features import features
from benchmarks.phantom.realness import Looks, auc_with_interval, betrayers, looks, odd, out_of_fold, weighted_auc
from sklearn.metrics import roc_auc_score

from spinecare.phantom.cohort import draw_scan
from spinecare.prepare.pipeline import prepare
from spinecare.scan import Prepared


def fake(n: int, seed: int, shift: float = 0.0, name: str = "sg") -> Looks:
    """Scans as plain Gaussian numbers; `shift` moves the first one."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((n, 4))
    numbers[:, 0] += shift
    small = rng.standard_normal((n, 196)).astype(np.float32)
    return Looks(numbers, ("grey.a", "grey.b", "edge.a", "edge.b"), small, tuple(f"{name}{i:03d}" for i in range(n)), n)


def test_weighted_auc_equals_sklearn_with_ties_and_weights() -> None:
    rng = np.random.default_rng(0)
    score = rng.integers(0, 9, 80).astype(float)
    positive = rng.random(80) < 0.4
    weights = rng.integers(0, 4, (3, 80)).astype(float)
    expected = [roc_auc_score(positive, score, sample_weight=w) for w in weights]
    np.testing.assert_allclose(weighted_auc(score, positive, weights), expected, atol=1e-12)


def test_the_same_distribution_gives_half_and_a_shift_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realness, "REPEATS", 2)
    for shift in (0.0, 4.0):
        real, virtual = fake(60, 1), fake(60, 2, shift, "v")
        scores, is_virtual = out_of_fold(real, virtual)
        auc = {name: auc_with_interval(s, is_virtual) for name, s in scores.items()}
        assert set(auc) == {"logistic", "forest", "thumbnail", "grey", "edge"}
        assert auc["edge"].low < 0.5 < auc["edge"].high
        if shift:
            assert auc["logistic"].value > 0.97
            assert auc["grey"].value > 0.97
            table = betrayers(real, virtual)
            assert table[0]["name"] == "grey.a"
            assert table[0]["auc"] > 0.97
            assert table[0]["cost"] == max(row["cost"] for row in table)
        else:
            assert auc["logistic"].low < 0.5 < auc["logistic"].high


def test_scans_of_a_group_stay_on_one_side() -> None:
    # Every real scan twice, and pure noise: only leakage could tell the copies apart.
    real, virtual = fake(40, 3), fake(80, 4, 0.0, "v")
    twice = Looks(
        np.repeat(real.numbers, 2, axis=0), real.names, np.repeat(real.thumbnails, 2, axis=0),
        tuple(np.repeat(real.groups, 2).tolist()), 80,
    )  # fmt: skip
    scores, is_virtual = out_of_fold(twice, virtual)
    assert auc_with_interval(scores["forest"], is_virtual).value == pytest.approx(0.5, abs=0.2)


def test_odd_groups_are_the_held_out_ones() -> None:
    assert odd(["sg001", "sg002", "sg113"]).tolist() == [True, False, True]


def test_features_see_what_they_name() -> None:
    scan, _, _ = draw_scan(3, 1)
    prepared = prepare(scan)
    assert isinstance(prepared, Prepared)
    found = features(prepared)
    assert all(np.isfinite(v) for v in found.values())
    rng = np.random.default_rng(0)

    def with_raw(raw: np.ndarray) -> dict[str, float]:
        return features(Prepared(prepared.image, raw.astype(np.float32), prepared.levels, prepared.mapping,
                                 prepared.clean, prepared.valid))  # fmt: skip

    raw = prepared.raw
    lines = with_raw(raw + 0.05 * rng.standard_normal((raw.shape[0], 1)))
    assert lines["grain.row_streaks"] > found["grain.row_streaks"] + 0.1
    grainy = with_raw(raw + 0.05 * rng.standard_normal(raw.shape))
    assert grainy["grain.soft_band0_of_contrast"] > 2 * found["grain.soft_band0_of_contrast"]
    assert with_raw(np.minimum(raw, np.median(raw)))["grey.bone_p95"] < found["grey.bone_p95"]
    assert with_raw(raw[:, ::-1])["symmetry.flanks"] == pytest.approx(found["symmetry.flanks"], abs=1e-6)


def test_refused_scans_fall_out_and_are_counted() -> None:
    scan, _, _ = draw_scan(3, 1)
    blank = replace(scan, pixels=np.zeros_like(scan.pixels), colour=None)
    found = looks([("a", scan), ("b", blank)])
    assert (found.groups, found.asked) == (("a",), 2)
