from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from spinecare.errors import DatasetError, TrainingError
from spinecare.io.dataset import read_manifest
from spinecare.learn.data import Pictures
from spinecare.learn.material import Sources
from spinecare.learn.recipe import silent
from spinecare.learn.seen import seen_by_bundle
from spinecare.learn.views import VIEWS, View
from spinecare.phantom.chain import exposed
from spinecare.phantom.cohort import GENERATOR
from spinecare.study import bounds_second, bounds_tables
from spinecare.study.bounds import BoundSettings, _with_split, bounds, held_out, stretches
from spinecare.study.bounds_fits import Said
from spinecare.study.bounds_scores import class_weights, figures_of, scores
from spinecare.study.bounds_second import Second, second_scans
from spinecare.study.settings import CombineSettings, MemberSettings, StudySettings

TINY = BoundSettings(sizes=(12, 24), draws=2, test=24, second=6)
LABEL_OF = {"normal": 0, "low_bone_mass": 1, "osteoporosis": 2}
SEED = 77


def load(frame: pd.DataFrame, *_: object, **__: object) -> Pictures:
    """A grey picture a person, the brighter the stronger the bone; person 5 is refused."""
    kept = frame["patient_id"] != f"v{SEED}-000005"
    rows = frame[kept].reset_index(drop=True)
    grey = np.array([0.5 + t / 20 for t in rows["t_score"]], np.float32)
    images = np.repeat(grey, 32).reshape(-1, 8, 4)
    labels = np.array([LABEL_OF[label] for label in rows["label"]])
    refused = frame[~kept].assign(code="levels_not_found").reset_index(drop=True)
    return Pictures(rows, images, labels, rows["patient_id"].to_numpy().astype(str), refused, images, images)


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds_tables, "load_pictures", load)
    grey = View("for tests", lambda material: material.pictures.images.mean(axis=(1, 2))[:, None, None])
    monkeypatch.setitem(VIEWS, "grey", grey)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A manifest of 60 people whose pictures nobody opens, with the simulator's own truth for the first three."""
    folder = tmp_path / "cohort"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        t = (-0.5, -1.7, -3.2)[i % 3] + float(rng.normal(0, 0.6))
        label = "normal" if t >= -1 else "osteoporosis" if t <= -2.5 else "low_bone_mass"
        key = f"v{SEED}-{i:06d}"
        (folder / "images" / f"{key}.png").write_bytes(key.encode())
        rows.append(
            {
                "path": f"images/{key}.png",
                "label": label,
                "patient_id": key,
                "t_score": round(t, 4),
                "device": "virtual Hologic",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    told = {"generator": GENERATOR, "seed": SEED, "style": "hologic", "balance": True, "measured_by": "scan"}
    (folder / "cohort.json").write_text(json.dumps(told))
    return folder / "manifest.csv"


@pytest.fixture
def study() -> StudySettings:
    return StudySettings(
        inner_folds=2,
        workers=1,
        bootstrap=50,
        levels="none",
        headline="voting",
        members=(
            MemberSettings("plain", "logistic", {"view": "grey"}),
            MemberSettings("deep", "cnn", {"start": "none", "depth": "deep"}),
        ),
        combine=(CombineSettings("voting", "voting"),),
    )


def test_both_bounds_end_to_end_and_again_from_what_is_there(
    cohort: Path, study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds_tables, "AT_ONCE", 20)
    monkeypatch.setattr(bounds_second, "_again", lambda one: (one.key, one.t_score - 0.01, "osteoporosis"))
    told = bounds(cohort, study, tmp_path, TINY)
    assert [one["name"] for one in told["bounds"]] == ["measurement error", "voting of 24 virtual people"]
    assert [(one["size"], one["draws"]) for one in told["sizes"]] == [(12, 2), (24, 1)]
    # A fine-tuned member has no place here; those on frozen views and what joins them have.
    assert set(told["sizes"][0]["models"]) == {"plain", "voting"}
    figure = told["bounds"][1]["figures"]["auc"]
    assert 0 <= figure["interval"]["low"] <= figure["value"] <= figure["interval"]["high"] <= 1
    assert figure["n"] == told["n"] in (23, 24)
    assert "virtual people" in figure["protocol"]
    assert json.loads((tmp_path / "bounds.json").read_text()) == json.loads(json.dumps(told))
    assert "measurement error" in (tmp_path / "bounds.md").read_text()

    # Figures of a study draw these as lines.
    from spinecare.study.bounds_table import bound_lines, bounds_table, read_bounds

    lines = bound_lines(read_bounds(tmp_path / "bounds.json"))
    assert lines["measurement error"] == told["bounds"][0]["figures"]["auc"]["value"]
    assert bounds_table(told) is not None

    # The second T-score orders people as the first did; its class is right for those with osteoporosis alone.
    error = told["bounds"][0]["figures"]
    assert error["auc"]["value"] == 1.0
    assert error["accuracy_three_classes"]["value"] == pytest.approx(
        np.mean(read_manifest(cohort)["label"].iloc[held_out(read_manifest(cohort), TINY)[0][:6]] == "osteoporosis")
    )

    # Nobody is prepared, fitted or scanned twice.
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("spinecare.study.bounds_tables.load_pictures", never)
    monkeypatch.setattr("spinecare.study.bounds_fits.do_fold", never)
    monkeypatch.setattr("spinecare.study.bounds_second._again", never)
    assert bounds(cohort, study, tmp_path, TINY)["sizes"] == told["sizes"]


def test_views_made_in_parts_are_those_of_everybody(
    cohort: Path, study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = read_manifest(cohort)
    monkeypatch.setattr(bounds_tables, "AT_ONCE", 13)
    tables = bounds_tables.tables_of(frame, study, tmp_path, silent)
    pictures = load(frame)
    assert list(np.flatnonzero(np.arange(60) != 5)) == list(tables.kept)
    np.testing.assert_allclose(np.load(tables.views["grey"])[:, 0, 0], pictures.images[:, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(tables.labels, pictures.labels)
    np.testing.assert_array_equal(tables.people, pictures.patients)


def test_the_second_scan_is_of_the_same_person_laid_down_anew(cohort: Path, tmp_path: Path) -> None:
    first = exposed(SEED, 1, True)[0]
    again = exposed(SEED, 1, True, visit=1)[0]
    frame = read_manifest(cohort).iloc[[1]].assign(t_score=round(first.t_score, 4), label=str(first.label))
    second = second_scans(frame, tmp_path, 1, silent)
    assert second.t_score[0] == again.t_score != first.t_score
    assert second.first[0] == LABEL_OF[str(first.label)]
    assert second.label[0] == LABEL_OF[str(again.label)]
    # Short-term precision: another reading, not another person.
    assert abs(again.t_score - first.t_score) < 1

    with pytest.raises(DatasetError, match="T-score"):
        second_scans(frame.assign(t_score=first.t_score + 0.5), tmp_path / "other", 1, silent)


def test_people_of_no_cohort_cannot_be_scanned_again(cohort: Path, tmp_path: Path) -> None:
    elsewhere = read_manifest(cohort).iloc[:2].assign(file=str(tmp_path / "images" / "x.png"))
    with pytest.raises(DatasetError, match="no cohort"):
        second_scans(elsewhere, tmp_path / "other", 1, silent)


def people(n: int, **columns: object) -> pd.DataFrame:
    labels = ["normal", "low_bone_mass", "osteoporosis"]
    return pd.DataFrame(
        {"label": [labels[i % 3] for i in range(n)], "patient_id": [f"v1-{i:06d}" for i in range(n)], **columns}
    )


def test_nobody_is_tested_and_learnt_from_and_every_stretch_has_the_class_shares() -> None:
    frame = people(600)
    test, pool = held_out(frame, BoundSettings(sizes=(60, 300), test=90))
    assert len(test) == 90
    assert not set(test) & set(pool)
    for size in (60, 300):
        cuts = stretches(pool, size, draws=5)
        assert len(cuts) == min(5, len(pool) // size)
        assert len(np.unique(np.concatenate(cuts))) == size * len(cuts)
        for rows in (test, *cuts):
            counts = frame["label"].iloc[rows].value_counts()
            assert counts.max() - counts.min() <= 2
    with pytest.raises(DatasetError, match="too few"):
        held_out(frame, BoundSettings(sizes=(550,), test=90))


def test_a_split_says_who_may_be_tested() -> None:
    split = ["test" if i // 3 % 4 == 0 else "train" for i in range(240)]
    frame = people(240, split=split)
    test, pool = held_out(frame, BoundSettings(sizes=(100,), test=45))
    assert set(frame["split"].iloc[test]) == {"test"}
    assert set(frame["split"].iloc[pool]) == {"train"}


def test_the_split_of_a_training_run_says_who_may_be_tested(tmp_path: Path) -> None:
    frame = people(6)
    # As `learn.train` writes it: patients by unit, refused ones without.
    told = "path,label,split,patient,code\n" + "".join(
        f"x,normal,{part},patient:v1-{i:06d},\n" for i, part in enumerate(("test", "train", "val", "test", "train"))
    )
    (tmp_path / "split.csv").write_text(told + "x,normal,test,,levels_not_found\n")
    parts = list(_with_split(frame, tmp_path / "split.csv")["split"])
    assert parts == ["test", "train", "val", "test", "train", "left out"]
    with pytest.raises(DatasetError, match="test part"):
        _with_split(frame.assign(patient_id="somebody"), tmp_path / "split.csv")


def test_people_whom_the_networks_were_trained_on_are_known(cohort: Path, study: StudySettings, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(
        json.dumps({"trained_on": "virtual patients only (n=100, seed=77, spinecare phantom 2)"})
    )
    sources = Sources(bundle=str(tmp_path))
    frame = pd.DataFrame({"patient_id": ["v77-000099", "v77-000100", "v78-000001", "v1000080-000003", "somebody"]})
    assert list(seen_by_bundle(frame, sources)) == [True, False, False, True, False]
    # All 60 of the cohort are among the first hundred.
    reads = replace(study, sources=sources, members=(MemberSettings("cnn", "cnn", {"start": "virtual"}),))
    with pytest.raises(DatasetError, match="24 of the people to test"):
        bounds(cohort, reads, tmp_path / "out", TINY)


def test_without_a_frozen_member_there_is_nothing_to_bound(cohort: Path, study: StudySettings, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="frozen view"):
        bounds(cohort, replace(study, members=study.members[1:]), tmp_path, TINY)


def test_a_manifest_without_the_rendering_is_refused(cohort: Path, study: StudySettings, tmp_path: Path) -> None:
    with cohort.open() as stream:
        rows = [row | {"device": "virtual GE Lunar iDXA"} for row in csv.DictReader(stream)]
    with (cohort.parent / "idxa.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DatasetError, match="Hologic"):
        bounds(cohort.parent / "idxa.csv", study, tmp_path, TINY)


def test_figures_are_those_of_another_library_and_weights_change_the_mix() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 300)
    p = rng.dirichlet(1 + 2 * np.eye(3)[0], 300) * 0 + rng.dirichlet(np.ones(3), 300)
    mix = {"normal": 0.6, "low_bone_mass": 0.3, "osteoporosis": 0.1}
    w = class_weights(y, mix)
    for number, share in enumerate(mix.values()):
        assert w[y == number].sum() / w.sum() == pytest.approx(share)
    figures = figures_of(y, p, p.argmax(1), w)
    assert figures["auc"] == pytest.approx(roc_auc_score(y == 2, p[:, 2], sample_weight=w))
    assert figures["auc_normal_vs_affected"] == pytest.approx(roc_auc_score(y > 0, 1 - p[:, 0], sample_weight=w))
    ends = y != 1
    share = p[ends, 2] / (p[ends, 0] + p[ends, 2])
    assert figures["auc_normal_vs_osteoporosis"] == pytest.approx(roc_auc_score(y[ends] == 2, share))
    assert figures["accuracy_three_classes"] == pytest.approx(np.average(p.argmax(1) == y, weights=w))


def test_a_size_is_the_mean_of_its_draws_never_of_their_probabilities(study: StudySettings) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    sharp = np.eye(3)[y] * 0.8 + 0.2 / 3
    blunt = rng.dirichlet(np.ones(3), 120)
    said = [Said(50, i, 50, {"voting": p}, {"voting": p.argmax(1)}) for i, p in enumerate((sharp, blunt))]
    nothing = Second(np.zeros(0, int), np.zeros(0), np.zeros(0, int))
    told = scores(y, said, nothing, study, None, 0)
    auc = told["sizes"][0]["models"]["voting"]
    assert auc["by_draw"]["auc"] == pytest.approx([1.0, roc_auc_score(y == 2, blunt[:, 2])])
    assert auc["figures"]["auc"]["value"] == pytest.approx(np.mean(auc["by_draw"]["auc"]))
    assert len(told["bounds"]) == 1
