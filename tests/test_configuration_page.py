"""docs/configuration.md says what the code does."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from spinecare.errors import SettingsError
from spinecare.settings import ServeSettings, SiteSettings, site_settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `SPINECARE_(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def defaults() -> dict[str, Any]:
    site, limits = SiteSettings(), ServeSettings()
    found = {one.name: getattr(site, one.name) for one in fields(site) if one.name != "limits"}
    return {**found, **{one.name: getattr(limits, one.name) for one in fields(limits)}}


def words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (str, Path)):
        return f"`{value}`" if str(value) else "empty"
    return str(value)


def test_every_setting_stands_there_once_with_its_default() -> None:
    rows = ROW.findall(PAGE.read_text())
    names = [name.lower() for name, _, _ in rows]
    assert sorted(names) == sorted(defaults())
    expected = {name: words(value) for name, value in defaults().items()}
    expected["workers"] = "2, or 1 on one core"
    assert {name.lower(): default for name, default, _ in rows} == expected
    assert defaults()["workers"] == min(2, os.cpu_count() or 1)
    assert all(meaning.strip().endswith(".") for _, _, meaning in rows)


def test_every_setting_can_be_given_as_it_is_written_there() -> None:
    for name, default, _ in ROW.findall(PAGE.read_text()):
        text = {"empty": "", "none": "", "2, or 1 on one core": "2"}.get(default, default.strip("`"))
        made = site_settings({f"SPINECARE_{name}": text})
        found = getattr(made, name.lower(), None) if hasattr(made, name.lower()) else getattr(made.limits, name.lower())
        assert found == (2 if name == "WORKERS" else defaults()[name.lower()])


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SPINECARE_WORKERS", "two", "SPINECARE_WORKERS is 'two', and should be a number"),
        ("SPINECARE_DEMO", "perhaps", "SPINECARE_DEMO is 'perhaps', and should be yes or no"),
        ("SPINECARE_WROKERS", "2", "There is no setting SPINECARE_WROKERS"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        site_settings({name: value})
