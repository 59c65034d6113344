from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinecare.errors import DatasetError, TrainingError
from spinecare.io.dataset import check_manifest, make_manifest, write_manifest
from spinecare.learn.recipe import Step
from spinecare.study.engine import fingerprint, run_on, run_study
from spinecare.study.fold import read_fold
from spinecare.study.pool import each, one_thread
from spinecare.study.scans import first_of_groups, take
from spinecare.study.settings import CombineSettings, MemberSettings
from spinecare.study.store import StudyAnswers
from study_fakes import Mean, Peeker, build_fake, draw, settings, write_scan


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake members and combiners in the registries' place; no view is made."""
    monkeypatch.setattr("spinecare.learn.members.build_member", build_fake)
    monkeypatch.setattr("spinecare.learn.combine.build_combiner", lambda kind, options: Mean(**options))
    monkeypatch.setattr("spinecare.learn.views.VIEWS", {})


def same(one: StudyAnswers, other: StudyAnswers) -> bool:
    return one.names == other.names and all(
        np.array_equal(getattr(one, kind)[name], getattr(other, kind)[name])
        for kind in ("p", "raw", "yes", "told", "category", "inside")
        for name in one.names
    )


def test_a_study_tells_the_classes_apart_and_baselines_stand_beside(tmp_path: Path) -> None:
    pictures = draw()
    answers = run_on(pictures, settings(), tmp_path).answers
    assert answers.names == ("band", "voting", "stack", "prevalence", "brightness", "noise", "thumbnail")
    assert answers.kinds["voting"] == answers.kinds["stack"] == "combiner"
    assert answers.p["band"].shape == (2, 72, 3)
    right = {name: (answers.category[name] == pictures.labels).mean() for name in answers.names}
    assert right["band"] > 0.7
    assert right["prevalence"] < 0.5 < right["brightness"]
    # Each repeat is other folds, so other fits.
    assert not np.array_equal(answers.raw["band"][0], answers.raw["band"][1])
    assert np.allclose(answers.raw["prevalence"], 1 / 3, atol=0.03)
    assert answers.fit_seconds["band"].shape == (2 * 3 * 4,)
    assert answers.peak_mb > 10


def test_a_fit_sees_the_labels_of_its_own_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list = []
    monkeypatch.setattr("spinecare.learn.members.build_member", lambda *_: Peeker(log))
    pictures = draw()
    answers = run_on(pictures, settings(repeats=1), tmp_path).answers
    assert len(log) == 3 * 4
    for rows, seen, material in log:
        assert np.array_equal(np.sort(rows), seen)
        assert not {"label", "t_score"} & set(material.pictures.rows.columns)
    # So what peeks knows nothing: a third for each class, for every unseen scan.
    assert np.allclose(answers.raw["band"], 1 / 3)


def test_stopped_and_called_again_it_ends_with_the_same_numbers(tmp_path: Path) -> None:
    pictures, asked = draw(), settings()
    whole = run_on(pictures, asked, tmp_path / "whole").answers

    def stop(step: Step) -> None:
        if step.stage == "folds" and step.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on(pictures, asked, tmp_path / "cut", stop)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "cut" / "folds").glob("*.npz")}
    assert sorted(file.name for file in kept) == ["r0f0.npz", "r0f1.npz"]
    seen: list[Step] = []
    answers = run_on(pictures, asked, tmp_path / "cut", seen.append).answers
    assert same(whole, answers)
    assert all(file.stat().st_mtime_ns == then for file, then in kept.items())
    assert [step.done for step in seen if step.stage == "folds"] == [2, 3, 4, 5, 6]
    assert not (tmp_path / "cut" / "work").exists()


def test_a_finished_study_is_not_done_again(tmp_path: Path) -> None:
    run_on(draw(), settings(), tmp_path)
    seen: list[Step] = []
    run_on(draw(), settings(bootstrap=7), tmp_path, seen.append)
    assert not seen


def test_two_workers_give_the_numbers_of_one(tmp_path: Path) -> None:
    one = run_on(draw(), settings(repeats=1), tmp_path / "one").answers
    two = run_on(draw(), settings(repeats=1, workers=2), tmp_path / "two").answers
    assert same(one, two)


def test_a_folder_of_another_study_is_refused_by_what_differs(tmp_path: Path) -> None:
    run_on(draw(), settings(repeats=1), tmp_path)
    with pytest.raises(TrainingError, match=r"another study \(different: seed\)"):
        run_on(draw(), settings(repeats=1, seed=2), tmp_path)
    with pytest.raises(TrainingError, match=r"another study \(different: data\)"):
        run_on(draw(seed=1), settings(repeats=1), tmp_path)


