from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from databases import backend, make_store, new_db_url, site
from spinecare import settings
from spinecare.cli.store import app
from spinecare.errors import StoreError
from spinecare.store import audit
from spinecare.store.actor import DEMO
from spinecare.store.audit import Action
from spinecare.store.database import Database, now
from spinecare.store.site import Site
from stored import put_assessment

__all__ = ["backend", "make_store", "new_db_url", "site"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site: Site) -> Callable[..., Result]:
    """`spinecare store`, where no setting is given by the environment."""
    monkeypatch.chdir(tmp_path)
    # The tests' own server stays known: databases are dropped there at the end.
    monkeypatch.setattr(settings, "site_settings", partial(settings.site_settings, {}))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return call


def place(site: Site) -> tuple[str, ...]:
    return ("--data", str(site.settings.data), "--database", site.settings.database)


def test_a_new_store_is_made_up_to_date(run: Callable[..., Result], site: Site, tmp_path: Path) -> None:
    result = run("migrate", *place(site))
    assert result.exit_code == 0
    assert "is up to date" in result.output
    assert ":***@" in result.output or site.db.is_sqlite, "no password on the terminal"


def test_a_whole_log_and_a_broken_one(run: Callable[..., Result], site: Site) -> None:
    with site.db.begin() as session:
        for number in range(3):
            audit.note(site.db, session, DEMO, Action.SEE, "patient", f"k{number}")
    result = run("audit-check", *place(site))
    assert result.exit_code == 0
    tail = audit.tail(site.db)
    assert f"whole: 3 entries. Write this down elsewhere: 3:{tail.hash}" in result.output
    assert run("audit-check", "--since", f"3:{tail.hash}", *place(site)).exit_code == 0
    assert run("audit-check", "--since", "3:abc", *place(site)).exit_code == 2

    with site.db.begin() as session:
        session.execute(sa.text("DELETE FROM audit WHERE id = 3"))
    assert run("audit-check", *place(site)).exit_code == 0
    result = run("audit-check", "--since", f"3:{tail.hash}", *place(site))
    assert (result.exit_code, "was cut" in result.output) == (1, True)

    with site.db.begin() as session:
        session.execute(sa.text("UPDATE audit SET actor = 'other' WHERE id = 2"))
    result = run("audit-check", *place(site))
    assert (result.exit_code, "entry 2 is missing or was changed" in result.output) == (1, True)


def test_backup_list_check_and_restore(
    run: Callable[..., Result], site: Site, tmp_path: Path, new_db_url: Callable[[], str]
) -> None:
    put_assessment(site, "yes")
    backups, url = str(tmp_path / "backups"), new_db_url()
    with pytest.raises(StoreError, match="There is no backup in"):
        raise_from(run("restore", backups, "--data", str(tmp_path / "no"), "--database", url))
    for _ in range(3):
        assert run("backup", backups, "--keep", "2", *place(site)).exit_code == 0
    listed = run("backups", backups, "--check").output.splitlines()
    assert len(listed) == 2
    assert all(line.endswith("whole") for line in listed)
    with pytest.raises(StoreError, match="There is no backup nonsense"):
        raise_from(run("restore", backups, "--name", "nonsense", "--data", str(tmp_path / "no"), "--database", url))

    data = tmp_path / "restored"
    result = run("restore", backups, "--data", str(data), "--database", url)
    assert result.exit_code == 0, result.output
    assert "Restored" in result.output
    again = Database(url)
    assert audit.check(again) is None
    again.close()
    with pytest.raises(StoreError, match="data folder is not empty"):
        raise_from(run("restore", backups, "--data", str(data), "--database", url))


def raise_from(result: Result) -> None:
    """As `spinecare` itself does, which prints the sentence and exits with 1 (cli/main.py)."""
    assert result.exception is not None
    raise result.exception


def test_retention_by_hand(run: Callable[..., Result], site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    put_assessment(site, "yes", at=now() - timedelta(days=9))
    assert "SPINECARE_RETENTION_DAYS is not set" in run("retention", *place(site)).output
    chosen = partial(settings.site_settings.func, {"SPINECARE_RETENTION_DAYS": "7"})  # type: ignore[attr-defined]
    monkeypatch.setattr(settings, "site_settings", chosen)
    assert "1 deleted" in run("retention", *place(site)).output
    assert list(site.files.all()) == []
