"""What holds for every member on views."""

from __future__ import annotations

import numpy as np
import pytest

from learn.members.conftest import VIEW, Make, draw
from spinecare.errors import TrainingError
from spinecare.learn.members import MEMBERS, build_member

FEW = {
    "logistic": {},
    "bagged_logistic": {"bags": 8},
    "svm": {},
    "bagged_svm": {"bags": 8},
    "forest": {"trees": 30},
    "mlp": {"nets": 1, "components": 4},
    "ordinal": {},
}
kinds = pytest.mark.parametrize("kind", FEW)


def few(kind: str, **options: object) -> object:
    return build_member(kind, {"view": VIEW, **FEW[kind], **options})


@kinds
def test_answers_are_probabilities_that_beat_the_class_shares_on_scans_not_seen(kind: str, material_of: Make) -> None:
    x, labels = draw(150)
    p = few(kind).fit(material_of(x, labels), np.arange(100), 1)(np.arange(100, 150))
    assert p.shape == (50, 3)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p.min() >= 0
    loss = -np.log(np.clip(p[np.arange(50), labels[100:]], 1e-6, 1)).mean()
    assert loss < 0.95 * np.log(3)


@kinds
def test_the_same_seed_gives_the_same_answers_and_each_scan_is_answered_by_itself(kind: str, material_of: Make) -> None:
    material = material_of(*draw())
    rows, asked = np.arange(60), np.arange(60, 90)
    p = few(kind).fit(material, rows, 3)(asked)
    np.testing.assert_array_equal(p, few(kind).fit(material, rows, 3)(asked))
    np.testing.assert_allclose(few(kind).fit(material, rows, 3)(asked[7:8]), p[7:8], atol=1e-9)


@kinds
def test_nothing_but_the_training_rows_is_looked_at(kind: str, material_of: Make) -> None:
    x, labels = draw()
    rows, asked = np.arange(60), np.arange(60, 66)
    p = few(kind).fit(material_of(x, labels), rows, 3)(asked)
    x[66:] = 1e6
    other = labels.copy()
    other[60:] = 0
    np.testing.assert_array_equal(p, few(kind).fit(material_of(x, other), rows, 3)(asked))


@kinds
def test_a_class_that_training_lacks_gets_no_probability(kind: str, material_of: Make) -> None:
    x, labels = draw()
    material = material_of(x, np.minimum(labels, 1) * 2)
    p = few(kind).fit(material, np.arange(60), 1)(np.arange(60, 90))
    assert not p[:, 1].any()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p[labels[60:] == 2, 2].mean() > p[labels[60:] == 0, 2].mean()


@kinds
def test_one_class_alone_is_refused(kind: str, material_of: Make) -> None:
    x, labels = draw()
    with pytest.raises(TrainingError, match="one class"):
        few(kind).fit(material_of(x, np.zeros_like(labels)), np.arange(60), 1)


@pytest.mark.parametrize("kind", ["logistic", "svm", "ordinal"])
def test_copies_of_a_scan_weigh_as_much_as_one_scan(kind: str, material_of: Make) -> None:
    x, labels = draw(copies=0)
    alone = few(kind).fit(material_of(x, labels), np.arange(60), 1)(np.arange(60, 90))
    same = few(kind).fit(material_of(np.repeat(x, 4, axis=1), labels), np.arange(60), 1)(np.arange(60, 90))
    np.testing.assert_allclose(alone, same, atol=5e-3)


def test_copies_are_left_out_of_fit_and_answer_when_asked(material_of: Make) -> None:
    x, labels = draw()
    rows, asked = np.arange(60), np.arange(60, 90)
    alone = few("logistic").fit(material_of(x[:, :1], labels), rows, 1)(asked)
    without = few("logistic", use_copies=False).fit(material_of(x, labels), rows, 1)
    np.testing.assert_allclose(alone, without(asked), atol=1e-9)
    x[60:, 1:] = 0  # the answer is about the scan, not its copies
    material = material_of(x, labels)
    np.testing.assert_allclose(few("logistic", use_copies=False).fit(material, rows, 1)(asked), alone, atol=1e-9)
    assert np.abs(few("logistic", use_copies=False, tta=True).fit(material, rows, 1)(asked) - alone).max() > 0.01


