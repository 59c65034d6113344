from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from spinecare.errors import DatasetError, TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings
from spinecare.learn.tune import SearchSettings, training_rows, tune, tune_rows
from spinecare.learn.tune.folds import OBJECTIVES, Folds
from spinecare.learn.tune.outcome import OPTIMISTIC, to_toml
from spinecare.learn.tune.search import DEFAULT_FILE, Chosen, choose
from spinecare.learn.tune.thin import thinned
from spinecare.learn.views import VIEWS, View

HERE = Path(__file__).parent
SEARCH = """
name = "bands"
seed = 3
headline = "line"
copies = 0
folds = 3

[members.line]
kind = "logistic"
view = {choices = ["noise", "band"]}
strength = {low = 0.001, high = 10.0, log = true}
"""


def of(text: str, **changes: Any) -> SearchSettings:
    return SearchSettings.from_dict(tomllib.loads(text) | changes)


def band(material: Material) -> np.ndarray:
    """Brightness of columns: holds the class (see conftest.draw)."""
    return np.repeat(material.pictures.images.mean(axis=1)[:, None], 1 + material.copies, axis=1)


def noise(material: Material) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(material.labels), 1 + material.copies, 5))


@pytest.fixture(autouse=True)
def views(monkeypatch: pytest.MonkeyPatch) -> None:
    for view in (band, noise):
        monkeypatch.setitem(VIEWS, view.__name__, View("for tests", view))


@pytest.fixture
def material(pictures: Pictures, tmp_path: Path) -> Material:
    return Material(pictures, AugmentSettings(), 0, 0, tmp_path / "views")


def everything(material: Material) -> np.ndarray:
    return np.arange(len(material.labels))


