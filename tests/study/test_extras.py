"""What lies beside a study in its folder, the audit and the ablations, stands in its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="reports need the `train` extra")

from spinecare.errors import EvaluationError
from spinecare.study.audit_checks import permutation_summary
from spinecare.study.extras import ablations_section, audit_section


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "interval": {"low": value - 0.1, "high": value + 0.1}, "n": 9, "patients": 9, "note": ""}


def test_without_audit_and_ablations_there_are_no_sections(tmp_path: Path) -> None:
    assert audit_section(tmp_path) is None
    assert ablations_section(tmp_path, "stack") is None


def test_the_audit_tells_its_findings_shortcuts_and_shuffled_labels(tmp_path: Path) -> None:
    auc = {"auc": {"value": 0.66, "low": 0.57, "high": 0.74}}
    told = {
        "n": 9,
        "groups": 8,
        "protocol": "as ever",
        "findings": ["The drawing tells."],
        "shortcuts": {
            "about": {"geometry": "where the drawing lies"},
            "alone": {"geometry": auc},
            "member_minus_shortcut": {"svm": {"geometry": auc}},
        },
        "drawing": {"svm": {"masked": auc, "not_masked": auc, "difference": auc}},
        "permutation": {"svm": permutation_summary(0.8, [0.45, 0.55])},
    }
    (tmp_path / "audit.json").write_text(json.dumps(told), encoding="utf-8")
    found = audit_section(tmp_path)
    assert found is not None
    assert found.lines == ["n = 9 scans of 8 groups. as ever.", "The drawing tells."]
    assert found.tables[0].rows[0][2]["interval"] == {"low": 0.57, "high": 0.74}
    assert found.tables[-1].rows == [["svm", "0.800", "0.500 (0.450 to 0.550)", 2, "0.333"]]


def test_ablations_stand_with_paired_differences_and_a_learning_curve(tmp_path: Path) -> None:
    figures = {"auc": figure(0.8)}
    told = {
        "warning": "It chose nothing.",
        "ablations": {
            "learning_curve": {
                "about": "Fewer\n  scans.",
                "n": 9,
                "variants": {"share_50/svm": {"figures": figures}, "share_100/svm": {"figures": figures}},
                "differences": [{"variant": "share_50/svm", "minus": "share_100/svm", "figures": figures}],
                "learning": {
                    "studies": {"share_50": {"train_scans": 50.0}, "share_100": {"train_scans": 100.0}},
                    "models": ["svm"],
                },
            }
        },
    }
    (tmp_path / "ablate.json").write_text(json.dumps(told), encoding="utf-8")
    found = ablations_section(tmp_path, "svm")
    assert found is not None
    assert found.lines == ["It chose nothing."]
    assert found.tables[0].title == "Learning curve: Fewer scans. n = 9."
    assert found.tables[1].rows[0][:2] == ["share_50/svm minus share_100/svm", figure(0.8)]
    svg, _ = found.pictures[0]
    assert "scans to learn from" in svg
    assert "svm" in svg


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ablate.json").write_text("{", encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"ablate\.json"):
        ablations_section(tmp_path, "stack")