def test_test_time_copies_are_averaged(material_of: Make) -> None:
    x, labels = draw()
    rows, asked = np.arange(60), np.arange(60, 90)
    p = few("logistic", tta=True).fit(material_of(x, labels), rows, 1)(asked)
    each = []
    for copy in range(x.shape[1]):
        turned = x.copy()
        turned[60:, 0] = x[60:, copy]
        each.append(few("logistic").fit(material_of(turned, labels), rows, 1)(asked))
    np.testing.assert_allclose(p, np.mean(each, axis=0), atol=1e-9)


def test_several_views_stand_side_by_side(material_of: Make) -> None:
    x, labels = draw()
    material = material_of(x, labels)
    one = few("logistic").fit(material, np.arange(60), 1)(np.arange(60, 90))
    twice = build_member("logistic", {"view": [VIEW, VIEW]})
    assert twice.views == (VIEW, VIEW)
    assert twice.about == f"logistic regression on {VIEW} + {VIEW}"
    np.testing.assert_allclose(twice.fit(material, np.arange(60), 1)(np.arange(60, 90)), one, atol=1e-3)


def test_what_is_no_number_is_refused(material_of: Make) -> None:
    x, labels = draw()
    x[4, 1, 2] = np.nan
    with pytest.raises(TrainingError, match=VIEW):
        few("logistic").fit(material_of(x, labels), np.arange(60), 1)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("oracle", {}, "no member 'oracle'"),
        ("logistic", {"streng": 1}, "no option streng"),
        ("logistic", {"strength": 0}, "strength"),
        ("logistic", {"strength": "big"}, "strength"),
        ("svm", {"kernel": "cubic"}, "cubic"),
        ("svm", {"view": "soul"}, "soul"),
        ("svm", {"view": []}, "none named"),
        ("bagged_svm", {"share": 1.5}, "share"),
        ("forest", {"trees": -3}, "trees"),
        ("logistic", {"components": 0}, "components"),
        ("cnn", {"start": "imagenet"}, "imagenet"),
        ("cnn", {"start": "none"}, "trained on nothing"),
        ("cnn", {"depth": "bottomless"}, "bottomless"),
        ("cnn", {"view": "hog"}, "view"),
        ("cnn", {"trees": 5}, "no option trees"),
        ("vgg16", {"depth": "deep", "trees": 5}, "no option trees"),
    ],
)
def test_what_cannot_be_built_says_why(kind: str, options: dict[str, object], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        build_member(kind, options)


def test_the_published_members_look_through_the_base_they_start_from() -> None:
    assert build_member("cnn", {}).views == ("virtual_cnn",)
    assert build_member("vgg16", {}).views == ("virtual_vgg16",)
    assert build_member("vgg16", {"start": "imagenet", "components": 20}).views == ("imagenet",)
    forest = build_member("resnet_forest", {"trees": 7})
    assert forest.views == ("virtual_resnet",)
    assert forest.trees == 7


def test_the_published_members_go_deep() -> None:
    cnn = build_member("cnn", {"depth": "deep", "start": "none", "epochs": 3})
    assert (cnn.kind, cnn.start, cnn.settings.epochs, cnn.forest) == ("cnn", "none", 3, False)
    resnet = build_member("resnet_forest", {"depth": 2})
    assert (resnet.kind, resnet.depth, resnet.forest) == ("resnet", 2, True)


def test_the_registry_holds_every_kind_of_the_contract() -> None:
    assert set(MEMBERS) == {*FEW, "cnn", "vgg16", "resnet_forest"}
