"""`spinecare store`: looking after what is kept. Settings as for `spinecare serve` (docs/configuration.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spinecare.settings import SiteSettings
    from spinecare.store.audit import Tail
    from spinecare.store.database import Database
    from spinecare.store.files import FileStore


@dataclass(frozen=True, eq=False)
class _Store:
    settings: SiteSettings
    db: Database
    files: FileStore


app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look after what is kept.")

Folder = Annotated[Path, typer.Argument(help="Folder of the backups.")]
Data = Annotated[Path | None, typer.Option(help="Folder of all that is kept; else SPINECARE_DATA.")]
Url = Annotated[str | None, typer.Option(help="The database's URL; else SPINECARE_DATABASE.")]


@app.command()
def migrate(data: Data = None, database: Url = None) -> None:
    """Bring the database to this version's tables. `serve` and `worker` do it at their start, too."""
    with _opened(data, database) as store:
        typer.echo(f"{_words(store.db)} is up to date.")


@app.command()
def backup(
    folder: Folder,
    keep: Annotated[int, typer.Option(min=0, help="Keep the newest so many backups; 0 keeps all.")] = 0,
    data: Data = None,
    database: Url = None,
) -> None:
    """Add a backup, while the service runs. Files that an earlier one has are not copied again."""
    from spinecare.store import backup as backups

    with _opened(data, database) as store:
        made = backups.make(store.settings, store.db, store.files, folder)
    typer.echo(f"Backup {made.name}: database and {made.files} files, {made.bytes / 1e6:.1f} MB.")
    gone = backups.keep_newest(folder, keep) if keep else 0
    if gone:
        typer.echo(f"{gone} older removed.")


@app.command()
def backups(
    folder: Folder,
    check: Annotated[bool, typer.Option("--check", help="Read everything and compare every hash.")] = False,
) -> None:
    """List the backups of a folder, oldest first."""
    from spinecare.store import backup as backups

    for one in backups.snapshots(folder):
        if check:
            backups.verify(folder, one)
        typer.echo(f"{one.name}  {one.files} files, {one.bytes / 1e6:.1f} MB{', whole' if check else ''}")


@app.command()
def restore(
    folder: Folder,
    name: Annotated[str | None, typer.Option(help="Which backup; the newest if left out.")] = None,
    data: Data = None,
    database: Url = None,
) -> None:
    """Put a backup into an empty data folder and an empty database, of either kind."""
    from spinecare.errors import StoreError
    from spinecare.store import backup as backups

    found = {one.name: one for one in backups.snapshots(folder)}
    if not found:
        raise StoreError(f"There is no backup in {folder}.", "Name the folder that `spinecare store backup` was given.")
    if name is not None and name not in found:
        raise StoreError(f"There is no backup {name} in {folder}.", "`spinecare store backups` lists them.")
    chosen = found[name or max(found)]
    backups.restore(_settings(data, database), folder, chosen)
    typer.echo(f"Restored {chosen.name}: database and {chosen.files} files. Everybody has to sign in again.")


@app.command()
def retention(data: Data = None, database: Url = None) -> None:
    """Delete now what is older than SPINECARE_RETENTION_DAYS, and files that nothing names. `serve` does it hourly."""
    from spinecare.store import upkeep

    with _opened(data, database) as store:
        expired = upkeep.once(store)
    days = store.settings.retention_days
    typer.echo("Nothing expires: SPINECARE_RETENTION_DAYS is not set." if days is None else f"{expired} deleted.")


@app.command("audit-check")
def audit_check(
    since: Annotated[
        str | None, typer.Option(help="What an earlier check printed (NUMBER:HASH): that entry must still be there.")
    ] = None,
    data: Data = None,
    database: Url = None,
) -> None:
    """Check that no entry of the audit log was changed, removed or put in. Exits 1 when one was."""
    from spinecare.store import audit

    with _opened(data, database) as store:
        broken, tail = audit.check(store.db), audit.tail(store.db)
        cut = since is not None and not audit.holds(store.db, _tail(since))
    if broken is not None:
        typer.echo(f"The audit log is broken: entry {broken} is missing or was changed.", err=True)
        raise typer.Exit(1)
    if cut:
        typer.echo("The audit log was cut or written anew: the entry of --since is not in it.", err=True)
        raise typer.Exit(1)
    typer.echo(f"The audit log is whole: {tail.id} entries. Write this down elsewhere: {tail.id}:{tail.hash}")


def _tail(text: str) -> Tail:
    from spinecare.store.audit import Tail

    number, _, sha256 = text.partition(":")
    if not number.isdecimal() or len(sha256) != 64:
        raise typer.BadParameter("write it as an earlier check printed it, NUMBER:HASH", param_hint="--since")
    return Tail(int(number), sha256)


def _settings(data: Path | None, database: str | None) -> SiteSettings:
    from spinecare.settings import site_settings

    given: dict[str, Any] = {"data": data, "database": database}
    return site_settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def _opened(data: Path | None, database: str | None) -> Iterator[_Store]:
    from spinecare.store.site import open_store

    settings = _settings(data, database)
    db, files = open_store(settings)
    try:
        yield _Store(settings, db, files)
    finally:
        db.close()


def _words(db: Database) -> str:
    return f"The database {db.url.render_as_string(hide_password=True)}"
