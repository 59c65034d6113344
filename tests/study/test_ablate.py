from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinecare.errors import TrainingError
from spinecare.learn.material import Sources
from spinecare.learn.recipe import AugmentSettings
from spinecare.study import ablate as module
from spinecare.study.ablate import ablate
from spinecare.study.ablations import ABLATIONS, CHEAP, depth, is_deep, pretraining
from spinecare.study.settings import CombineSettings, MemberSettings, StudySettings
from spinecare.study.store import read_answers
from study_fakes import Band, Mean, draw, settings

SHARES = (0.5, 1.0)
# Augmentation of two kinds: all of them would be eleven studies.
TWO = AugmentSettings(**(dict.fromkeys(vars(AugmentSettings()), 0.0) | {"gamma": 0.1, "noise": 0.02}))
VIRTUAL = Sources(virtual="/somewhere", imagenet="/else.safetensors")


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spinecare.learn.members.build_member", lambda kind, options: Band())
    monkeypatch.setattr("spinecare.learn.combine.build_combiner", lambda kind, options: Mean())
    monkeypatch.setattr("spinecare.learn.views.VIEWS", {})
    monkeypatch.setattr("spinecare.study.engine.baselines", dict)
    monkeypatch.setattr("spinecare.study.ablations.SHARES", SHARES)
    monkeypatch.setattr(module, "study_pictures", lambda *_: (draw(), ("as drawn",)))


def run(tmp_path: Path, name: str, **changes: Any) -> dict[str, Any]:
    return ablate(Path("manifest.csv"), settings(**({"repeats": 1} | changes)), [name], tmp_path)["ablations"][name]


def test_a_learning_curve_asks_about_the_same_scans_with_fewer_to_learn_from(tmp_path: Path) -> None:
    told = run(tmp_path, "learning_curve")
    studies = told["learning"]["studies"]
    scans = [studies[f"share_{round(100 * share)}"]["train_scans"] for share in SHARES]
    assert scans[-1] == pytest.approx(72 * 2 / 3)
    np.testing.assert_allclose(scans, np.array(SHARES) * scans[-1], atol=4)
    folds = [read_answers(tmp_path / "ablate" / "learning_curve" / name).fold for name in studies]
    assert all(np.array_equal(fold, folds[0]) for fold in folds)
    assert {(d["variant"], d["minus"]) for d in told["differences"]} >= {("share_50/stack", "share_100/stack")}
    page = (tmp_path / "ablate.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| voting |")]
    halves = told["variants"]["share_50/voting"]["figures"]["auc"]["value"]
    assert f"{halves:.3f}" in row
    assert row.count("|") == len(SHARES) + 2
    assert "of each training part's groups used" not in page


def test_a_difference_is_variant_minus_reference_with_its_interval(tmp_path: Path) -> None:
    told = run(tmp_path, "learning_curve")
    for one in told["differences"]:
        difference, models = one["figures"]["auc"], told["variants"]
        gap = models[one["variant"]]["figures"]["auc"]["value"] - models[one["minus"]]["figures"]["auc"]["value"]
        assert difference["value"] == pytest.approx(gap)
        if difference["interval"]:
            assert difference["interval"]["low"] <= difference["value"] <= difference["interval"]["high"]


def test_each_kind_of_change_is_left_out_once(tmp_path: Path) -> None:
    plan = ABLATIONS["augmentation"](settings(copies=3))
    assert plan.studies["none"].copies == 0
    assert plan.studies["all"].copies == 3
    left = {name.removeprefix("no_"): s for name, s in plan.studies.items() if name.startswith("no_")}
    for kind, study in left.items():
        changed = {key for key, value in vars(study.augment).items() if value != vars(plan.studies["all"].augment)[key]}
        assert changed == {kind}
        assert getattr(study.augment, kind) == 0
    assert len(left) == 9
    # Nothing cheap among the members: plain ones stand in.
    assert plan.studies["all"].members == CHEAP

    told = run(tmp_path, "augmentation", copies=1, augment=TWO)
    assert {d["minus"] for d in told["differences"]} == {"all/thumbnail_logistic", "all/hog_logistic", "all/voting"}
    assert len(told["differences"]) == 3 * 3


