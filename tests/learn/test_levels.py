"""The level network learns from label maps, ships as ONNX, and is measured as it ships. Tiny ones, on drawn spines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from spinecare.bundle.read import open_level_network
from spinecare.errors import DatasetError, TrainingError
from spinecare.io.dataset import read_manifest
from spinecare.learn import levels as way
from spinecare.learn.levels import LevelsSettings, at_size, compare, drift, fit_levels, train_levels, true_boundaries
from spinecare.learn.levels_augment import WIDTHS, LevelsAugment, _between, _Spine, augment
from spinecare.learn.levels_data import Labelled, load_labelled, mask_of, read_levels, see_parts
from spinecare.learn.levels_net import LevelNet, LocalContrast
from spinecare.prepare.decode import DOWN

STILL = LevelsAugment(
    **dict.fromkeys(
        (
            "shift", "zoom_rows", "zoom_cols", "rotation_deg", "sway", "warp", "surround", "end", "bone", "gamma",
            "blur", "noise", "grain", "streaks", "frame", "cover", "wash", "window", "mirror", "taper",
            "taper_below",
            "growth",
            "real",
        ),
        0.0,
    )
)  # fmt: skip
TINY = LevelsSettings(
    rows=64, cols=64, features=(8, 8, 8, 8, 8, 8), epochs=2, batch=4, threads=1, trained_on="drawn spines", int8=False
)


def draw(seed: int, rows: int = 96, cols: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture and its label map: a bright column whose levels grow brighter downwards."""
    rng = np.random.default_rng(seed)
    cut = 0.15 + rng.normal(0, 0.03) + np.arange(5) * (0.15 + rng.normal(0, 0.005))
    r, c = (np.mgrid[:rows, :cols] + 0.5) / np.array([rows, cols])[:, None, None]
    place = np.searchsorted(cut, r, side="right")
    inside = np.abs(c - 0.5) < 0.17
    parts = np.where(inside, np.array(DOWN)[place], 0).astype(np.uint8)
    grey = np.where(inside, 0.4 + 0.1 * place, 0.05) + rng.normal(0, 0.02, (rows, cols))
    return np.uint8(np.clip(grey, 0, 1) * 255), parts


