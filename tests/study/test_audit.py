"""The audit on synthetic scans in which something was planted, and on ones in which nothing was."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from spinecare.learn.data import Pictures
from spinecare.scan import LABELS
from spinecare.study import audit_fits
from spinecare.study.audit import SEEN, audit_pictures
from spinecare.study.audit_checks import aucs, duplicates, intervals, permutation_summary
from spinecare.study.folds import study_folds
from spinecare.study.settings import MemberSettings, StudySettings

N, HEIGHT, WIDTH = 90, 64, 32
MEMBER = MemberSettings("small", "logistic", {"view": "thumbnail", "components": 8})
SETTINGS = StudySettings(
    repeats=2,
    folds=3,
    inner_folds=2,
    copies=0,
    headline="small",
    workers=1,
    bootstrap=100,
    members=(MEMBER,),
    combine=(),
)


def scans(folder: Path, brighter: float = 0.0, seed: int = 0) -> Pictures:
    """N pictures as PNG files, random but for osteoporosis being `brighter`."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(N) % 3).astype(np.int64)
    grain = [cv2.GaussianBlur(g, (0, 0), 1.5) for g in rng.normal(size=(N, HEIGHT, WIDTH)).astype(np.float32)]
    raws = np.stack([0.4 + 0.1 * g / g.std() for g in grain]) + (brighter * (labels == 2))[:, None, None]
    raws = np.clip(raws, 0, 1).astype(np.float32)
    for i, raw in enumerate(raws):
        cv2.imwrite(str(folder / f"{i}.png"), np.rint(255 * cv2.resize(raw, (160, 320))).astype(np.uint8))
    rows = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(N)],
            "file": [str(folder / f"{i}.png") for i in range(N)],
            "label": [str(LABELS[k]) for k in labels],
        }
    )
    # The crop is normalised, so brightness is gone from it.
    images = np.clip(raws - raws.mean(axis=(1, 2), keepdims=True) + 0.5, 0, 1).astype(np.float32)
    groups = np.array([f"g{i}" for i in range(N)])
    return Pictures(rows, images, labels, groups, rows.iloc[:0].assign(code=""), raws=raws, wholes=raws)


def drawn_on(pictures: Pictures) -> Pictures:
    """The same with a bright line whose row tells the class."""
    images = pictures.images.copy()
    for image, label in zip(images, pictures.labels, strict=True):
        image[10 + 15 * label : 14 + 15 * label] = 1.0
    return replace(pictures, images=images)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The audit of scans with a bright class, a drawing that tells, and one scan under two groups."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run")
    pictures = scans(data, brighter=0.15)
    shutil.copy(data / "3.png", data / "4.png")
    document = audit_pictures(pictures, drawn_on(pictures), SETTINGS, out, shufflings=6)
    assert json.loads((out / "audit.json").read_text()) == json.loads(json.dumps(document))
    assert "# Leakage audit" in (out / "audit.md").read_text()
    return document


def test_a_scan_under_two_groups_is_found_with_the_cuts_that_divide_it(planted: dict) -> None:
    (pair,) = planted["duplicates"]["pairs"]
    assert (pair["first"], pair["second"], pair["kind"], pair["apart"]) == ("3.png", "4.png", "file", True)
    assert planted["duplicates"]["cuts"] == 2 * 3 * 3
    assert 0 < pair["divided_by"] <= 18
    assert planted["duplicates"]["cuts_with_a_group_on_both_sides"] == 0
    assert any("divided by a fold" in one for one in planted["findings"])