def test_a_search_finds_the_view_that_holds_the_class(material: Material, tmp_path: Path) -> None:
    tuned = tune_rows(material, everything(material), tmp_path / "run", of(SEARCH), 12)
    assert tuned.options["members.line.view"] == "band"
    assert tuned.value > 0.95
    assert (tuned.finished + tuned.pruned, tuned.lost) == (12, 0)

    text = tuned.toml.read_text()
    config = tomllib.loads(text)
    assert config["members"]["line"] == {
        "kind": "logistic", "view": "band", "strength": pytest.approx(tuned.options["members.line.strength"]),
    }  # fmt: skip
    # What the number is worth stands in the file itself.
    assert OPTIMISTIC in text
    assert "12 trials" in text
    assert "seed 3" in text
    with (tmp_path / "run" / "trials.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 12


def test_a_study_can_take_the_outcome(material: Material, tmp_path: Path) -> None:
    from spinecare.study.settings import StudySettings

    tuned = tune_rows(material, everything(material), tmp_path / "run", of(SEARCH, copies={"low": 0, "high": 1}), 2)
    settings = StudySettings.from_toml(tuned.toml)
    assert settings.headline == "line"
    assert settings.members[0].options["view"] == tuned.options["members.line.view"]
    assert settings.copies == tuned.options["copies"]


def test_the_same_seed_draws_the_same_trials_however_often_the_search_was_stopped(
    material: Material, tmp_path: Path
) -> None:
    def run(out: Path, *stops: int) -> list[tuple[str, str]]:
        for stop in stops:
            tune_rows(material, everything(material), out, of(SEARCH), stop)
        with (out / "trials.csv").open() as stream:
            return [(row["members.line.view"], row["members.line.strength"]) for row in csv.DictReader(stream)]

    whole, stopped = run(tmp_path / "whole", 6), run(tmp_path / "stopped", 1, 4, 6)
    assert stopped == whole
    # A sampler with one seed would begin anew, and draw its first trial three times.
    assert len(set(stopped)) == 6


def test_a_killed_trial_does_not_count(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, score = tmp_path / "run", Folds.score
    calls = []

    def killed(self: Folds, trial: optuna.Trial, chosen: Chosen) -> float:
        calls.append(trial.number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(self, trial, chosen)

    monkeypatch.setattr(Folds, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        tune_rows(material, everything(material), out, of(SEARCH), 4)
    tuned = tune_rows(material, everything(material), out, of(SEARCH), 4)
    assert (tuned.finished + tuned.pruned, tuned.lost) == (4, 1)
    # Reached is reached: nothing more is tried.
    tune_rows(material, everything(material), out, of(SEARCH), 4)
    assert len(calls) == 5


def test_a_process_that_was_shot_leaves_a_trial_that_does_not_count(material: Material, tmp_path: Path) -> None:
    out = tmp_path / "run"
    tune_rows(material, everything(material), out, of(SEARCH), 1)
    storage = f"sqlite:///{out / 'search.db'}"
    optuna.load_study(study_name="bands", storage=storage).ask()  # running, and nobody ever tells its value
    tuned = tune_rows(material, everything(material), out, of(SEARCH), 3)
    assert (tuned.finished + tuned.pruned, tuned.lost) == (3, 1)


def test_the_rows_outside_are_neither_fitted_nor_scored(material: Material, tmp_path: Path) -> None:
    rows = np.flatnonzero(material.pictures.rows["split"].to_numpy() == "train")
    seen: list[np.ndarray] = []

    class Watcher:
        views: tuple[str, ...] = ()
        about = "notes what it is given"

        def fit(self, material: Material, rows: np.ndarray, seed: int) -> Any:
            def said(asked: np.ndarray) -> np.ndarray:
                seen.append(asked)
                return np.full((len(asked), 3), 1 / 3)

            seen.append(rows)
            return said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spinecare.learn.members.build_member", lambda kind, options: Watcher())
        tune_rows(material, rows, tmp_path / "run", of(SEARCH), 2)
    assert set(np.concatenate(seen)) == set(rows)
    for fit, asked in zip(seen[::2], seen[1::2], strict=True):
        assert not set(material.groups[fit]) & set(material.groups[asked])


STACK = (
    SEARCH.replace('headline = "line"', 'headline = "stack"\ninner_folds = 3')
    + """
[members.guess]
kind = "logistic"
view = "noise"

[combine.stack]
kind = "stack"
strength = {low = 0.01, high = 1.0, log = true}
"""
)


def test_a_combiner_is_searched_with_its_members_and_learns_from_unseen_answers(
    material: Material, tmp_path: Path
) -> None:
    tuned = tune_rows(material, everything(material), tmp_path / "run", of(STACK), 3)
    config = tomllib.loads(tuned.toml.read_text())
    assert set(config["members"]) == {"line", "guess"}
    assert config["combine"]["stack"]["kind"] == "stack"
    assert 0.01 <= config["combine"]["stack"]["strength"] <= 1.0


def test_only_what_the_headline_needs_is_searched() -> None:
    search = of(STACK, headline="line")
    chosen = choose(optuna.trial.FixedTrial({"members.line.view": '"band"', "members.line.strength": 1.0}), search)
    assert chosen.members == {"line": {"kind": "logistic", "view": "band", "strength": 1.0}}
    assert chosen.combine == {}


def test_an_option_that_depends_on_another_is_drawn_with_it_alone() -> None:
    search = of("""
        headline = "net"
        [members.net]
        kind = "cnn"
        depth = {choices = ["frozen", "deep"]}
        components = {choices = [10, "default"]}
        learning_rate = {low = 1e-5, high = 1e-3, log = true, when = {depth = "deep"}}
    """)
    told = {"members.net.depth": '"frozen"', "members.net.components": '"default"', "members.net.learning_rate": 1e-4}
    assert choose(optuna.trial.FixedTrial(told), search).members["net"] == {"kind": "cnn", "depth": "frozen"}
    deep = choose(optuna.trial.FixedTrial(told | {"members.net.depth": '"deep"'}), search).members["net"]
    assert deep == {"kind": "cnn", "depth": "deep", "learning_rate": 1e-4}
    either = search.members["net"]["learning_rate"].when
    either["depth"] = [1, "deep"]
    assert choose(optuna.trial.FixedTrial(told | {"members.net.depth": '"deep"'}), search).members["net"] == deep
    assert "learning_rate" not in choose(optuna.trial.FixedTrial(told), search).members["net"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('headline = "other"\n[members.line]\nkind = "svm"', "headline"),
        ("trails = 5\n" + SEARCH, "trails"),
        (SEARCH.replace("low = 0.001", "low = 0"), "above 0"),
        (SEARCH.replace("low = 0.001", "least = 0"), "must be a value"),
        (SEARCH.replace('kind = "logistic"', 'kind = {choices = ["svm", "logistic"]}'), "kind"),
        (SEARCH + "\n[augment]\nwobble = 1.0", "wobble"),
        (SEARCH.replace("log = true", 'log = true, when = {kernel = "rbf"}'), "kernel"),
    ],
)
def test_a_search_that_is_wrong_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        of(text)


def test_a_search_without_anything_open_is_refused(material: Material, tmp_path: Path) -> None:
    closed = of('headline = "a"\n[members.a]\nkind = "logistic"\nview = "band"')
    with pytest.raises(TrainingError, match="open"):
        tune_rows(material, everything(material), tmp_path, closed, 1)


def test_another_search_of_the_same_name_is_refused(material: Material, tmp_path: Path) -> None:
    tune_rows(material, everything(material), tmp_path, of(SEARCH), 1)
    with pytest.raises(TrainingError, match="another search"):
        tune_rows(material, everything(material), tmp_path, of(SEARCH.replace("high = 10.0", "high = 1.0")), 2)


def test_a_trial_that_is_far_behind_is_given_up_after_a_fold(material: Material, tmp_path: Path) -> None:
    for pruner in ("median", "hyperband"):
        out = tmp_path / pruner
        tuned = tune_rows(material, everything(material), out, of(SEARCH, pruner=pruner, folds=5), 14)
        assert tuned.pruned > 0
        with (out / "trials.csv").open() as stream:
            pruned = [row for row in csv.DictReader(stream) if row["state"] == "pruned"]
        assert {row["members.line.view"] for row in pruned} >= {"noise"}
        assert all(1 <= int(row["folds_told"]) < 5 for row in pruned)


def test_copies_and_augmentation_are_searched_and_their_views_not_kept(material: Material, tmp_path: Path) -> None:
    search = of(SEARCH + "\n[augment]\ngamma = {low = 0.0, high = 0.4}\nnoise = 0.01", copies={"low": 0, "high": 2})
    tuned = tune_rows(material, everything(material), tmp_path / "run", search, 3)
    config = tomllib.loads(tuned.toml.read_text())
    assert config["copies"] in (0, 1, 2)
    assert 0 <= config["augment"]["gamma"] <= 0.4
    assert config["augment"]["noise"] == 0.01
    assert not material.cache.exists()


def test_objectives_are_what_they_say() -> None:
    from sklearn.metrics import log_loss, roc_auc_score

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    p = rng.dirichlet(np.ones(3), 60)
    ends = y != 1
    assert OBJECTIVES["auc"][0](y, p) == pytest.approx(roc_auc_score(y == 2, p[:, 2]))
    expected = roc_auc_score(y[ends] == 2, p[ends, 2] / (p[ends, 0] + p[ends, 2]))
    assert OBJECTIVES["auc_normal_vs_osteoporosis"][0](y, p) == pytest.approx(expected)
    assert OBJECTIVES["auc_normal_vs_affected"][0](y, p) == pytest.approx(roc_auc_score(y > 0, -p[:, 0]))
    assert OBJECTIVES["log_loss"][0](y, p) == pytest.approx(log_loss(y, p))
    assert not OBJECTIVES["log_loss"][1]


def test_a_thinned_training_part_keeps_groups_and_classes_and_lies_in_a_larger_one() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat([f"g{i}" for i in range(90)], 2)
    labels = np.repeat(rng.choice(3, 90, p=[0.5, 0.3, 0.2]), 2)
    rows = np.arange(20, 180)
    smaller = set()
    for share in (0.25, 0.4, 0.6, 0.8, 1.0):
        kept = thinned(rows, labels, groups, share, seed=4)
        assert smaller <= set(kept) <= set(rows)
        smaller = set(kept)
        # Both scans of a patient, or none.
        assert all((groups[kept] == g).sum() == (groups[rows] == g).sum() for g in np.unique(groups[kept]))
        whole, left = (np.bincount(labels[r], minlength=3) // 2 for r in (rows, kept))
        np.testing.assert_allclose(left, share * whole, atol=0.51)
    assert smaller == set(rows)


def test_only_the_training_part_or_virtual_patients_may_be_searched_on() -> None:
    frame = pd.DataFrame({"path": list("abc"), "split": ["train", "test", "train"], "device": ["x"] * 3})
    assert list(training_rows(frame, virtual=False)["path"]) == ["a", "c"]
    with pytest.raises(DatasetError, match="no split"):
        training_rows(frame.drop(columns="split"), virtual=False)
    with pytest.raises(DatasetError, match="virtual device"):
        training_rows(frame.drop(columns="split"), virtual=True)
    made = frame.drop(columns="split").assign(device="virtual Hologic")
    assert len(training_rows(made, virtual=True)) == 3


def test_people_whom_the_searched_networks_have_seen_are_refused(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(json.dumps({"trained_on": "virtual patients only (n=9, seed=4, phantom)"}))
    frame = pd.read_csv(manifest).assign(device="virtual Hologic").drop(columns="split")
    frame["patient_id"] = [f"v4-{i:06d}" for i in range(len(frame))]
    frame.to_csv(manifest, index=False)
    text = SEARCH.replace('kind = "logistic"', 'kind = "cnn"').replace('view = {choices = ["noise", "band"]}', "")
    search = of(text, sources={"bundle": str(tmp_path)})
    with pytest.raises(DatasetError, match="trained on people of this manifest"):
        tune(manifest, tmp_path / "run", search, 1, virtual=True)


def test_rows_outside_the_training_part_are_not_even_read(
    manifest: Path, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def load(frame: pd.DataFrame, *_: Any, **__: Any) -> Pictures:
        given.extend(frame["split"])
        keep = pictures.part("train")
        return Pictures(frame, pictures.images[keep], pictures.labels[keep], pictures.patients[keep], pictures.refused)

    monkeypatch.setattr("spinecare.learn.data.load_pictures", load)
    passed = type("Report", (), {"ok": True})()
    monkeypatch.setattr("spinecare.io.dataset.check_manifest", lambda *_: passed)
    tuned = tune(manifest, tmp_path / "run", of(SEARCH, levels="none"), 1)
    assert set(given) == {"train"}
    told = json.loads((tmp_path / "run" / "tuned.json").read_text())
    assert told["n"] == 84
    assert "training part of manifest.csv" in tuned.toml.read_text()
    with pytest.raises(TrainingError, match="another search"):
        tune(manifest, tmp_path / "run", of(SEARCH, levels="none", seed=9), 1)


WORKER = """
import sys
from pathlib import Path
import numpy as np
sys.path[:0] = [{here!r}]
import test_tune as t
import conftest
from spinecare.learn.views import VIEWS, View
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings
VIEWS.update(band=View("", t.band), noise=View("", t.noise))
out = Path(sys.argv[1])
material = Material(conftest.draw(120), AugmentSettings(), 0, 0, out / "views")
t.tune_rows(material, np.arange(120), out, t.of(t.SEARCH), 12, sys.argv[2])
"""


def test_two_processes_share_one_search(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    script = WORKER.format(here=str(HERE))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / name), storage], env=environment, stderr=subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    for process in running:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()
    study = optuna.load_study(study_name="bands", storage=storage)
    # Whoever finds the number reached stops; the other may just have begun one more.
    assert len(study.trials) in (12, 13)
    assert {t.state.name for t in study.trials} <= {"COMPLETE", "PRUNED"}
    # Nobody repeats another's trial.
    assert len({t.params["members.line.strength"] for t in study.trials}) == len(study.trials)


def test_toml_is_written_as_it_is_read() -> None:
    config = {
        "copies": 8,
        "headline": "stack",
        "augment": {"gamma": 0.125, "flip": 0.0},
        "members": {"a": {"kind": 'with "quotes"', "view": ["hog", "profile"], "tta": True, "strength": 1e-05}},
        "combine": {"stack": {"kind": "stack"}},
    }
    assert tomllib.loads(to_toml(config)) == config


def test_the_search_in_the_package_can_be_read_and_built() -> None:
    from spinecare.learn.members import build_member

    search = SearchSettings.from_toml(DEFAULT_FILE)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        for options in choose(study.ask(), search).members.values():
            build_member(options["kind"], {k: v for k, v in options.items() if k != "kind"})