def test_another_seed_gives_other_numbers(tmp_path: Path) -> None:
    first = run_on(draw(), settings(repeats=1), tmp_path / "1").answers
    other = run_on(draw(), settings(repeats=1, seed=2), tmp_path / "2").answers
    assert not np.array_equal(first.fold, other.fold)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("raises", "broken in repeat 1, fold 1: there is nothing to learn"),
        ("sum", "broken in repeat 1, fold 1: it answered with numbers that are no probabilities"),
        ("nan", "no probabilities"),
    ],
)
def test_a_model_at_fault_is_named(tmp_path: Path, how: str, sentence: str) -> None:
    broken = settings(members=(MemberSettings("broken", "broken", {"how": how}),))
    with pytest.raises(TrainingError, match=sentence):
        run_on(draw(), broken, tmp_path)


def test_a_worker_that_the_system_stops_is_told_in_a_sentence(tmp_path: Path) -> None:
    dying = settings(members=(MemberSettings("broken", "broken", {"how": "dies"}),), workers=2)
    with pytest.raises(TrainingError, match=r"memory ran out.*fewer --workers"):
        run_on(draw(), dying, tmp_path)


def test_ctrl_c_does_not_wait_for_what_is_under_way() -> None:
    start = time.monotonic()
    with closing(each(time.sleep, [0, 300, 300], workers=2)) as done:
        next(done)
    assert time.monotonic() - start < 200


def test_threads_are_one_meanwhile_and_what_they_were_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with one_thread():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_combiner_joins_the_members_it_names(tmp_path: Path) -> None:
    members = tuple(MemberSettings(name, "band") for name in ("a", "b", "c"))
    some = settings(members=members, combine=(CombineSettings("two", "mean", ("a", "c")),), headline="two", repeats=1)
    answers = run_on(draw(), some, tmp_path).answers
    assert np.allclose(answers.raw["two"], (answers.raw["a"] + answers.raw["c"]) / 2)
    # The same member under another name draws other numbers.
    assert not np.array_equal(answers.raw["a"], answers.raw["c"])


def test_decisions_learn_from_out_of_fold_answers_of_the_training_part(tmp_path: Path, monkeypatch) -> None:
    from spinecare.study import fold as module

    asked: list[int] = []
    fit = module.fit_decisions

    def spy(p: np.ndarray, labels: np.ndarray, *rest: object) -> object:
        assert np.isfinite(p).all()
        assert (labels >= 0).all()
        asked.append(len(p))
        return fit(p, labels, *rest)

    monkeypatch.setattr(module, "fit_decisions", spy)
    run_on(draw(), settings(repeats=1), tmp_path)
    sizes = [72 - len(read_fold(tmp_path / "folds" / f"r0f{f}.npz")[1]["rows"]) for f in range(3)]
    assert asked == [size for size in sizes for _ in range(7)]


def test_one_of_each_group_is_the_first_that_can_be_used() -> None:
    pictures = draw(12)
    assert list(first_of_groups(pictures).rows["path"]) == [f"{i}.png" for i in range(0, 12, 2)]
    without = replace(pictures, rows=pictures.rows.assign(group=["", "", *pictures.rows["group"][2:]]))
    assert len(first_of_groups(without).labels) == 7
    some = take(pictures, np.array([3, 5]))
    assert list(some.rows["path"]) == ["3.png", "5.png"]
    assert np.array_equal(some.wholes, pictures.wholes[[3, 5]])
    assert fingerprint(some) != fingerprint(take(pictures, np.array([3, 4])))


def test_near_identical_pictures_in_two_groups_are_refused_with_the_way_out(tmp_path: Path) -> None:
    for i in range(4):
        write_scan(tmp_path / f"{i}.png", seed=i)
    write_scan(tmp_path / "4.png", seed=0, brightness=1)
    rows = [{"path": f"{i}.png", "label": "normal", "patient_id": "", "group": f"g{i}"} for i in range(5)]
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(
        DatasetError, match=r"(?s)0\.png and 4\.png are near-identical.*`spinecare dataset make"
    ) as told:
        run_study(tmp_path / "m.csv", settings(check=True), tmp_path / "run")
    assert "dataset check" in str(told.value)
    assert not (tmp_path / "run" / "folds").exists()
    # And the sentence is right: what it names makes a manifest that passes.
    write_manifest(make_manifest(tmp_path / "m.csv"), tmp_path / "good.csv")
    assert check_manifest(tmp_path / "good.csv").ok
