from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.errors import TrainingError
from spinecare.learn.crossval import cuts


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 2, 3, 5]), st.integers(45, 90))
def test_no_patient_is_on_both_sides_and_nobody_is_lost(seed: int, folds: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    own = rng.integers(0, 3, n)
    own[:15] = np.arange(15) % 3
    scans = np.repeat(np.arange(n), rng.integers(1, 4, n))
    labels, patients = own[scans], np.array([f"p{s}" for s in scans])
    train = np.flatnonzero(rng.random(len(scans)) < 0.9)
    train = np.union1d(train, np.flatnonzero(scans < 15))
    made = cuts(train, labels, patients, folds, 0.2, seed)
    assert len(made) == (folds or 1)
    for cut in made:
        assert not set(patients[cut.fit]) & set(patients[cut.unseen])
        assert sorted([*cut.fit, *cut.unseen]) == sorted(train)
    if folds:
        assert sorted(np.concatenate([cut.unseen for cut in made])) == sorted(train)


def test_too_few_patients_of_a_class_are_named() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2] * 3)
    with pytest.raises(TrainingError, match="3 patients of class osteoporosis"):
        cuts(np.arange(43), labels, np.arange(43).astype(str), 5, 0.2, 0)
