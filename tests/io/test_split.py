"""A split cuts no patient and no group, keeps the classes in proportion, and does not depend on chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinecare.errors import DatasetError
from spinecare.io.split import split_manifest, units_of
from spinecare.scan import LABELS

ROWS = st.lists(
    st.tuples(
        st.sampled_from([str(label) for label in LABELS]),
        st.sampled_from(["", *(f"p{k}" for k in range(12))]),
        st.sampled_from(["", *(f"g{k}" for k in range(12))]),
    ),
    min_size=1,
    max_size=60,
)


def table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["label", "patient_id", "group"])
    frame.insert(0, "path", [f"{i:03d}.png" for i in range(len(rows))])
    return frame


def patients(n: int, visits: int = 1) -> pd.DataFrame:
    return table([(str(LABELS[i % 3]), f"p{i}", "") for i in range(n) for _ in range(visits)])


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(0, 5))
def test_no_patient_and_no_group_is_on_two_sides(rows: list[tuple[str, str, str]], seed: int) -> None:
    out = split_manifest(table(rows), seed=seed)
    assert set(out["split"]) <= {"train", "val", "test"}
    for column in ("patient_id", "group"):
        named = out[out[column] != ""]
        assert (named.groupby(column)["split"].nunique() <= 1).all()


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(0, 5), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[str, str, str]], seed: int, random: object) -> None:
    frame = table(rows)
    order = list(range(len(frame)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight = split_manifest(frame, seed=seed).set_index("path")["split"]
    mixed = split_manifest(frame.iloc[order].reset_index(drop=True), seed=seed).set_index("path")["split"]
    assert straight.to_dict() == mixed.to_dict()


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    frame = patients(90)
    one, same, other = (split_manifest(frame, seed=s)["split"].tolist() for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_shares_are_70_10_20_in_each_class() -> None:
    out = split_manifest(patients(300, visits=2), seed=5)
    counts = out.groupby(["label", "split"])["patient_id"].nunique().unstack()
    for label in LABELS:
        assert counts.loc[str(label)].to_dict() == {"train": 70, "val": 10, "test": 20}


@pytest.mark.parametrize("n", [3, 4, 5, 7])
def test_small_classes_have_somebody_in_each_part(n: int) -> None:
    out = split_manifest(table([("normal", f"p{i}", "") for i in range(n)]))
    assert set(out["split"]) == {"train", "val", "test"}


def test_a_share_of_nothing_gets_nothing() -> None:
    out = split_manifest(patients(60), fractions=(0.8, 0.0, 0.2))
    assert set(out["split"]) == {"train", "test"}


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.1), (1.2, -0.4, 0.2)])
def test_shares_must_add_up(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(DatasetError):
        split_manifest(patients(9), fractions)


def test_a_group_that_spans_two_patients_joins_them() -> None:
    frame = table([("normal", "b", "g"), ("normal", "a", "g"), ("normal", "a", ""), ("normal", "c", "")])
    assert units_of(frame) == ["patient:a"] * 3 + ["patient:c"]


def test_the_notes_say_what_stood_in_for_patients() -> None:
    frame = table([("normal", "a", ""), ("normal", "", "g"), ("normal", "", "")])
    notes = split_manifest(frame).attrs["notes"]
    assert any("group" in note and "1 of 3" in note for note in notes)
    assert any("neither" in note for note in notes)
    assert split_manifest(patients(6)).attrs["notes"] == []


def test_nothing_else_changes() -> None:
    frame = patients(12)
    frame["weight"] = np.arange(12.0)
    pd.testing.assert_frame_equal(split_manifest(frame).drop(columns="split"), frame)
