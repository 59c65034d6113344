from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from databases import StillQueue
from spinecare.errors import StoreError
from spinecare.settings import SiteSettings
from spinecare.store import audit, backup, retention, snapshot
from spinecare.store.actor import DEMO
from spinecare.store.audit import Action
from spinecare.store.backup import Snapshot
from spinecare.store.database import now
from spinecare.store.models import Account, AssessmentRow, AuditEntry, Base, SessionRow
from spinecare.store.site import Site, open_store
from stored import FakePool, put_assessment, put_patient


def fill(site: Site) -> None:
    patient = put_patient(site, name="Ünverändert^Ärztin")
    put_assessment(site, "yes", seed=1, patient=patient)
    put_assessment(site, "refuse", seed=2)
    put_assessment(site, "unreadable", seed=3)
    with site.db.begin() as session:
        account = Account(login="admin", name="A", role="administrator", password_hash="$argon2id$…")
        session.add(account)
        session.flush()
        session.add(SessionRow(secret_sha256="0" * 64, account_id=account.id, csrf="c", expires_at=now()))
        audit.note(site.db, session, DEMO, Action.SEE, "patient", patient, rows=1)


def make(site: Site, target: Path) -> Snapshot:
    return backup.make(site.settings, site.db, site.files, target)


def rows(site: Site, leave_out: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    with site.db.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
            if table.name not in leave_out
        }


def reopened(settings: SiteSettings) -> Site:
    db, files = open_store(settings)
    return Site(settings, db, files, FakePool(), StillQueue())


def empty(tmp_path: Path, url: str) -> SiteSettings:
    return SiteSettings(data=tmp_path / "restored", database=url)


def test_what_was_saved_comes_back_row_for_row_and_file_for_file(
    site: Site, tmp_path: Path, new_db_url: Callable[[], str]
) -> None:
    fill(site)
    (site.settings.data / "secret").write_bytes(b"of this installation")
    before, files = rows(site, ("session",)), {sha256: site.files.get(sha256) for sha256 in site.files.all()}
    made = make(site, tmp_path / "backup")
    assert made.files == len(files)

    settings = empty(tmp_path, new_db_url())
    backup.restore(settings, tmp_path / "backup", made)
    other = reopened(settings)
    try:
        after = rows(other, ("session",))
        entry = after["audit"].pop()
        assert entry[4:7] == ("backup", "restore", made.name)
        assert after == before
        assert {sha256: other.files.get(sha256) for sha256 in other.files.all()} == files
        assert rows(other)["session"] == [], "everybody signs in again"
        assert audit.check(other.db) is None
        assert (settings.data / "secret").read_bytes() == b"of this installation"
        # New rows go on where the old ones ended.
        put_assessment(other, "no", seed=9)
        assert len(rows(other)["assessment"]) == 4
    finally:
        other.close()


def test_a_backup_moves_from_one_database_to_the_other(site: Site, tmp_path: Path) -> None:
    from databases import postgres_database

    fill(site)
    made = make(site, tmp_path / "backup")
    before = rows(site, ("session", "audit"))
    with postgres_database() as url:
        settings = empty(tmp_path, url if site.db.is_sqlite else "")
        backup.restore(settings, tmp_path / "backup", made)
        other = reopened(settings)
        assert other.db.is_sqlite is not site.db.is_sqlite
        assert rows(other, ("session", "audit")) == before
        put_assessment(other, "no", seed=9)
        other.close()


def test_a_place_that_is_not_empty_is_left_alone(
    site: Site, tmp_path: Path, make_store: Callable[..., Site], new_db_url: Callable[[], str]
) -> None:
    fill(site)
    made = make(site, tmp_path / "backup")
    used = make_store()
    put_assessment(used, "yes", seed=7)
    before = rows(used)

    with pytest.raises(StoreError, match="data folder is not empty"):
        backup.restore(used.settings, tmp_path / "backup", made)
    with pytest.raises(StoreError, match="database is not empty"):
        backup.restore(empty(tmp_path, used.settings.database), tmp_path / "backup", made)
    assert rows(used) == before
    assert list(used.files.all())


def test_a_damaged_backup_is_not_restored(site: Site, tmp_path: Path, new_db_url: Callable[[], str]) -> None:
    fill(site)
    made = make(site, tmp_path / "backup")
    some = next(iter((tmp_path / "backup" / "files").glob("??/??/*")))
    some.write_bytes(b"x" + some.read_bytes()[1:])
    with pytest.raises(StoreError, match="has changed on the disk"):
        backup.restore(empty(tmp_path, new_db_url()), tmp_path / "backup", made)
    some.unlink()
    with pytest.raises(StoreError, match="is missing"):
        backup.verify(tmp_path / "backup", made)
    with (tmp_path / "backup" / "snapshots" / made.name / "spinecare.db").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(StoreError, match=r"of the snapshot .* has changed"):
        backup.verify(tmp_path / "backup", made)
    assert not (tmp_path / "restored").exists()


