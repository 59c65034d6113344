"""Subgroups have the figures of their own scans, and where there are none the table says why."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spinecare.errors import EvaluationError
from spinecare.evaluate.repeats import evaluate_repeats
from spinecare.evaluate.study_json import subgroups_json
from spinecare.evaluate.subgroups import age_bands, evaluate_subgroups, subgroup_columns

N = 120


@pytest.fixture(scope="module")
def said() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    p = np.exp(rng.normal(size=(2, N, 3)) + 1.2 * np.eye(3)[y])
    return y, p / p.sum(axis=-1, keepdims=True)


def test_age_bands_begin_where_the_who_categories_do() -> None:
    ages = [49.9, 50, 59, 60, "71", 80.0, 94, None, float("nan"), ""]
    named = ["under 50", "50 to 59", "50 to 59", "60 to 69", "70 to 79", "80 and over", "80 and over"]
    assert age_bands(ages) == [*named, None, None, None]


def test_columns_come_from_the_manifest_that_has_them() -> None:
    table = pd.DataFrame({"path": ["a", "b"], "age_years": [55.0, np.nan], "sex": ["F", None], "other": [1, 2]})
    assert subgroup_columns(table) == {"age": ["50 to 59", None], "sex": ["F", None]}
    assert subgroup_columns({"path": ["a"]}) == {}


def test_a_subgroup_has_the_figures_of_its_scans_alone(said: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = said
    sex = np.where(np.arange(N) < 50, "M", "F")
    groups = np.arange(N) // 2
    yes = {"a": p[..., 2] > 0.3}
    category = {"a": np.where(yes["a"], 2, 0)}
    found = evaluate_subgroups(y, groups, {"sex": list(sex)}, {"a": p}, category, yes, n_boot=100)
    assert [(row.column, row.value, row.n, row.patients) for row in found.rows] == [
        ("sex", "F", 70, 35),
        ("sex", "M", 50, 25),
    ]
    men = sex == "M"
    alone = evaluate_repeats(
        y[men], groups[men], {"a": p[:, men]}, {"a": category["a"][:, men]}, {"a": yes["a"][:, men]}, n_boot=100
    )
    assert found.rows[1].figures == alone.models["a"].figures
    assert found.why == ""
    data = json.loads(json.dumps(subgroups_json(found, "5 x 5"), allow_nan=False))
    assert data["rows"][1]["figures"]["auc"]["n"] == 50


def test_small_and_unknown_subgroups_are_left_out_and_named(said: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = said
    sex = ["M"] * 10 + ["F"] * 100 + [None] * 10
    band = age_bands([45] * 40 + [85] * 40 + [65] * 40)
    found = evaluate_subgroups(y, np.arange(N), {"sex": sex, "age": band}, {"a": p}, n_boot=20)
    assert [row.value for row in found.rows] == ["F", "under 50", "60 to 69", "80 and over"]
    assert any("sex M: 10 patients, fewer than 20" in line for line in found.left_out)
    assert any("unknown for 10 of 120" in line for line in found.left_out)


@pytest.mark.parametrize("columns", [{}, {"sex": [None] * N}, {"sex": ["F"] * N}, {"device": list(range(N))}])
def test_without_subgroups_the_table_is_empty_and_says_why(
    columns: dict[str, list[object]], said: tuple[np.ndarray, np.ndarray]
) -> None:
    found = evaluate_subgroups(said[0], np.arange(N), columns, {"a": said[1]}, n_boot=20)
    assert found.rows == ()
    assert found.why.startswith("No figures by subgroup")


def test_a_column_of_another_length_is_refused(said: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(EvaluationError, match="sex has 2 values"):
        evaluate_subgroups(said[0], np.arange(N), {"sex": ["F", "M"]}, {"a": said[1]})
    with pytest.raises(EvaluationError):
        evaluate_subgroups(said[0], np.arange(N), {"sex": ["F", "M"] * 60}, {"a": said[1][:, :5]})
    with pytest.raises(EvaluationError):
        evaluate_subgroups(said[0], np.arange(N), {"sex": ["F", "M"] * 60}, {"a": said[1]}, {"b": said[1]})
