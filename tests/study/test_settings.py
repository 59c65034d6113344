from __future__ import annotations

import json
from pathlib import Path

import pytest

from spinecare.errors import TrainingError
from spinecare.study.settings import CombineSettings, MemberSettings, StudySettings

TOML = """
name = "two"
seed = 4
repeats = 2
headline = "joined"
calibration = "platt"
[sources]
bundle = "weights/mine"
[augment]
shift = 0
[targets]
ppv = 0.9
[prepare]
denoise = "off"
[members.texture]
kind = "svm"
view = ["radiomics", "hog"]
components = 12
[members.deep]
kind = "cnn"
[combine.joined]
kind = "stack"
members = ["texture"]
strength = 0.1
"""


def told(text: str, folder: Path) -> StudySettings:
    (folder / "study.toml").write_text(text)
    return StudySettings.from_toml(folder / "study.toml")


def test_a_file_becomes_settings(tmp_path: Path) -> None:
    s = told(TOML, tmp_path)
    assert (s.name, s.seed, s.repeats, s.folds, s.headline, s.calibration) == ("two", 4, 2, 5, "joined", "platt")
    options = {"view": ["radiomics", "hog"], "components": 12}
    assert s.members == (MemberSettings("texture", "svm", options), MemberSettings("deep", "cnn", {}))
    assert s.combine == (CombineSettings("joined", "stack", ("texture",), {"strength": 0.1}),)
    assert s.sources.bundle == str(tmp_path / "weights" / "mine")
    assert (s.augment.shift, s.augment.rotation_deg) == (0.0, 5.0)
    assert (s.targets.ppv, s.targets.npv) == (0.9, 0.95)
    assert s.prepare.denoise == "off"
    assert json.loads(json.dumps(s.to_json()))["members"][0]["options"] == options


def test_without_combiners_there_are_voting_and_a_stack(tmp_path: Path) -> None:
    s = told('[members.a]\nkind = "svm"', tmp_path)
    assert [joined.name for joined in s.combine] == ["voting", "stack"]
    assert s.models == ["a", "voting", "stack", "prevalence", "brightness", "noise", "geometry", "thumbnail"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fold = 5", "fold is no setting"),
        ("[augment]\nshfit = 0.1", r"\[augment\] shfit is no setting"),
        ("[members.b]\nview = 'hog'", r"\[members.b\] has no kind"),
        ("members = 3", r"members must be a table"),
        ("repeats = '5'", "repeats = '5' must be of the type int"),
        ("one_per_group = 1", "one_per_group = 1 must be of the type bool"),
        ("repeats = true", "repeats = True must be of the type int"),
        ("folds = 1", "folds = 1 makes no sense"),
        ("train_share = 1.5", "train_share = 1.5 is no share"),
        ("calibration = 'beta'", "'beta' is none of temperature, platt, isotonic"),
        ("headline = 'best'", "headline = 'best' is no model of this study"),
        ("[combine.s]\nkind = 'stack'\nmembers = ['b']", r"\[combine.s\] joins 'b'"),
        ("[members.noise]\nkind = 'svm'", "called 'noise'"),
        ("[members.'a/b']\nkind = 'svm'", "'a/b' can't name a model"),
        ("x = ", "no TOML"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        told(text if text.startswith("members") else f"{text}\n[members.a]\nkind = 'svm'", tmp_path)


def test_no_file_and_no_member_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot be read.*docs/study.md"):
        StudySettings.from_toml(tmp_path / "none.toml")
    with pytest.raises(TrainingError, match="at least one member"):
        told("", tmp_path)


def test_quick_keeps_few_members_that_read_no_network(tmp_path: Path) -> None:
    s = told(TOML, tmp_path).quick()
    assert (s.repeats, s.folds, s.inner_folds, s.copies) == (1, 3, 3, 1)
    assert [member.name for member in s.members] == ["texture"]
    assert s.headline == "joined"
    only_deep = told('[members.deep]\nkind = "cnn"\n', tmp_path)
    assert [member.name for member in only_deep.quick().members] == ["deep"]


def test_the_study_of_the_package_can_be_built() -> None:
    from spinecare.learn.combine import build_combiner
    from spinecare.learn.members import build_member

    s = StudySettings.from_toml()
    assert (s.repeats, s.folds, s.inner_folds, s.headline) == (5, 5, 5, "stack")
    for member in s.members:
        assert build_member(member.kind, member.options).about
    for joined in s.combine:
        assert build_combiner(joined.kind, joined.options).about
    assert s.quick().members
