"""`docs/results.md`: verdicts follow from the numbers, and what was not run is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.results import __main__ as results
from benchmarks.results.figures import copy_figures
from benchmarks.results.page import below, limits, page, seen
from benchmarks.results.sources import Found, find
from benchmarks.results.verdict import Row, better, holds, verdict
from benchmarks.results.wanted import ASKED, WANTED, rows

from spinecare.study.summary import Summary

REACHED, LEAST = "reached", "at least reached"


def figure(value: float | None, low: float | None = None, high: float | None = None, n: int = 128) -> dict[str, Any]:
    interval = None if low is None else {"low": low, "high": high}
    return {"value": value, "interval": interval, "n": n, "patients": n, "protocol": "p", "note": ""}


def study(**stack: float) -> Summary:
    """A study of a member on a network, a simple member and a stack; `stack`: its figures."""

    def model(auc: float, **other: float) -> dict[str, Any]:
        values = {"auc": auc, "auc_normal_vs_osteoporosis": auc, "auc_normal_vs_affected": auc,
                  "accuracy_three_classes": 0.5, "accuracy_likeliest": 0.5,
                  "calibration_slope": 1.0} | other  # fmt: skip
        return {"figures": {key: figure(v, v - 0.05, v + 0.05) for key, v in values.items()}}

    models = {"svm": model(0.81), "cnn": model(0.86), "stack": model(**{"auc": 0.88, **stack}), "noise": model(0.6)}
    minus = {
        name: {
            "figures": {
                key: figure(at["value"] - one["figures"][key]["value"], -0.01, 0.08)
                for key, at in models["stack"]["figures"].items()
                if key != "calibration_slope"
            },
            "tests": {"auc": {"test": "DeLong", "p": 0.04, "least": 0.01, "most": 0.1, "holm": 0.08}},
        }
        for name, one in models.items()
        if name != "stack"
    }
    config = {
        "members": [
            {"name": "svm", "kind": "svm", "options": {"view": "radiomics"}},
            {"name": "cnn", "kind": "svm", "options": {"view": ["radiomics", "virtual_cnn"]}},
        ],
        "combine": [{"name": "stack", "kind": "stack", "members": [], "options": {}}],
        "targets": {"ppv": 0.95, "npv": 0.95},
        "workers": 2,
    }
    metrics = {
        "headline": "stack",
        "n": 128,
        "patients": 128,
        "class_counts": {"normal": 44, "low_bone_mass": 45, "osteoporosis": 39},
        "protocol": "5 x 5",
        "interval": {"level": 0.95, "method": "bootstrap"},
        "models": models,
        "headline_minus_model": minus,
        "time": {"seconds": 3000.0, "peak_mb": 900.0, "fit_seconds": dict.fromkeys(models, 1.0),
                 "predict_ms": dict.fromkeys(models, 2.0)},
        "notes": [],
    }  # fmt: skip
    return Summary(Path("run"), config, metrics)


def by_key(found: Found) -> dict[str, Row]:
    return {row.key: row for row in rows(found)}


@pytest.mark.parametrize(
    ("value", "least", "aim", "expected"),
    [
        (0.92, 0.85, 0.92, REACHED),
        (0.85, 0.85, 0.92, LEAST),
        (0.8499, 0.85, 0.92, "not reached"),
        (None, 0.85, 0.92, "not reached"),
        (0.91, None, 0.90, REACHED),
        (0.89, None, 0.90, "reported, aim not reached"),
        (0.7, None, None, "reported"),
        (0.7, 0.7, None, REACHED),
    ],
)
def test_a_verdict_follows_from_the_number(
    value: float | None, least: float | None, aim: float | None, expected: str
) -> None:
    assert verdict(value, least, aim) == expected


def test_better_needs_the_whole_interval_above_zero() -> None:
    assert better(figure(0.02, 0.001, 0.04)) == REACHED
    assert "holds 0" in better(figure(0.02, -0.001, 0.04))
    assert "not reached" in better(figure(-0.02, -0.04, -0.01))
    assert better(None) == "not made"
    assert holds(figure(0.9, 0.8, 1.0), 1)
    assert not holds(figure(0.9, 0.8, 0.99), 1)
    assert not holds(figure(0.9), 1)


def test_the_rows_are_those_of_the_issue_and_without_runs_none_is_made() -> None:
    told = rows(Found())
    assert [row.key for row in told] == [one[0] for one in WANTED]
    assert len(told) == 10
    assert {row.verdict for row in told} == {"not made"}
    # The numbers that verdicts use are those that the row shows.
    shown = {one[0]: one for one in WANTED}
    for key, (least, aim) in ASKED.items():
        assert shown[key][3].startswith("report" if least is None else f"{least:.2f}")
        assert shown[key][4] == f"{aim:.2f}"


def test_the_headline_stands_beside_the_best_simple_model() -> None:
    row = by_key(Found(study=study()))["auc"]
    # The svm on radiomics is simple; the one that also reads a network is not, though it is better.
    assert "stack 0.880 [0.830, 0.930]" in row.measured
    assert "best simple model svm 0.810" in row.measured
    assert "paired difference +0.070 [-0.010, +0.080]" in row.measured
    assert row.verdict == LEAST
    assert row.n == "128 scans, 128 groups"
    assert by_key(Found(study=study(auc=0.93)))["auc"].verdict == REACHED
    assert by_key(Found(study=study(auc=0.80)))["auc"].verdict == "not reached"


def test_the_stack_is_compared_with_its_best_member() -> None:
    row = by_key(Found(study=study()))["stack_member"]
    assert "stack minus cnn (best of 2 by this AUC): +0.020 [-0.010, +0.080]" in row.measured
    assert "0.080 after Holm" in row.measured
    assert "aim not reached" in row.verdict


def test_calibration_needs_both_parts_and_enough_virtual_people() -> None:
    def virtual(slope: float, n: int) -> dict[str, Any]:
        return {"protocol": "virtual", "models": {"stack": {"figures": {"calibration_slope": figure(slope, 0, 2, n)}}}}

    assert by_key(Found(study=study()))["calibration"].verdict == "reached; virtual part not made"
    assert by_key(Found(study=study(), virtual=virtual(1.05, 2000)))["calibration"].verdict == REACHED
    assert by_key(Found(study=study(), virtual=virtual(1.05, 1999)))["calibration"].verdict == "not reached"
    assert by_key(Found(study=study(), virtual=virtual(1.15, 2500)))["calibration"].verdict == "not reached"
    row = by_key(Found(study=study(calibration_slope=0.9), virtual=virtual(1, 2000)))["calibration"]
    assert row.verdict == "not reached"
    assert "0.100 wide" in row.measured


def test_a_share_classified_counts_only_if_its_targets_held() -> None:
    def told(ppv: float) -> dict[str, Any]:
        figures = {"classified": figure(0.7, 0.6, 0.8), "precision": figure(ppv, 0.9, 1), "npv": figure(0.97, 0.9, 1)}
        return {"told": {"stack": figures}}

    assert by_key(Found(study=study(), decisions=told(0.96)))["cant_say"].verdict == REACHED
    row = by_key(Found(study=study(), decisions=told(0.94)))["cant_say"]
    assert "targets did not hold" in row.verdict


def test_claims_need_each_member_and_task_both_ways() -> None:
    both = {side: {"accuracy": {"mean": mean}} for side, mean in (("leak", 0.97), ("honest", 0.55))}
    told = {
        "table": {"cnn": {"three": both, "yes_no": both}, "vgg16": {"three": both, "yes_no": both}},
        "tasks": {"three": "three classes", "yes_no": "yes/no"},
        "data": {"pictures": 139, "groups": 128},
        "settings": {"splits": 5},
        "seconds": 600,
    }
    row = by_key(Found(claims=told))["claims"]
    assert row.verdict == REACHED
    assert "97%–97% with the leak, 55%–55% honest" in row.measured
    told["table"]["vgg16"]["yes_no"] = {"leak": both["leak"]}  # type: ignore[index]
    row = by_key(Found(claims=told))["claims"]
    assert row.verdict == "not reached"
    assert "vgg16/yes_no" in row.measured
    assert by_key(Found(claims=told, study=study()))["time"].verdict == REACHED
    assert by_key(Found(claims={**told, "seconds": 1300}))["time"].verdict == "not reached"


def test_what_limits_a_row_is_told_only_where_it_was_not_reached() -> None:
    why = limits("Words.\n\n## auc\nToo few\nscans.\n\n## claims\nNothing.\n")
    assert why == {"auc": "Too few scans.", "claims": "Nothing."}
    row = Row("auc", "AUC", "–", "0.85", "0.92", "0.8", "128", "p", "c", "not reached")
    assert "- **AUC.** Too few scans." in seen([row], why)
    assert "- **AUC.** Not explained yet." in seen([row], {})
    assert "Too few" not in seen([replace(row, verdict=REACHED)], why)


def test_the_page_names_what_was_not_run() -> None:
    text = page(rows(Found()), {"Claims": "", "Bounds": "a table"}, {}, "today")
    assert "## Claims\n\nnot made" in text
    assert "## Bounds\n\na table" in text
    assert sum(line.endswith("| not made |") for line in text.splitlines()) == len(WANTED)
    assert text.count("```") % 2 == 0


def test_a_page_of_a_command_loses_its_title_and_pictures() -> None:
    assert below("# Title\n\ntext\n\n## Part\n\n![x](y.svg)\n\n| a |\n") == "text\n\n#### Part\n\n| a |"


def test_files_are_found_in_the_folders_of_runs_and_their_absence_is_said(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text('{"findings": []}', encoding="utf-8")
    (tmp_path / "audit.md").write_text("# Audit\n\nNone.\n", encoding="utf-8")
    found = find({"audit": tmp_path, "claims": None})
    assert found.audit == {"findings": []}
    assert found.pages == {"audit": "# Audit\n\nNone.\n"}
    assert found.claims is None
    with pytest.raises(SystemExit, match="claims"):
        find({"claims": tmp_path})


def test_the_whole_page_from_a_finished_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="reports need the `train` extra")
    from spinecare.study.report import write_study_report
    from study.fake_study import make_study

    run, out = tmp_path / "run", tmp_path / "results.md"
    make_study(run)
    write_study_report(run)
    results.main(["--study", str(run), "--out", str(out)])
    text = out.read_text("utf-8")
    told = json.loads((run / "metrics.json").read_text("utf-8"))["models"]["stack"]["figures"]["auc"]
    assert f"stack {told['value']:.3f} [{told['interval']['low']:.3f}, {told['interval']['high']:.3f}]" in text
    assert "| **stack** | combiner |" in text
    assert "## Claims\n\nnot made" in text
    assert str(tmp_path) not in text
    assert "not made: claims table" in capsys.readouterr().out


def test_figures_of_runs_are_copied_beside_the_page_and_missing_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "claims.svg").write_text("<svg/>", encoding="utf-8")
    shown = copy_figures({"claims": tmp_path / "claims", "study": tmp_path / "nothing"}, tmp_path / "docs" / "results")
    assert shown == {"Claims": "![accuracy claimed, with the leak, and honest](results/claims.svg)"}
    assert (tmp_path / "docs" / "results" / "claims.svg").read_text("utf-8") == "<svg/>"
