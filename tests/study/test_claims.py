"""The claims on synthetic pictures: what the leak gives away must show, and must not show honestly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from spinecare.errors import TrainingError
from spinecare.evaluate.metrics import auc
from spinecare.learn.data import Pictures
from spinecare.scan import LABELS
from spinecare.settings import PrepareSettings
from spinecare.study import claims_work
from spinecare.study.claims import claims_of, run_claims
from spinecare.study.claims_figure import claims_svg
from spinecare.study.claims_page import markdown, sentences
from spinecare.study.claims_pictures import honest_split, leaky_split, shown_pictures, shuffled_labels, spread
from spinecare.study.claims_scores import scores
from spinecare.study.claims_settings import TASKS, ClaimMember, ClaimsSettings, published_members

HEIGHT, WIDTH = 48, 24
FOREST = ClaimMember("forest", {"view": "thumbnail", "trees": 25, "leaf": 1})
CHEAP = {"nearest": ClaimMember("nearest"), "forest": FOREST}


def random_pictures(n: int = 60, seed: int = 0) -> Pictures:
    """n smooth random pictures, two of each third group, whose labels have nothing to do with them."""
    import cv2

    rng = np.random.default_rng(seed)
    grain = rng.normal(size=(n, HEIGHT, WIDTH)).astype(np.float32)
    images = np.stack([cv2.GaussianBlur(one, (0, 0), 3.0) for one in grain])
    images = np.clip(0.5 + 0.2 * images / images.std(), 0, 1).astype(np.float32)
    groups = np.array([f"g{i - 1 if i % 3 == 1 else i}" for i in range(n)])
    _, which = np.unique(groups, return_inverse=True)
    labels = rng.permutation(np.arange(which.max() + 1) % 3)[which].astype(np.int64)
    rows = pd.DataFrame({"path": [f"{i}.png" for i in range(n)], "label": [str(LABELS[k]) for k in labels]})
    return Pictures(rows, images, labels, groups, rows.iloc[:0].assign(code=""), raws=images, wholes=images)


def settings(**changes: object) -> ClaimsSettings:
    """A run of seconds."""
    kept = {"splits": 3, "copies": 11, "members": CHEAP, "prepare": PrepareSettings(HEIGHT, WIDTH), "workers": 1}
    return ClaimsSettings(**(kept | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def random_run(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The document of a run on labels that mean nothing."""
    return claims_of(random_pictures(120), tmp_path_factory.mktemp("run"), settings(copies=7)).document


def test_labels_that_mean_nothing_are_known_with_the_leak_and_guessed_honestly(random_run: dict) -> None:
    for member in CHEAP:
        sides = random_run["table"][member]["three"]
        assert sides["leak"]["accuracy"]["mean"] > 0.7
        assert sides["honest"]["accuracy"]["mean"] < 0.55
        assert sides["leak_shuffled"]["accuracy"]["mean"] > 0.7
        assert sides["honest_shuffled"]["accuracy"]["mean"] < 0.55
        for task in ("yes_no", "affected"):
            both = random_run["table"][member][task]
            assert both["leak"]["auc"]["mean"] > 0.85
            assert abs(both["honest"]["auc"]["mean"] - 0.5) < 0.25


