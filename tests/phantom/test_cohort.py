"""Cohorts: the same people for the same seed, whoever draws them; folders that resume."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinecare.errors import PhantomError
from spinecare.phantom import balance, chain
from spinecare.phantom.balance import prevalence
from spinecare.phantom.cohort import GENERATOR, draw_scan, make_cohort
from spinecare.phantom.population import label_of, t_score_of
from spinecare.phantom.truth import polygon_from, read_parts
from spinecare.scan import LABELS, LEVEL_NAMES


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file but the journal, whose order follows the processes."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "people.jsonl")
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_a_person_depends_on_seed_and_index_alone() -> None:
    first, truth, person = draw_scan(7, 3)
    draw_scan(7, 1)
    again, same, _ = draw_scan(7, 3)
    assert np.array_equal(first.pixels, again.pixels)
    assert truth.bmd_measured_g_cm2 == same.bmd_measured_g_cm2
    other, _, somebody = draw_scan(8, 3)
    assert somebody.age_years[0] != person.age_years[0]
    assert other.pixels.shape != first.pixels.shape or not np.array_equal(first.pixels, other.pixels)


def test_label_and_t_score_follow_what_the_scanner_read() -> None:
    for index in range(3):
        _, truth, person = draw_scan(7, index)
        measured = np.array([truth.bmd_measured_g_cm2[name] for name in LEVEL_NAMES])
        drawn = np.array([truth.bmd_g_cm2[name] for name in LEVEL_NAMES])
        np.testing.assert_allclose(drawn, person.bmd[0])
        assert np.abs(measured - drawn - person.degeneration[0]).max() < 0.4
        assert not np.allclose(measured, drawn + person.degeneration[0], atol=1e-4)
        total = (measured * person.area[0]).sum() / person.area[0].sum()
        assert truth.t_score == pytest.approx(float(t_score_of(total)))
        assert truth.label == label_of(truth.t_score)


def test_another_visit_is_the_same_person_read_a_little_differently() -> None:
    scan, first, person = draw_scan(7, 4)
    again, second, same = draw_scan(7, 4, visit=1)
    assert same.weight_kg[0] == person.weight_kg[0]
    assert scan.pixels.shape != again.pixels.shape or not np.array_equal(scan.pixels, again.pixels)
    assert second.bmd_g_cm2 == first.bmd_g_cm2
    assert 0 < abs(second.t_score - first.t_score) < 1.0


def test_parts_masks_and_boxes_agree() -> None:
    for style in ("hologic", "idxa"):
        scan, truth, _ = draw_scan(7, 5, style)
        assert truth.parts is not None
        assert truth.parts.shape == scan.pixels.shape
        assert {1, 2, 3, 4} <= set(np.unique(truth.parts)) <= set(range(7))
        for number, name in enumerate(LEVEL_NAMES, 1):
            mask = truth.masks[name]
            assert mask.shape == scan.pixels.shape
            assert np.array_equal(mask, truth.parts == number)
            rows, cols = np.nonzero(mask)
            box = truth.polygons[name]
            inside = (rows >= box[:, 0].min() - 2) & (rows <= box[:, 0].max() + 2)
            inside &= (cols >= box[:, 1].min() - 2) & (cols <= box[:, 1].max() + 2)
            assert inside.mean() > 0.97
            # Bone is bright, whatever the window.
            assert scan.pixels[mask].mean() > np.median(scan.pixels)


def test_any_number_of_processes_makes_the_same_files(tmp_path: Path) -> None:
    one = make_cohort(9, 2, out=tmp_path / "one", workers=1, balance=True)
    two = make_cohort(9, 2, out=tmp_path / "two", workers=2, balance=True)
    assert files_of(one.parent) == files_of(two.parent)
    assert [row["label"] for row in rows_of(one)] == [str(LABELS[i % 3]) for i in range(9)]


def test_balanced_people_without_pictures_weigh_their_prevalence(tmp_path: Path) -> None:
    truth = make_cohort(300, 1, out=tmp_path / "one", balance=True, truth_only=True, workers=1)
    rows = rows_of(truth)
    assert not (tmp_path / "one" / "images").exists()
    assert {row["measured_by"] for row in rows} == {"estimate"}
    for label in LABELS:
        mine = [float(row["weight"]) for row in rows if row["label"] == label]
        assert len(mine) == 100
        assert len(set(mine)) > 10
        assert sum(mine) / 300 == pytest.approx(prevalence()[label], abs=1e-4)
    again = make_cohort(300, 1, out=tmp_path / "two", balance=True, truth_only=True, workers=2)
    assert again.read_bytes() == truth.read_bytes()


def test_manifest_and_truth_hold_what_the_design_names(tmp_path: Path) -> None:
    manifest = make_cohort(2, 5, out=tmp_path, workers=1)
    rows, truth = rows_of(manifest), rows_of(tmp_path / "truth.csv")
    for row, known, index in zip(rows, truth, range(2), strict=True):
        assert (tmp_path / row["path"]).is_file()
        assert row["patient_id"] == known["patient_id"]
        assert row["label"] == known["label"]
        assert row["bmd_scale"] == "hologic"
        assert known["measured_by"] == "scan"
        assert known["weight"] == row["weight"] == "1.0"
        _, expected, _ = draw_scan(5, index)
        assert float(row["t_score"]) == pytest.approx(expected.t_score, abs=1e-3)
        assert float(row["bmd_l2"]) == pytest.approx(expected.bmd_measured_g_cm2["L2"], abs=1e-3)
        assert float(known["bmd_l2"]) == pytest.approx(expected.bmd_g_cm2["L2"], abs=1e-3)
        np.testing.assert_allclose(polygon_from(known["polygon_l3"]), expected.polygons["L3"], atol=0.01)
        assert np.array_equal(read_parts(tmp_path / "masks" / f"{row['patient_id']}.png"), expected.parts)


@pytest.mark.parametrize("truth_only", [False, True])
def test_the_columns_of_the_truth_stand_in_the_order_of_the_design(tmp_path: Path, truth_only: bool) -> None:
    make_cohort(1, 5, out=tmp_path, truth_only=truth_only, workers=1)
    heading = (tmp_path / "truth.csv").read_text(encoding="utf-8").splitlines()[0]
    assert heading.startswith(
        "patient_id,sex,age_years,ethnicity,height_cm,weight_kg,weight,bmd_l1,bmd_l2,bmd_l3,bmd_l4,"
        "area_l1,area_l2,area_l3,area_l4,bmd_total,bmd_measured_total,t_score,label,cobb_deg,bmd_measured_l1,"
    )
    assert {"fracture_l1", "polygon_l4", "measured_by"} <= set(heading.split(","))


def test_people_without_pictures_are_the_same_people(tmp_path: Path) -> None:
    make_cohort(2, 5, out=tmp_path / "scanned", workers=1)
    make_cohort(2, 5, out=tmp_path / "told", truth_only=True, workers=1)
    scanned, told = (rows_of(tmp_path / name / "truth.csv") for name in ("scanned", "told"))
    measured = ("bmd_measured", "measured_by", "t_score", "label", "polygon")
    for one, other in zip(scanned, told, strict=True):
        assert one.keys() == other.keys()
        drawn = [name for name in one if not name.startswith(measured)]
        assert len(drawn) == 25
        assert [one[name] for name in drawn] == [other[name] for name in drawn]
        assert abs(float(one["t_score"]) - float(other["t_score"])) < 2


def test_what_a_scan_reads_is_what_balance_expects_of_it() -> None:
    """Fails when the anatomy or the physics changed and `python -m spinecare.phantom.fit_error` was not run."""
    lots = [balance.Lot(404, index) for index in range(16)]
    z = []
    for lot in lots:
        made = chain.expose(chain.draw_person(lot), lot)
        expected = t_score_of(balance.total(made.person, balance.expected(made.person)))
        z.append(float((made.t_score - expected[0]) / balance.t_sd(made.person)[0]))
    assert abs(np.mean(z)) < 1.2
    assert 0.4 < np.std(z) < 2.0


def test_an_interrupted_cohort_is_completed_not_redrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_cohort(4, 5, out=tmp_path, workers=1, balance=True)
    before = files_of(tmp_path)
    rows = rows_of(manifest)
    (tmp_path / rows[2]["path"]).unlink()
    (tmp_path / "masks" / f"{rows[3]['patient_id']}.png").unlink()
    manifest.unlink()
    drawn = []
    exposed = chain.exposed
    monkeypatch.setattr(chain, "exposed", lambda *a, **k: drawn.append(a[1]) or exposed(*a, **k))
    make_cohort(4, 5, out=tmp_path, workers=1, balance=True)
    assert drawn == [2, 3]
    assert files_of(tmp_path) == before


def test_a_torn_journal_costs_one_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = make_cohort(20, 5, out=tmp_path, truth_only=True, workers=1)
    before = truth.read_bytes()
    journal = tmp_path / "people.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    done = []
    make_cohort(20, 5, out=tmp_path, truth_only=True, workers=1, progress=lambda at, n: done.append(at))
    assert done == [20]
    assert truth.read_bytes() == before


def test_a_larger_n_adds_to_a_cohort(tmp_path: Path) -> None:
    make_cohort(12, 5, out=tmp_path / "grown", balance=True, truth_only=True, workers=1)
    grown = make_cohort(30, 5, out=tmp_path / "grown", balance=True, truth_only=True, workers=1)
    fresh = make_cohort(30, 5, out=tmp_path / "fresh", balance=True, truth_only=True, workers=1)
    assert grown.read_bytes() == fresh.read_bytes()


def test_ctrl_c_leaves_a_folder_that_resumes(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_cohort(4, 6, out=tmp_path, workers=1, progress=stop)
    assert not list(tmp_path.rglob("*.part"))
    assert len(rows_of(make_cohort(4, 6, out=tmp_path, workers=1))) == 4


def test_a_folder_of_another_cohort_is_refused(tmp_path: Path) -> None:
    make_cohort(1, 5, out=tmp_path, truth_only=True, workers=1)
    for other in ({"seed": 6}, {"seed": 5, "balance": True}, {"seed": 5, "truth_only": False}):
        with pytest.raises(PhantomError, match="other settings"):
            make_cohort(1, out=tmp_path, workers=1, **{"truth_only": True, **other})  # type: ignore[arg-type]


def test_a_folder_of_another_generator_is_refused(tmp_path: Path) -> None:
    make_cohort(1, 5, out=tmp_path, truth_only=True, workers=1)
    file = tmp_path / "cohort.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    assert settings["generator"] == GENERATOR
    file.write_text(json.dumps(settings | {"generator": "spinecare phantom 1"}), encoding="utf-8")
    with pytest.raises(PhantomError, match="spinecare phantom 1"):
        make_cohort(1, 5, out=tmp_path, truth_only=True, workers=1)


def test_idxa_cohort_is_dicom_with_spacing(tmp_path: Path) -> None:
    row = rows_of(make_cohort(1, 5, "idxa", tmp_path, workers=1))[0]
    data = pydicom.dcmread(tmp_path / row["path"])
    scan, _, _ = draw_scan(5, 0, "idxa")
    assert data.ProtocolName == "AP Spine"
    assert [float(mm) for mm in data.PixelSpacing] == pytest.approx(scan.spacing_mm)
    assert np.array_equal(data.pixel_array, np.rint(scan.pixels))


def test_without_overlay_only_the_roi_is_gone() -> None:
    bare, _, _ = draw_scan(5, 0, overlay=False)
    drawn, _, _ = draw_scan(5, 0)
    assert bare.colour is not None
    assert drawn.colour is not None
    assert np.array_equal(bare.colour[..., 0], bare.colour[..., 2])
    # The export's JPEG touches the drawing's surroundings by a few grey levels; the drawing itself is far off.
    changed = np.abs(bare.colour.astype(int) - drawn.colour.astype(int)).max(axis=2)
    assert np.median(changed) <= 8
    assert 0.005 < (changed > 40).mean() < 0.12


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(PhantomError, match="lunar"):
        draw_scan(1, 1, "lunar")  # type: ignore[arg-type]


def test_a_negative_index_is_named() -> None:
    with pytest.raises(PhantomError, match="-1"):
        draw_scan(1, -1)
