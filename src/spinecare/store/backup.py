"""Backup and restore of a store, on either database, while it runs.

A backup folder holds any number of snapshots and one set of files that they share:

    files/ab/cd/<sha256>              every scan and picture that a snapshot names, once
    snapshots/<time>/spinecare.db     the whole database as SQLite, whichever database it came from
    snapshots/<time>/site/            other files of the data folder: secrets of the installation
    snapshots/<time>/manifest.json    version, counts, hashes; written last: without it there is no snapshot

Files never change, and are written before the row that names them: so the database is copied first, as it stood at one
moment, and then the files that the copy names. What was saved from one database can be restored into the other.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import delete, inspect

from spinecare import __version__
from spinecare.errors import StoreError
from spinecare.settings import SiteSettings
from spinecare.store import audit, snapshot
from spinecare.store.actor import SYSTEM
from spinecare.store.audit import Action
from spinecare.store.database import Database, now
from spinecare.store.files import FileStore
from spinecare.store.models import SessionRow
from spinecare.store.named import named

log = logging.getLogger(__name__)

SCHEMA = "spinecare.backup/1"
DATABASE = "spinecare.db"
MANIFEST = "manifest.json"
TRIES = 3


@dataclass(frozen=True)
class Snapshot:
    """One snapshot: its folder's name, and its manifest.

    `site` is name -> SHA-256 of the installation's other files; `audit_id` and `audit_hash` are the newest entry of the
    audit log.
    """

    name: str
    schema: str
    made_at: str
    version: str
    database_sha256: str
    files: int
    bytes: int
    site: dict[str, str]
    audit_id: int
    audit_hash: str


def make(settings: SiteSettings, db: Database, files: FileStore, target: Path) -> Snapshot:
    """Add a snapshot to the backup folder `target`, which is made when it is not there.

    Raises
    ------
    StoreError
        When a file that the database names is missing or has changed: then the store itself is damaged.
    """
    name = now().strftime("%Y%m%dT%H%M%S.%fZ")
    folder = target / "snapshots" / f".{name}"
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in (folder.parent, folder, folder / "site"):
        one.mkdir(exist_ok=True, mode=0o700)
    try:
        kept = FileStore(target / "files")
        hashes = _database_and_files(db, files, kept, folder / DATABASE)
        site = {path.name: _copy(path, folder / "site" / path.name) for path in _site_files(settings.data)}
        with snapshot.reading(folder / DATABASE) as copy:
            tail = audit.last(copy)
        made = Snapshot(
            name=name,
            schema=SCHEMA,
            made_at=now().isoformat(timespec="seconds"),
            version=__version__,
            database_sha256=_sha256(folder / DATABASE),
            files=len(hashes),
            bytes=sum(kept.path(sha256).stat().st_size for sha256 in hashes),
            site=site,
            audit_id=tail.id,
            audit_hash=tail.hash,
        )
        _write(folder / MANIFEST, json.dumps(asdict(made), indent=2).encode() + b"\n")
        folder.rename(folder.with_name(name))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with db.begin() as session:
        audit.note(db, session, SYSTEM, Action.BACKUP, "backup", name, files=made.files, bytes=made.bytes)
    log.info("backup: %s, %d files, %d bytes", name, made.files, made.bytes)
    return made


def snapshots(target: Path) -> list[Snapshot]:
    """What a backup folder holds, oldest first. Raises `StoreError` when a manifest cannot be read."""
    return [_manifest(path) for path in sorted((target / "snapshots").glob(f"[!.]*/{MANIFEST}"))]


def verify(target: Path, one: Snapshot) -> None:
    """Read all of a snapshot and compare every hash.

    Raises
    ------
    StoreError
        Names the first thing that is missing or has changed.
    """
    folder = target / "snapshots" / one.name
    parts = {DATABASE: one.database_sha256, **{f"site/{name}": sha256 for name, sha256 in one.site.items()}}
    for name, sha256 in parts.items():
        if not (folder / name).is_file() or _sha256(folder / name) != sha256:
            raise StoreError(f"{name} of the snapshot {one.name} is missing or has changed.", "Use another snapshot.")
    kept = FileStore(target / "files")
    for sha256 in _named(folder / DATABASE):
        kept.get(sha256)


def keep_newest(target: Path, count: int) -> int:
    """Remove all but the newest `count` snapshots, and the files that only those named; how many snapshots went."""
    every = snapshots(target)
    old = every[: len(every) - count] if 0 < count < len(every) else []
    for one in old:
        shutil.rmtree(target / "snapshots" / one.name)
    if old:
        still = set().union(*(_named(target / "snapshots" / one.name / DATABASE) for one in snapshots(target)))
        kept = FileStore(target / "files")
        for sha256 in set(kept.all()) - still:
            kept.remove(sha256)
    return len(old)


def restore(settings: SiteSettings, target: Path, one: Snapshot) -> None:
    """Put a snapshot into an installation that is empty. Everybody signs in again afterwards.

    Raises
    ------
    StoreError
        When the data folder or the database holds anything, or the snapshot is not whole. Nothing was changed then.
    """
    verify(target, one)
    data = settings.data
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _entries(data):
        raise StoreError("The data folder is not empty.", "Set SPINECARE_DATA to a new folder, and restore into that.")
    db = Database(settings.database_url)
    try:
        if inspect(db.engine).get_table_names():
            raise StoreError(
                "The database is not empty.", "Set SPINECARE_DATABASE to a new database, and restore into that."
            )
        with tempfile.TemporaryDirectory(dir=data, prefix=".restore-") as work:
            copy = Path(work) / DATABASE
            shutil.copyfile(target / "snapshots" / one.name / DATABASE, copy)
            snapshot.prepare(copy)
            _begin_anew(copy, one)
            kept, files = FileStore(target / "files"), FileStore(data / "files")
            for sha256 in _named(copy):
                files.put(kept.get(sha256))
            for name in one.site:
                _copy(target / "snapshots" / one.name / "site" / name, data / name)
            snapshot.load(copy, db)
    except BaseException:
        _empty(data)
        raise
    finally:
        db.close()
    log.info("restored %s, %d files", one.name, one.files)


def _database_and_files(db: Database, files: FileStore, kept: FileStore, copy: Path) -> set[str]:
    for attempt in range(1, TRIES + 1):
        copy.unlink(missing_ok=True)
        snapshot.save(db, copy)
        hashes = _named(copy)
        missing: StoreError | None = None
        for sha256 in hashes:
            try:
                if sha256 not in kept:
                    kept.put(files.get(sha256))
            except StoreError as error:
                # Most likely an assessment was deleted since: a new copy of the database does not name its files.
                # The others are copied all the same, so that the next try is short and little is deleted during it.
                missing = error
        if missing is None:
            return hashes
        if attempt == TRIES:
            raise missing
    raise AssertionError("unreachable")


def _begin_anew(copy: Path, one: Snapshot) -> None:
    with snapshot.opened(copy) as db:
        if audit.check(db) is not None or not audit.holds(db, audit.Tail(one.audit_id, one.audit_hash)):
            raise StoreError("The audit log in the snapshot is broken.", "Use another snapshot.")
        with db.begin() as session:
            session.execute(delete(SessionRow))
            audit.note(db, session, SYSTEM, Action.BACKUP, "restore", one.name)


def _named(path: Path) -> set[str]:
    with snapshot.reading(path) as session:
        return named(session)


def _site_files(data: Path) -> list[Path]:
    # The databases in the data folder are saved by themselves; the queue's only says what to look at.
    return sorted(path for path in data.iterdir() if path.is_file() and ".db" not in path.name)


def _manifest(path: Path) -> Snapshot:
    try:
        return Snapshot(**json.loads(path.read_bytes()))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path} is no manifest of a backup.", "Move that snapshot away, or use another.") from error


def _copy(source: Path, target: Path) -> str:
    data = source.read_bytes()
    _write(target, data)
    target.chmod(0o600)
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(folder: Path) -> list[Path]:
    # A new file system brings this folder.
    return [path for path in folder.iterdir() if path.name != "lost+found"]


def _empty(folder: Path) -> None:
    for path in _entries(folder):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
