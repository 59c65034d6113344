"""Cohorts: the same people for the same seed, whoever draws them; folders that resume."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinecare.errors import PhantomError
from spinecare.phantom import cohort
from spinecare.phantom.cohort import draw_person, draw_scan, make_cohort, polygon_from, polygon_text
from spinecare.phantom.population import prevalence
from spinecare.scan import LABELS


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_person_depends_on_seed_and_index_alone() -> None:
    first, truth, _ = draw_scan(7, 3)
    draw_scan(7, 1)
    again, same, _ = draw_scan(7, 3)
    assert np.array_equal(first.pixels, again.pixels)
    assert truth.bmd_g_cm2 == same.bmd_g_cm2
    assert not np.array_equal(first.pixels, draw_scan(8, 3)[0].pixels)


def test_any_number_of_processes_makes_the_same_files(tmp_path: Path) -> None:
    one = make_cohort(9, 2, out=tmp_path / "one", workers=1, balance=True)
    two = make_cohort(9, 2, out=tmp_path / "two", workers=2, balance=True)
    assert one.read_bytes() == two.read_bytes()
    assert (one.parent / "truth.csv").read_bytes() == (two.parent / "truth.csv").read_bytes()
    for file in sorted((one.parent / "images").iterdir()):
        assert file.read_bytes() == (two.parent / "images" / file.name).read_bytes()


def test_balance_draws_equal_classes_whose_weights_lead_back_to_the_population(tmp_path: Path) -> None:
    truth = make_cohort(300, 1, out=tmp_path, balance=True, truth_only=True, workers=1)
    rows = rows_of(truth)
    assert not (tmp_path / "images").exists()
    for label in LABELS:
        mine = [float(row["weight"]) for row in rows if row["label"] == label]
        assert len(mine) == 100
        assert sum(mine) / 300 == pytest.approx(prevalence()[label], abs=1e-4)


def test_manifest_and_truth_hold_what_the_design_names(tmp_path: Path) -> None:
    manifest = make_cohort(3, 5, out=tmp_path, workers=1)
    rows, truth = rows_of(manifest), rows_of(tmp_path / "truth.csv")
    for row, known, index in zip(rows, truth, range(3), strict=True):
        assert (tmp_path / row["path"]).is_file()
        assert row["patient_id"] == known["patient_id"]
        assert row["label"] == known["label"]
        assert row["bmd_scale"] == "hologic"
        _, expected, _ = draw_scan(5, index)
        assert float(row["t_score"]) == pytest.approx(expected.t_score, abs=1e-3)
        assert float(row["bmd_l2"]) == pytest.approx(expected.bmd_measured_g_cm2["L2"], abs=1e-3)
        assert float(known["bmd_l2"]) == pytest.approx(expected.bmd_g_cm2["L2"], abs=1e-3)
        np.testing.assert_allclose(polygon_from(known["polygon_l3"]), expected.polygons["L3"], atol=0.01)


@pytest.mark.parametrize("truth_only", [False, True])
def test_the_columns_of_the_truth_stand_in_the_order_of_the_design(tmp_path: Path, truth_only: bool) -> None:
    make_cohort(1, 5, out=tmp_path, truth_only=truth_only, workers=1)
    heading = (tmp_path / "truth.csv").read_text(encoding="utf-8").splitlines()[0]
    assert heading.startswith(
        "patient_id,sex,age_years,ethnicity,height_cm,weight_kg,weight,bmd_l1,bmd_l2,bmd_l3,bmd_l4,"
        "area_l1,area_l2,area_l3,area_l4,bmd_total,bmd_measured_total,t_score,label,cobb_deg,bmd_measured_l1,"
    )


def test_an_interrupted_cohort_is_completed_not_redrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_cohort(4, 5, out=tmp_path, workers=1)
    before = manifest.read_bytes()
    lost = tmp_path / rows_of(manifest)[2]["path"]
    kept = lost.read_bytes()
    lost.unlink()
    manifest.unlink()
    drawn = []
    monkeypatch.setattr(cohort, "draw_scan", lambda *a, **k: drawn.append(a[1]) or draw_scan(*a, **k))
    assert make_cohort(4, 5, out=tmp_path, workers=1).read_bytes() == before
    assert drawn == [2]
    assert lost.read_bytes() == kept


def test_ctrl_c_leaves_a_folder_that_resumes(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_cohort(4, 6, out=tmp_path, workers=1, progress=stop)
    assert not list(tmp_path.rglob("*.part"))
    assert len(rows_of(make_cohort(4, 6, out=tmp_path, workers=1))) == 4


def test_a_folder_of_another_cohort_is_refused(tmp_path: Path) -> None:
    make_cohort(1, 5, out=tmp_path, workers=1)
    with pytest.raises(PhantomError, match="other settings"):
        make_cohort(1, 6, out=tmp_path, workers=1)


def test_idxa_cohort_is_dicom_with_spacing(tmp_path: Path) -> None:
    row = rows_of(make_cohort(1, 5, "idxa", tmp_path, workers=1))[0]
    data = pydicom.dcmread(tmp_path / row["path"])
    assert data.ProtocolName == "AP Spine"
    assert [float(mm) for mm in data.PixelSpacing] == [0.25, 0.25]
    assert np.array_equal(data.pixel_array, draw_scan(5, 0, "idxa")[0].pixels)


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(PhantomError, match="lunar"):
        draw_scan(1, 1, "lunar")  # type: ignore[arg-type]


def test_polygons_survive_their_text() -> None:
    polygon = np.array([[1.25, 2.5], [3.0, 200.75]], np.float32)
    assert np.array_equal(polygon_from(polygon_text(polygon)), polygon)


def test_balanced_people_take_turns() -> None:
    assert [str(draw_person(3, i, balance=True)[0].label[0]) for i in range(3)] == [str(x) for x in LABELS]
