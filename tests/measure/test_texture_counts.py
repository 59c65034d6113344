"""Co-occurrence, run lengths and binary patterns against brute force, scikit-image and the papers' own examples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

from spinecare.measure.texture import glcm, lbp, runs
from spinecare.measure.texture.regions import Window

STEPS = {"horizontal": (0, 1), "vertical": (1, 0), "falling": (1, 1), "rising": (1, -1)}


def grey(rows: int, cols: int, levels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (rows, cols)).astype(np.uint8)


def some_pairs() -> np.ndarray:
    smooth = np.cumsum(grey(24, 20, 3), axis=1).astype(np.uint8) % 16
    return graycomatrix(smooth, [1, 3], [0, np.pi / 2], levels=16, symmetric=True, normed=True).reshape(16, 16, -1)


@pytest.mark.parametrize("name", ["contrast", "dissimilarity", "homogeneity", "ASM", "correlation"])
def test_properties_that_scikit_image_has_too(name: str) -> None:
    pairs = some_pairs()
    theirs = graycoprops(pairs[:, :, :, np.newaxis], name).ravel()
    ours = glcm.properties(pairs)[glcm.PROPERTIES.index(name.lower())]
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_other_properties_as_sums_over_cells() -> None:
    pairs = some_pairs()
    found = dict(zip(glcm.PROPERTIES, glcm.properties(pairs).T[1], strict=True))
    p = pairs[:, :, 1]
    cells = [(i, j, p[i, j]) for i, j in itertools.product(range(16), repeat=2)]
    differences, sums = np.zeros(16), np.zeros(31)
    for i, j, share in cells:
        differences[abs(i - j)] += share
        sums[i + j] += share
    bits = lambda q: -sum(x * np.log2(x) for x in q if x > 0)  # noqa: E731
    side = p.sum(axis=0)
    hxy, hx = bits(p.ravel()), bits(side)
    hxy1 = -sum(share * np.log2(side[i] * side[j]) for i, j, share in cells if share > 0)
    hxy2 = -sum(side[i] * side[j] * np.log2(side[i] * side[j]) for i, j, _ in cells if side[i] * side[j] > 0)
    mean = sum((i + j) * share for i, j, share in cells)
    var = sum((i + j - mean) ** 2 * share for i, j, share in cells)
    assert found["entropy"] == pytest.approx(hxy)
    assert found["difference_entropy"] == pytest.approx(bits(differences))
    assert found["sum_entropy"] == pytest.approx(bits(sums))
    assert found["sum_skewness"] == pytest.approx(sum((i + j - mean) ** 3 * s for i, j, s in cells) / var**1.5)
    assert found["sum_kurtosis"] == pytest.approx(sum((i + j - mean) ** 4 * s for i, j, s in cells) / var**2)
    # Haralick's two measures, with entropies in bits in the first and in nats in the second.
    assert found["imc1"] == pytest.approx((hxy - hxy1) / hx)
    assert found["imc2"] == pytest.approx(np.sqrt(1 - np.exp(-2 * np.log(2) * (hxy2 - hxy))))


def test_stripes_differ_across_and_not_along() -> None:
    stripes = np.tile(np.array([0, 31] * 20, np.uint8), (40, 1))
    found = dict(zip(glcm.NAMES, glcm.glcm(stripes), strict=True))
    # Beside: 31^2 apart; above: the same; on both diagonals 31^2 again.
    assert found["contrast_d1"] == pytest.approx(0.75 * 31**2)
    assert found["contrast_d1_vertical_less_horizontal"] == pytest.approx(-(31**2))
    assert found["contrast_d2_vertical_less_horizontal"] == 0.0


def test_runs_of_the_example_of_galloway_1975() -> None:
    picture = np.array([[0, 1, 2, 3], [0, 2, 3, 3], [2, 1, 1, 1], [3, 0, 3, 0]], np.uint8)
    matrix = np.zeros((4, 4), int)
    np.add.at(matrix, tuple(np.subtract(runs.run_lengths(picture, "horizontal"), [[0], [1]])), 1)
    assert matrix.tolist() == [[4, 0, 0, 0], [1, 0, 1, 0], [3, 0, 0, 0], [3, 1, 0, 0]]


@pytest.mark.parametrize("direction", STEPS)
def test_runs_by_walking_through_the_picture(direction: str) -> None:
    picture = grey(9, 13, 3, seed=3)
    down, right = STEPS[direction]
    inside = lambda r, c: 0 <= r < 9 and 0 <= c < 13  # noqa: E731
    walked = []
    for r, c in itertools.product(range(9), range(13)):
        if inside(r - down, c - right) and picture[r - down, c - right] == picture[r, c]:
            continue
        length, at = 1, (r + down, c + right)
        while inside(*at) and picture[at] == picture[r, c]:
            length, at = length + 1, (at[0] + down, at[1] + right)
        walked.append((int(picture[r, c]), length))
    assert sorted(zip(*(x.tolist() for x in runs.run_lengths(picture, direction)), strict=True)) == sorted(walked)


def test_properties_of_runs_as_sums_over_runs() -> None:
    levels, lengths = runs.run_lengths(grey(9, 13, 4, seed=5), "vertical")
    found = dict(zip(runs.PROPERTIES, runs.properties(levels, lengths, 9 * 13), strict=True))
    matrix = np.zeros((4, 10))
    for level, length in zip(levels, lengths, strict=True):
        matrix[level, length] += 1
    n = matrix.sum()
    every = [(g + 1, k, matrix[g, k]) for g, k in itertools.product(range(4), range(1, 10))]
    assert found["sre"] == pytest.approx(sum(m / k**2 for _, k, m in every) / n)
    assert found["lre"] == pytest.approx(sum(m * k**2 for _, k, m in every) / n)
    assert found["gln"] == pytest.approx((matrix.sum(axis=1) ** 2).sum() / n**2)
    assert found["rln"] == pytest.approx((matrix.sum(axis=0) ** 2).sum() / n**2)
    assert found["rp"] == pytest.approx(n / (9 * 13))
    assert found["lgre"] == pytest.approx(sum(m / g**2 for g, _, m in every) / n)
    assert found["hgre"] == pytest.approx(sum(m * g**2 for g, _, m in every) / n)
    assert found["srhge"] == pytest.approx(sum(m * g**2 / k**2 for g, k, m in every) / n)
    assert found["lrlge"] == pytest.approx(sum(m * k**2 / g**2 for g, k, m in every) / n)


def test_a_flat_region_is_one_run_a_line() -> None:
    found = dict(zip(runs.NAMES, runs.runs(np.zeros((40, 20), np.uint8)), strict=True))
    # Horizontal lines of 20, vertical of 40, and 59 diagonals each way.
    assert found["rp"] == pytest.approx((40 + 20 + 59 + 59) / 4 / 800)
    assert found["rp_vertical_less_horizontal"] == pytest.approx((20 - 40) / 800)
    assert found["gln"] == 1.0


def by_hand(grey: np.ndarray, row: int, col: int) -> int:
    """The pattern of one pixel on the circle of 8 points at radius 1, with diagonal points interpolated."""
    bright = []
    for k in range(8):
        r, c = row - np.sin(2 * np.pi * k / 8), col + np.cos(2 * np.pi * k / 8)
        r0, c0 = int(np.floor(r + 1e-9)), int(np.floor(c + 1e-9))
        fr, fc = max(r - r0, 0.0), max(c - c0, 0.0)
        value = sum(
            wr * wc * float(grey[min(r0 + i, grey.shape[0] - 1), min(c0 + j, grey.shape[1] - 1)])
            for i, wr in ((0, 1 - fr), (1, fr))
            for j, wc in ((0, 1 - fc), (1, fc))
        )
        bright.append(value >= float(grey[row, col]) - 1e-6)
    changes = sum(bright[i] != bright[i - 1] for i in range(8))
    return sum(bright) if changes <= 2 else 9


def test_binary_patterns_by_hand_and_over_the_whole_picture() -> None:
    pixels = grey(20, 18, 256, seed=1)
    raw = (pixels / 255.0).astype(np.float32)
    found = dict(zip(lbp.NAMES, lbp.lbp(raw, Window(0, 20, 5, 12)), strict=True))
    counts = np.zeros(10)
    for row, col in itertools.product(range(1, 19), range(5, 12)):
        counts[by_hand(pixels, row, col)] += 1
    assert [found[f"r1_{i}"] for i in range(10)] == pytest.approx((counts / counts.sum()).tolist())
    whole = local_binary_pattern(pixels, 16, 3, "uniform")[3:17, 5:12].astype(int)
    # Three columns to the left of the window lie within reach and are seen.
    assert [found[f"r3_{i}"] for i in range(18)] == pytest.approx(
        (np.bincount(whole.ravel(), minlength=18) / 98).tolist()
    )


def test_shares_of_patterns_add_up_to_one_on_each_circle() -> None:
    raw = np.random.default_rng(0).random((192, 96)).astype(np.float32)
    found = lbp.lbp(raw, Window(0, 192, 28, 68))
    assert found[:10].sum() == pytest.approx(1.0)
    assert found[10:].sum() == pytest.approx(1.0)
