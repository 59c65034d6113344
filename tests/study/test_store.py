from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinecare.errors import EvaluationError
from spinecare.study.fold import plain, write_fold
from spinecare.study.folds import OuterFold
from spinecare.study.store import StudyAnswers, gather, read_answers, write_answers

N, REPEATS = 6, 2
LABELS = np.arange(N) % 3
GROUPS = np.array([f"g{i}" for i in range(N)])
ROWS = pd.DataFrame({"path": [f"{i}.png" for i in range(N)], "label": "normal", "age_years": [60.5] * N})
NAMES = ("b", "a")


def written(folder: Path) -> tuple[list[OuterFold], list[Path]]:
    """Two repeats of two folds whose p of a scan is known from model, repeat and scan."""
    folds, files = [], []
    for repeat in range(REPEATS):
        order = np.random.default_rng(repeat).permutation(N)
        for fold, test in enumerate((np.sort(order[:3]), np.sort(order[3:]))):
            file = folder / f"r{repeat}f{fold}.npz"
            p = np.stack([said(k, repeat, test) for k in range(len(NAMES))])
            told = {
                "models": list(NAMES),
                "fit_seconds": {"b": [1.0, 2.0], "a": [3.0]},
                "predict_ms": {"b": 1.0 + fold, "a": 5.0},
                "weights": {"b": [0.25, 0.75]},
                "decisions": {name: {"threshold": 0.1 * repeat} for name in NAMES},
                "seconds": 2.0,
                "peak_mb": 100.0 + fold,
            }
            integers = np.tile(test, (len(NAMES), 1))
            arrays = {"rows": test, "raw": p / 2, "p": p, "yes": p[:, :, 2] > 0.5, "category": integers % 3,
                      "told": integers % 3 - 1, "inside": p > 0.2}  # fmt: skip
            write_fold(file, told, arrays)
            folds.append(OuterFold(repeat, fold, np.setdiff1d(np.arange(N), test), test, ()))
            files.append(file)
    return folds, files


def said(model: int, repeat: int, scans: np.ndarray) -> np.ndarray:
    first = (1 + model + 2 * repeat + 4 * scans) / 37
    return np.stack([first, (1 - first) / 3, 2 * (1 - first) / 3], axis=-1)


def gathered(folder: Path) -> StudyAnswers:
    folds, files = written(folder)
    kinds = {"b": "member", "a": "baseline"}
    return gather(folds, files, kinds, LABELS, GROUPS, ROWS, "how", ("a note",), {"b": 10.0})


def test_every_answer_stands_at_its_scan_and_repeat(tmp_path: Path) -> None:
    answers = gathered(tmp_path)
    for k, name in enumerate(NAMES):
        for repeat in range(REPEATS):
            assert np.array_equal(answers.p[name][repeat], said(k, repeat, np.arange(N)))
            assert np.array_equal(answers.category[name][repeat], np.arange(N) % 3)
    assert np.array_equal(answers.fit_seconds["b"], [1, 2] * 4)
    # The median fold's answer, and the views' share.
    assert answers.predict_ms["b"] == 11.5
    assert (answers.seconds, answers.peak_mb) == (8.0, 101.0)
    assert answers.weights == {"b": [[0.25, 0.75]] * 4}


def test_what_is_written_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    answers = gathered(tmp_path)
    write_answers(answers, tmp_path / "run")
    again = read_answers(tmp_path / "run")
    assert (again.names, again.kinds, again.protocol, again.notes) == (NAMES, answers.kinds, "how", ("a note",))
    for kind in ("p", "raw", "yes", "told", "category", "inside"):
        for name in NAMES:
            one, other = getattr(answers, kind)[name], getattr(again, kind)[name]
            assert np.array_equal(one, other), kind
            assert one.dtype == other.dtype, kind
    assert np.array_equal(again.labels, LABELS)
    assert np.array_equal(again.groups, GROUPS)
    assert np.array_equal(again.fold, answers.fold)
    pd.testing.assert_frame_equal(again.rows, ROWS)
    assert again.decisions == answers.decisions


def test_people_read_one_line_for_each_answer(tmp_path: Path) -> None:
    write_answers(gathered(tmp_path), tmp_path / "run")
    long = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert len(long) == len(NAMES) * REPEATS * N
    (line,) = long.query("model == 'a' and repeat == 1 and path == '4.png'").to_dict("records")
    assert line["p_osteoporosis"] == said(1, 1, np.array([4]))[0, 2]
    assert (line["label"], line["unit"], line["kind"]) == ("low_bone_mass", "g4", "baseline")


def test_a_scan_that_no_fold_tested_is_an_error(tmp_path: Path) -> None:
    folds, files = written(tmp_path)
    with pytest.raises(EvaluationError, match="leave scans out"):
        gather(folds[:3], files[:3], {}, LABELS, GROUPS, ROWS, "")


def test_a_folder_without_a_study_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="spinecare study"):
        read_answers(tmp_path)


def test_settings_of_any_kind_become_json() -> None:
    told = plain({"a": np.float32(0.5), "b": (np.arange(2), None), "c": Path("x")})
    assert told == {"a": 0.5, "b": [[0, 1], None], "c": "x"}