def test_pretraining_compares_starts_of_the_same_network() -> None:
    plan = pretraining(settings(sources=VIRTUAL))
    members = {m.name: m for m in plan.studies["all"].members}
    assert {name for name in members if name.startswith("vgg16")} == {
        "vgg16_none", "vgg16_virtual", "vgg16_virtual_frozen", "vgg16_imagenet", "vgg16_imagenet_frozen",
    }  # fmt: skip
    # ImageNet's convolutions are VGG16's alone.
    assert "cnn_imagenet" not in members
    assert members["cnn_none"].options == {"start": "none", "depth": "deep"}
    assert "cnn_virtual" in plan.pairs["cnn_none"]
    without = pretraining(settings())
    assert not [m for m in without.studies["all"].members if m.options["start"] != "none" and is_deep(m)]
    assert len(without.notes) == 2


def test_depth_needs_weights_and_goes_from_the_head_to_all_stages() -> None:
    with pytest.raises(TrainingError, match="sources"):
        depth(settings())
    plan = depth(settings(sources=VIRTUAL))
    found = {m.name: m.options.get("depth", "frozen") for m in plan.studies["all"].members}
    assert [found[f"cnn_{d}"] for d in ("frozen", 1, "all")] == ["frozen", 1, "all"]
    assert plan.studies["all"].repeats == 1
    assert plan.studies["all"].combine == ()


def test_what_is_planned_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from spinecare.learn.members import build_member

    asked = replace(StudySettings.from_toml(), sources=VIRTUAL)
    for make in ABLATIONS.values():
        for study in make(asked).studies.values():
            for member in study.members:
                build_member(member.kind, member.options)


def test_one_may_leave_a_member_out(tmp_path: Path) -> None:
    plan = pretraining(settings(sources=VIRTUAL)).less(["vgg16_none", "vgg16_virtual"])
    assert "vgg16_none" not in {m.name for m in plan.studies["all"].members}
    told = ablate(
        Path("m.csv"), settings(sources=VIRTUAL, repeats=1), ["pretraining"], tmp_path, leave_out=["vgg16_none"]
    )
    pairs = {(d["variant"], d["minus"]) for d in told["ablations"]["pretraining"]["differences"]}
    assert ("cnn_virtual", "cnn_none") in pairs
    assert not [pair for pair in pairs if "vgg16_none" in pair]
    # What has no reference left is compared no more; two frozen bases still are.
    assert ("vgg16_virtual_frozen", "vgg16_imagenet_frozen") in pairs


def test_deep_members_are_no_part_of_a_learning_curve() -> None:
    deep = MemberSettings("deep", "cnn", {"depth": "all"})
    base = settings()
    asked = replace(
        base, members=(*base.members, deep), combine=(*base.combine, CombineSettings("pair", "voting", ("deep",)))
    )
    study = ABLATIONS["learning_curve"](asked).studies["share_50"]
    assert [m.name for m in study.members] == ["band"]
    assert "pair" not in {joined.name for joined in study.combine}


def test_called_again_finished_studies_are_kept_and_earlier_ablations_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, "learning_curve")

    def never(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("spinecare.study.engine.do_fold", never)
        assert run(tmp_path, "learning_curve") == first
    run(tmp_path, "augmentation", copies=1, augment=TWO)
    kept = json.loads((tmp_path / "ablate.json").read_text())
    assert list(kept["ablations"]) == ["learning_curve", "augmentation"]
    assert "did not choose" in kept["warning"]


def test_an_unknown_ablation_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"'shoes'.*augmentation"):
        ablate(Path("m.csv"), settings(), ["shoes"], tmp_path)
