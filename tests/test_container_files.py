"""Dockerfile, compose.yaml and .dockerignore, read: no container engine runs where these tests do."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from spinecare.cli.main import COMMANDS
from spinecare.settings import ServeSettings, SiteSettings, site_settings

ROOT = Path(__file__).resolve().parents[1]
NAMES = {f"SPINECARE_{one.name.upper()}" for kind in (SiteSettings, ServeSettings) for one in fields(kind)}
# Used by compose.yaml itself, by Kubernetes and by the tests (docs/configuration.md).
OTHERS = {"SPINECARE_DB_PASSWORD", "SPINECARE_PORT", "SPINECARE_TEST_POSTGRES", "SPINECARE_TEST_POSTGRES_DIR"}


def services() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found["services"]


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "docs/operations.md", "docs/configuration.md"])
def test_every_setting_that_is_named_there_exists(name: str) -> None:
    found = set(re.findall(r"SPINECARE_[A-Z_]+", (ROOT / name).read_text()))
    assert found
    assert found - OTHERS <= NAMES


def test_the_image_runs_as_nobody_in_particular_and_starts_a_command_that_exists() -> None:
    text = (ROOT / "Dockerfile").read_text()
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\n.*/healthz", last, re.MULTILINE)
    command = re.search(r'^CMD \["(\w+)"', last, re.MULTILINE)
    assert command
    assert command[1] in COMMANDS
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in (ROOT / ".dockerignore").read_text().split(), name


def test_web_and_worker_are_shut_in_and_share_their_place() -> None:
    web, worker = services()["web"], services()["worker"]
    for one in (web, worker):
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in one["security_opt"]
        assert one["volumes"] == ["data:/data"]
        assert one["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert web["ports"] == ["127.0.0.1:8000:8000"], "a proxy with HTTPS stands before it"
    assert "ports" not in worker
    assert "ports" not in services()["db"]
    assert worker["networks"] == services()["db"]["networks"] == ["inside"]
    assert worker["command"] == ["worker"]


def test_the_settings_of_both_are_taken_and_agree() -> None:
    def settings(name: str) -> SiteSettings:
        given = {
            key: re.sub(r"\$\{(\w+):\?[^}]*\}", "0123abcd", re.sub(r"\$\{\w+:-\}", "", value))
            for key, value in services()[name]["environment"].items()
        }
        return site_settings(given)

    web, worker = settings("web"), settings("worker")
    assert not web.consumers
    assert worker.consumers
    assert web.database == worker.database == "postgresql://spinecare:0123abcd@db/spinecare"
    assert web.retention_days is None