def labelled(n: int) -> Labelled:
    seen = [draw(seed) for seed in range(n)]
    split = np.array(["train"] * (n - 4) + ["val"] * 2 + ["test"] * 2)
    return Labelled(np.stack([s[0] for s in seen]), np.stack([s[1] for s in seen]), split)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `phantom make` leaves it: pictures, label maps, manifest."""
    home = tmp_path_factory.mktemp("cohort")
    for folder in ("images", "masks"):
        (home / folder).mkdir()
    rows = []
    for seed in range(16):
        grey, parts = draw(seed)
        Image.fromarray(grey).save(home / "images" / f"v{seed}.png")
        Image.fromarray(parts).save(home / "masks" / f"v{seed}.png")
        split = "train" if seed < 12 else "val" if seed < 14 else "test"
        rows.append({"path": f"images/v{seed}.png", "label": "normal", "patient_id": f"v{seed}", "split": split})
    pd.DataFrame(rows).to_csv(home / "manifest.csv", index=False)
    return home


def test_training_ends_with_a_network_that_opens_and_its_numbers(cohort: Path, tmp_path: Path) -> None:
    frame = read_manifest(cohort / "manifest.csv")
    spec = train_levels(frame, tmp_path / "run", TINY)
    assert spec == read_levels(tmp_path / "run")
    assert spec.trained_on == "drawn spines"
    assert spec.metrics is not None
    assert spec.metrics["scans"] == 2
    network = open_level_network(spec, (tmp_path / "run" / spec.model).read_bytes())
    image = at_size(labelled(5).images[:1], (64, 64))
    said = network.session.run(["probabilities"], {"image": image[:, None]})[0]
    assert said.shape == (1, 7, 32, 32)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    # Again: finished work is taken as it is.
    assert train_levels(frame, tmp_path / "run", TINY) == spec
    with pytest.raises(TrainingError, match="another run"):
        train_levels(frame, tmp_path / "run", replace(TINY, seed=5))


def test_the_network_learns_drawn_spines_and_what_ships_finds_them(tmp_path: Path) -> None:
    scans = labelled(44)
    settings = replace(TINY, epochs=8, learning_rate=1e-2, augment=STILL, least_agreement=0.05)
    net = fit_levels(scans, settings, tmp_path)
    way.export_levels(net, tmp_path / "levels.onnx", settings)
    spec, metrics = way._packed(tmp_path / "levels.onnx", tmp_path / "out", scans, settings, lambda _: None)
    assert spec.precision == "float32"
    with torch.inference_mode():
        picture = torch.from_numpy(at_size(scans.images[-2:], (64, 64)))[:, None]
        found = net(picture).argmax(1).numpy()
    wanted = scans.parts[-2:, 1::3, 1::3]
    assert (found == wanted)[wanted > 0].mean() > 0.75
    assert metrics["misnumbered"] == 0
    assert metrics["told"] == 1


def test_a_resumed_fit_gives_the_numbers_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, settings = labelled(12), replace(TINY, epochs=3)
    whole = fit_levels(scans, settings, tmp_path / "whole")
    finished = way.checkpoint

    def stop(*arguments: object) -> None:
        finished(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(way, "checkpoint", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit_levels(scans, settings, tmp_path / "broken")
    monkeypatch.setattr(way, "checkpoint", finished)
    again = fit_levels(scans, settings, tmp_path / "broken")
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)


def test_without_label_maps_nothing_is_learnt(cohort: Path, tmp_path: Path) -> None:
    frame = read_manifest(cohort / "manifest.csv")
    real = frame.assign(file=[str(tmp_path / "images" / Path(f).name) for f in frame["file"]])
    with pytest.raises(DatasetError, match="16 of 16 scans have no label map"):
        load_labelled(real, (64, 64), tmp_path / "seen")
    with pytest.raises(TrainingError, match="no finished level network"):
        read_levels(tmp_path)


def test_pictures_and_label_maps_stay_together_when_they_shrink(cohort: Path) -> None:
    file = cohort / "images" / "v3.png"
    assert mask_of(file) == cohort / "masks" / "v3.png"
    grey, parts = see_parts(str(file), (48, 32))
    assert grey.shape == parts.shape == (48, 32)
    # Each pixel of the shrunk label map is the one that lies at its centre.
    np.testing.assert_array_equal(parts, draw(3)[1][1::2, 1::3])
    assert grey[parts > 0].min() > grey[parts == 0].max()


def test_a_label_map_of_another_picture_is_named(cohort: Path, tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "a.png").write_bytes((cohort / "images" / "v0.png").read_bytes())
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DatasetError, match="no label map of"):
        see_parts(str(tmp_path / "images" / "a.png"), (48, 32))


def test_the_cache_is_read_and_follows_the_content(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = read_manifest(cohort / "manifest.csv")
    first = load_labelled(frame, (48, 32), tmp_path)
    monkeypatch.setattr("spinecare.learn.levels_data.see_parts", lambda *_, **__: pytest.fail("the cache was not read"))
    again = load_labelled(frame, (48, 32), tmp_path)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.parts, again.parts)
    assert list(again.part("test")) == [14, 15]
    with pytest.raises(BaseException, match="cache was not read"):
        load_labelled(frame, (48, 30), tmp_path)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    scans = labelled(6)
    return torch.from_numpy(scans.images), torch.from_numpy(scans.parts)


def test_without_any_variation_a_picture_is_only_resized() -> None:
    images, parts = batch()
    made = augment(images, parts, (96, 96), STILL, torch.tensor(3))
    torch.testing.assert_close(made.images, images[:, None].float() / 255, atol=2e-2, rtol=0)
    assert (made.parts == parts).float().mean() > 0.999


def test_the_truth_moves_with_the_picture() -> None:
    """Whatever was done to it, a class of the label map covers one grey of the drawn spine."""
    images, parts = batch()
    moving = replace(
        STILL,
        shift=0.06,
        zoom_rows=0.2,
        zoom_cols=0.15,
        rotation_deg=6.0,
        sway=0.04,
        warp=0.01,
        mirror=0.5,
        taper=0.1,
        growth=0.1,
    )
    made = augment(images, parts, (64, 64), moving, torch.tensor(1))
    greys = [float(made.images[:, 0][made.parts == k].median()) for k in DOWN]
    np.testing.assert_allclose(greys, 0.4 + 0.1 * np.arange(6), atol=0.03)
    assert (made.parts != parts[:, ::3, ::3][:, :, : made.parts.shape[2]].long().new_zeros(1)).any()


def test_the_spine_takes_the_width_of_real_ones_and_nothing_far_out_moves() -> None:
    images, parts = batch()
    made = augment(images, parts, (96, 96), replace(STILL, real=1.0), torch.tensor(1))
    wide, narrow = ((p > 0).sum(2).float() for p in (made.parts, parts))
    level = _Spine.of(parts).level(((torch.arange(96) + 0.5) / 96 * 2 - 1).view(1, 96, 1))[:, :, 0]
    for low, high, wanted in ((0.3, 0.7, 1.03), (3.3, 3.7, 0.96), (5.0, 6.0, 1.10)):
        here = (level > low) & (level < high)
        assert float((wide / narrow)[here].mean()) == pytest.approx(wanted, abs=0.035)
    assert float(made.images[..., :4].max()) < 0.2


def test_growth_makes_lower_levels_taller() -> None:
    images, parts = batch()
    made = augment(images, parts, (96, 96), replace(STILL, growth=0.2), torch.tensor(1))
    tall = [[float((p == k).any(2).sum(1).float().mean()) for k in (1, 4)] for p in (parts, made.parts)]
    assert tall[1][1] / tall[1][0] > 1.1 * tall[0][1] / tall[0][0]


def test_interpolation_equals_numpys() -> None:
    at = torch.linspace(-3, 8, 45).view(1, 45, 1)
    place, value = zip(*WIDTHS, strict=True)
    expected = np.interp(at[0, :, 0].numpy(), place, value)
    np.testing.assert_allclose(_between(at, WIDTHS)[0, :, 0].numpy(), expected, atol=1e-6)


def test_variation_is_drawn_by_the_seed_and_stays_in_range() -> None:
    images, parts = batch()
    one, same, other = (augment(images, parts, (64, 64), LevelsAugment(), torch.tensor(k)) for k in (1, 1, 2))
    torch.testing.assert_close(one.images, same.images)
    assert (one.images != other.images).float().mean() > 0.5
    assert float(one.images.min()) >= 0
    assert float(one.images.max()) <= 1
    assert one.parts.dtype == torch.int64


def test_local_contrast_forgets_the_window_of_a_display() -> None:
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    seen, dimmed = LocalContrast()(image), LocalContrast()(0.6 * image + 0.2)
    torch.testing.assert_close(seen, dimmed, atol=0.06, rtol=0)
    assert float(LocalContrast()(torch.full((1, 1, 64, 64), 0.7)).abs().max()) < 1e-2


def test_the_network_answers_at_half_the_size() -> None:
    assert LevelNet((8, 8, 8, 8, 8, 8))(torch.rand(2, 1, 96, 64)).shape == (2, 7, 48, 32)


def test_boundaries_of_a_label_map() -> None:
    grey, parts = draw(0)
    del grey
    rows = true_boundaries(parts)
    assert rows is not None
    middle = parts[:, parts.shape[1] // 2]
    wanted = [np.flatnonzero(middle == DOWN[k + 1])[0] - 0.5 for k in range(5)]
    np.testing.assert_allclose(rows, wanted, atol=1.0)
    assert true_boundaries(np.zeros((64, 64), np.uint8)) is None


def test_the_numbers_of_a_comparison() -> None:
    truth = np.array([10.0, 20, 30, 40, 50])
    found = [truth, truth + 1.4, truth + np.array([0, 0, 0, 0, 2.0]), truth + 10, None]
    told = compare([truth] * 5, found)
    assert told == {
        "scans": 5,
        "told": 0.8,
        "boundaries_within": pytest.approx(14 / 20),
        "all_five_within": 0.5,
        "misnumbered": 0.25,
    }
    assert compare([truth, None], [None, truth]) == {"scans": 1, "told": 0.0}
    moved = drift([truth, truth, None], [truth + 1, None, None])
    assert moved["largest"] == pytest.approx(0.1)
    assert moved["flips"] == pytest.approx(1 / 3)
    assert json.dumps(moved)