def test_a_restore_that_fails_on_its_way_leaves_the_place_empty(
    site: Site, tmp_path: Path, new_db_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(site)
    made = make(site, tmp_path / "backup")
    settings = empty(tmp_path, new_db_url())

    def fails(path: Path, db: object) -> None:
        raise StoreError("no", "no")

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "load", fails)
        with pytest.raises(StoreError):
            backup.restore(settings, tmp_path / "backup", made)
    assert list(settings.data.iterdir()) == []
    backup.restore(settings, tmp_path / "backup", made)


def test_reading_a_backup_changes_nothing_in_it(site: Site, tmp_path: Path) -> None:
    fill(site)
    made = make(site, tmp_path / "backup")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "backup").rglob("*")}
    backup.verify(tmp_path / "backup", made)
    assert backup.snapshots(tmp_path / "backup") == [made]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "backup").rglob("*")} == before


def test_the_second_backup_adds_only_what_is_new_and_old_ones_can_go(site: Site, tmp_path: Path) -> None:
    first_key = put_assessment(site, "yes", seed=1)
    first = make(site, tmp_path / "backup")
    kept = backup.FileStore(tmp_path / "backup" / "files")
    times = {sha256: kept.path(sha256).stat().st_mtime_ns for sha256 in kept.all()}
    put_assessment(site, "refuse", seed=2)
    retention.delete_assessment(site, first_key, DEMO)
    second = make(site, tmp_path / "backup")
    assert {sha256: kept.path(sha256).stat().st_mtime_ns for sha256 in times} == times
    assert [one.name for one in backup.snapshots(tmp_path / "backup")] == [first.name, second.name]

    assert backup.keep_newest(tmp_path / "backup", 1) == 1
    assert set(kept.all()) == set(site.files.all()), "what was deleted is gone from the backups too"
    backup.verify(tmp_path / "backup", second)


def test_a_missing_file_stops_a_backup_and_leaves_no_snapshot(site: Site, tmp_path: Path) -> None:
    put_assessment(site, "yes")
    site.files.remove(next(iter(site.files.all())))
    with pytest.raises(StoreError, match="is missing"):
        make(site, tmp_path / "backup")
    assert list((tmp_path / "backup" / "snapshots").iterdir()) == []


def test_what_is_deleted_while_a_backup_runs_is_not_missed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put_assessment(site, "yes", seed=1)
    kept = put_assessment(site, "refuse", seed=2)
    save, copies = snapshot.save, []

    def save_then_delete(db: object, path: Path) -> None:
        save(site.db, path)
        copies.append(path)
        retention.delete_assessment(site, key, DEMO)

    monkeypatch.setattr(snapshot, "save", save_then_delete)
    made = make(site, tmp_path / "backup")
    assert len(copies) == 2
    with snapshot.reading(tmp_path / "backup" / "snapshots" / made.name / "spinecare.db") as session:
        assert session.scalars(select(AssessmentRow.key)).all() == [kept]


def test_a_backup_is_noted(site: Site, tmp_path: Path) -> None:
    made = make(site, tmp_path / "backup")
    with site.db.read() as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.object_kind, entry.object_key) == ("backup", "backup", made.name)


def test_a_log_that_was_changed_in_the_database_is_not_restored(
    site: Site, tmp_path: Path, new_db_url: Callable[[], str]
) -> None:
    fill(site)
    with site.db.begin() as session:
        session.query(AuditEntry).update({"actor": "nobody"})
    made = make(site, tmp_path / "backup")
    with pytest.raises(StoreError, match="audit log in the snapshot is broken"):
        backup.restore(empty(tmp_path, new_db_url()), tmp_path / "backup", made)


def test_a_newer_versions_snapshot_says_so(site: Site, tmp_path: Path, new_db_url: Callable[[], str]) -> None:
    made = make(site, tmp_path / "backup")
    folder = tmp_path / "backup" / "snapshots" / made.name
    with closing(sqlite3.connect(folder / "spinecare.db")) as copy:
        copy.execute("UPDATE alembic_version SET version_num = '9999'")
        copy.commit()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["database_sha256"] = backup._sha256(folder / "spinecare.db")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="newer SpineCare"):
        backup.restore(empty(tmp_path, new_db_url()), tmp_path / "backup", backup.snapshots(tmp_path / "backup")[0])


def test_nobody_else_may_read_a_backup(site: Site, tmp_path: Path) -> None:
    made = make(site, tmp_path / "backup")
    for folder in (tmp_path / "backup", tmp_path / "backup" / "snapshots" / made.name):
        assert folder.stat().st_mode & 0o077 == 0, folder
