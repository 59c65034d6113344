from __future__ import annotations

import numpy as np
import pytest

from spinecare.errors import TrainingError
from spinecare.study.folds import seed_of, study_folds

RNG = np.random.default_rng(3)
# Groups of one to three scans, each of one class.
SIZES = RNG.integers(1, 4, 60)
GROUPS = np.repeat([f"g{i}" for i in range(60)], SIZES)
LABELS = np.repeat(np.arange(60) % 3, SIZES)


def folds(**changes: object) -> list:
    told = {"repeats": 3, "folds": 5, "inner_folds": 4, "seed": 1} | changes
    return study_folds(LABELS, GROUPS, **told)  # type: ignore[arg-type]


def test_no_group_is_on_two_sides_of_any_cut() -> None:
    for fold in folds():
        assert not set(GROUPS[fold.train]) & set(GROUPS[fold.test])
        for fit, unseen in fold.inner:
            assert not set(GROUPS[fit]) & set(GROUPS[unseen])


def test_every_scan_is_tested_once_a_repeat_and_unseen_once_in_each_training_part() -> None:
    found = folds()
    assert [fold.name for fold in found] == [f"r{r}f{f}" for r in range(3) for f in range(5)]
    for repeat in range(3):
        tested = np.concatenate([fold.test for fold in found if fold.repeat == repeat])
        assert sorted(tested) == list(range(len(LABELS)))
    for fold in found:
        assert sorted(np.concatenate([fold.train, fold.test])) == list(range(len(LABELS)))
        assert sorted(np.concatenate([unseen for _, unseen in fold.inner])) == list(fold.train)
        for fit, unseen in fold.inner:
            assert sorted(np.concatenate([fit, unseen])) == list(fold.train)


def test_classes_have_their_share_in_every_test_part() -> None:
    whole = np.bincount(LABELS) / len(LABELS)
    for fold in folds():
        share = np.bincount(LABELS[fold.test], minlength=3) / len(fold.test)
        assert np.abs(share - whole).max() < 0.12


def test_repeats_differ_and_a_seed_is_repeatable() -> None:
    first, again, other = folds(), folds(), folds(seed=2)
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a.inner[0][0], b.inner[0][0]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].test, first[5].test)
    assert not np.array_equal(first[0].test, other[0].test)


def test_shares_of_the_training_part_lie_in_each_other_and_leave_the_test_part_alone() -> None:
    whole, half, quarter = folds(), folds(share=0.5), folds(share=0.25, inner_folds=2)
    for all_of_it, some, few in zip(whole, half, quarter, strict=True):
        assert np.array_equal(all_of_it.test, some.test)
        assert set(few.train) < set(some.train) < set(all_of_it.train)
        assert abs(len(set(GROUPS[some.train])) / len(set(GROUPS[all_of_it.train])) - 0.5) < 0.05
        assert set(np.concatenate([unseen for _, unseen in few.inner])) == set(few.train)


def test_too_few_groups_of_a_class_are_refused_by_number() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2] * 6)
    # Six scans of osteoporosis, but of three patients.
    groups = np.array([f"a{i}" for i in range(40)] + ["x", "x", "y", "y", "z", "z"])
    with pytest.raises(TrainingError, match="3 groups of class osteoporosis; 5 folds"):
        study_folds(labels, groups, 1, 5, 3, 1)
    with pytest.raises(TrainingError, match="A training part has 2 groups of class osteoporosis; 3 folds"):
        study_folds(labels, groups, 1, 3, 3, 1)


def test_a_seed_is_the_same_on_every_machine_and_another_for_each_fit() -> None:
    # Of `printf '1\x1fr0f0\x1f2\x1fsvm' | sha256sum`, the first 22 bits.
    assert seed_of(1, "r0f0", 2, "svm") == 0xBD2419A5 >> 10
    assert len({seed_of(1, fold, k, name) for fold in ("r0f0", "r0f1") for k in range(6) for name in "ab"}) == 24
    assert seed_of(1, 23) != seed_of(12, 3)