def test_a_near_identical_picture_under_another_group_is_found_too(tmp_path: Path) -> None:
    pictures = scans(tmp_path)
    picture = cv2.imread(str(tmp_path / "7.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "8.png"), cv2.resize(picture[4:-4, 2:-2], (150, 300)))
    folds = study_folds(pictures.labels, pictures.patients, 1, 3, 2, 1)
    files = list(pictures.rows["file"])
    found = duplicates(files, list(pictures.rows["path"]), pictures.patients, folds, lambda step: None)
    assert [(p["first"], p["second"], p["kind"]) for p in found["pairs"]] == [("7.png", "8.png", "near")]
    together = pictures.patients.copy()
    together[8] = together[7]
    folds = study_folds(pictures.labels, together, 1, 3, 2, 1)
    found = duplicates(files, list(pictures.rows["path"]), together, folds, lambda step: None)
    assert (found["apart"], found["divided"]) == (0, 0)


def test_a_planted_shortcut_is_reported_and_beats_the_member(planted: dict) -> None:
    alone = planted["shortcuts"]["alone"]
    assert alone["brightness"]["auc"]["low"] > 0.8
    assert planted["shortcuts"]["member_minus_shortcut"]["small"]["brightness"]["auc"]["high"] < 0
    assert any("shortcut brightness alone" in one for one in planted["findings"])
    assert any(one.startswith("small is not shown to beat") and "brightness" in one for one in planted["findings"])


def test_a_drawing_that_tells_the_class_is_reported(planted: dict) -> None:
    sides = planted["drawing"]["small"]
    assert sides["not_masked"]["auc"]["value"] > 0.9
    assert sides["difference"]["auc"]["low"] > 0
    assert any("the drawing tells the class" in one for one in planted["findings"])


def test_shuffled_labels_give_a_half(planted: dict) -> None:
    told = planted["permutation"]["small"]
    assert told["shufflings"] == 6
    assert told["holds_half"]
    assert 0.35 < told["shuffled_mean"] < 0.62


def test_nothing_is_found_where_nothing_was_planted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pictures = scans(tmp_path / "data", seed=4)
    document = audit_pictures(pictures, pictures, SETTINGS, tmp_path / "run", shufflings=2)
    assert document["duplicates"]["pairs"] == []
    assert not [one for one in document["findings"] if "drawing" in one or "scan" in one]
    assert document["drawing"]["small"]["difference"]["auc"]["value"] == 0
    # A member that sees nothing in noise beats no shortcut, and the audit says so.
    assert any("small is not shown to beat" in one for one in document["findings"])


def test_a_resumed_audit_fits_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    pictures = scans(tmp_path / "data")
    first = audit_pictures(pictures, drawn_on(pictures), SETTINGS, tmp_path / "run", shufflings=1)
    (tmp_path / "run" / "audit" / "fits" / "small.npy").unlink()
    done: list[str] = []
    real = audit_fits.do_audit_job

    def watched(job: audit_fits.AuditJob) -> None:
        done.append(job.name)
        real(job)

    monkeypatch.setattr("spinecare.study.audit.do_audit_job", watched)
    assert audit_pictures(pictures, drawn_on(pictures), SETTINGS, tmp_path / "run", shufflings=1) == first
    assert done == ["small"]


def test_differences_are_paired(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, groups = np.arange(60) % 3, np.arange(60).astype(str)
    p = rng.dirichlet(np.ones(3), (2, 60))
    found = intervals(labels, groups, {"a": p, "b": p.copy(), f"{SEEN}a": rng.dirichlet(np.ones(3), (2, 60))}, 50, 0)
    assert found["a - b"]["auc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    gap = found["a"]["auc"]["value"] - found[f"{SEEN}a"]["auc"]["value"]
    assert found[f"a - {SEEN}a"]["auc"]["value"] == pytest.approx(gap)


def test_aucs_are_averaged_over_repeats_and_leave_the_middle_class_out() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    good = np.array(
        [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.0, 0.1, 0.9], [0.0, 0.1, 0.9], [0.2, 0.1, 0.7], [0.2, 0.1, 0.7]]
    )
    found = aucs(labels, np.stack([good, good[:, ::-1]]), np.ones(6))
    # Osteoporosis above normal always and below low bone mass always; turned round, the other way.
    assert float(found["auc"]) == pytest.approx((0.5 + 0.5) / 2)
    assert float(found["auc_normal_vs_osteoporosis"]) == pytest.approx((1 + 0) / 2)


def test_a_leak_under_shuffled_labels_is_told() -> None:
    assert permutation_summary(0.8, [0.45, 0.5, 0.55, 0.5])["holds_half"]
    assert not permutation_summary(0.8, [0.7, 0.72, 0.74, 0.71])["holds_half"]
    assert permutation_summary(0.8, [0.4, 0.5, 0.6, 0.9])["p"] == pytest.approx(2 / 5)