def test_the_honest_test_part_is_unseen_and_as_it_is() -> None:
    pictures = random_pictures()
    many = spread(pictures, settings(), Path("unused"))
    for seed in range(20):
        split = honest_split(many.labels, many.groups, 11, seed)
        of = [set(many.groups[part]) for part in (split.train, split.val, split.test)]
        assert sum(map(len, of)) == len(set.union(*of)) == len(set(pictures.patients))
        assert (split.test % 12 == 0).all()
        np.testing.assert_array_equal(many.pictures.images[split.test], pictures.images[split.test // 12])
        for part in (split.train, split.val):  # fitted on: every copy
            assert len(part) == 12 * len(set(part // 12))


def test_the_published_split_has_copies_of_one_picture_on_both_sides() -> None:
    split = leaky_split(720, seed=1)
    assert [len(p) for p in (split.train, split.val, split.test)] == [504, 72, 144]
    assert sorted(np.concatenate([split.train, split.val, split.test])) == list(range(720))
    known = np.isin(split.test // 12, split.train // 12)
    assert known.mean() > 0.99


def test_crop_and_raw_crop_of_a_copy_are_varied_by_the_same_draws() -> None:
    pictures = random_pictures(6)
    many = spread(replace(pictures, raws=pictures.images.copy()), settings(copies=2), Path("unused")).pictures
    np.testing.assert_array_equal(many.images, many.raws)
    assert not np.array_equal(many.images[1], many.images[0])


def test_whole_exports_take_the_crops_size() -> None:
    pictures = replace(random_pictures(3), wholes=np.random.default_rng(0).random((3, 160, 160)).astype(np.float32))
    shown = shown_pictures(pictures, settings(shown="whole-with-drawing"))
    assert shown.images.shape == (3, HEIGHT, WIDTH)
    assert shown_pictures(pictures, settings()) is pictures


def test_shuffled_labels_keep_groups_whole_and_lose_the_pictures() -> None:
    groups = np.repeat([f"g{i}" for i in range(90)], 2)
    labels = np.repeat(np.arange(90) % 3, 2)
    dealt = shuffled_labels(labels, groups, seed=3)
    assert (dealt[::2] == dealt[1::2]).all()
    np.testing.assert_array_equal(np.bincount(dealt), np.bincount(labels))
    assert 0.15 < (dealt == labels).mean() < 0.5


def test_a_resumed_run_does_only_what_is_missing_and_gives_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, few = random_pictures(30), settings(splits=2, copies=3, members={"nearest": ClaimMember("nearest")})
    first = claims_of(pictures, tmp_path, few).document
    files = sorted((tmp_path / "work").iterdir())
    gone = files[::3]
    for file in gone:
        file.unlink()
    done: list[str] = []
    real = claims_work.do

    def watched(job: claims_work.Job, **others: object) -> None:
        done.append(f"{job.name}.npz")
        real(job, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(claims_work, "do", watched)
    second = claims_of(pictures, tmp_path, few).document
    assert sorted(done) == [file.name for file in gone]

    def unhurried(document: dict) -> str:
        return json.dumps(document["table"], default=str).replace("NaN", "null").split("fit_seconds")[0]

    assert unhurried(first) == unhurried(second)
    assert not list(tmp_path.rglob("*.part"))


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    pictures, few = random_pictures(30), settings(splits=1, copies=3, members={"forest": FOREST}, shuffled=False)
    one = claims_of(pictures, tmp_path / "one", few).document["table"]["forest"]
    two = claims_of(pictures, tmp_path / "two", replace(few, workers=2)).document["table"]["forest"]
    for task in TASKS:
        for side in ("leak", "honest"):
            assert one[task][side]["accuracy"] == two[task][side]["accuracy"]
            assert one[task][side]["auc"] == two[task][side]["auc"]


def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\n")
    with pytest.raises(Exception, match="no rows"):
        run_claims(tmp_path / "manifest.csv", tmp_path / "run", settings())
    with pytest.raises(TrainingError, match="another run"):
        run_claims(tmp_path / "manifest.csv", tmp_path / "run", settings(seed=2))


def test_scores_of_a_task_of_two_from_three_classes() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    p = np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3], [0.6, 0.4, 0.0], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3]])
    affected = scores(p, labels, TASKS["affected"], own=False)
    # Said yes: rows 1, 2, 4, 5; right: rows 0, 2, 4, 5.
    assert affected["accuracy"] == pytest.approx(4 / 6)
    assert affected["auc"] == pytest.approx(float(auc(labels > 0, 1 - p[:, 0])))
    assert scores(p, labels, TASKS["yes_no"], own=False)["accuracy"] == pytest.approx(5 / 6)
    # Fitted on the very task, the last column is the yes.
    assert scores(p, labels, TASKS["affected"], own=True)["accuracy"] == pytest.approx(3 / 6)
    assert scores(p, labels, TASKS["three"], own=False)["accuracy"] == pytest.approx(2 / 6)


def test_the_page_says_what_it_may_not_be_taken_for(random_run: dict) -> None:
    page = markdown(random_run)
    assert "These are not the pictures of the claims" in page
    assert "not a confidence interval" in page
    assert "| another group's detector | 97.1 % (another group, normal against affected on 174 pictures) |" in page
    assert page.count("| nearest | – |") == 3
    assert "labels that mean nothing" in " ".join(sentences(random_run)["inferred"])


def test_claimed_figures_stand_beside_their_member(random_run: dict) -> None:
    table = random_run["table"]
    renamed = random_run | {"table": {"cnn": table["nearest"], "stack": table["forest"]}}
    page = markdown(renamed)
    three = page[page.index("## Three") : page.index("## Osteoporosis")]
    assert "| cnn | 97 % |" in three
    assert "| stack | 93 % |" in three
    assert "97.1" not in three


def test_the_figure_has_a_dot_a_side_a_task_and_a_diamond_a_claim(random_run: dict) -> None:
    svg = ElementTree.fromstring(claims_svg(random_run))
    tags = [element.tag.rpartition("}")[2] for element in svg.iter()]
    assert tags.count("circle") == 2 * 3 * len(CHEAP) + 2  # and two in the legend
    # cnn, vgg16 and resnet_forest were claimed in two tasks, one detector in the third; one in the legend.
    assert tags.count("polygon") == 2 * 3 + 1 + 1
    assert claims_svg(random_run) == claims_svg(random_run)


def test_the_published_members_are_all_there() -> None:
    assert set(published_members()) >= {"cnn", "vgg16", "resnet_forest", "radiomics_svm"}
    with pytest.raises(TrainingError, match="no pictures"):
        settings(shown="raw")
