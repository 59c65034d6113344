"""`spinecare account`: accounts where nobody can get in by the pages any more, or before anybody could."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from spinecare.errors import SpineCareError
from spinecare.settings import SiteSettings, site_settings
from spinecare.store import accounts, invitations
from spinecare.store.actor import SYSTEM, Role
from spinecare.store.database import Database, now
from spinecare.store.models import Account
from spinecare.store.site import open_store

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Accounts: invite, list, let in again, keep out.")

Data = Annotated[Path | None, typer.Option(help="Folder of everything that is kept (SPINECARE_DATA).")]
Url = Annotated[str | None, typer.Option("--database", help="URL of the database (SPINECARE_DATABASE).")]
Login = Annotated[str, typer.Argument(help="What the person types to sign in.")]


@contextmanager
def _store(data: Path | None, database: str | None) -> Iterator[tuple[Database, SiteSettings]]:
    given: dict[str, Any] = {"data": data, "database": database}
    db = None
    try:
        settings = site_settings(**{name: value for name, value in given.items() if value is not None})
        db, _ = open_store(settings)
        yield db, settings
    except (SpineCareError, ValueError) as error:
        typer.echo(f"spinecare account: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        if db is not None:
            db.close()


def _show(settings: SiteSettings, path: str, what: str) -> None:
    typer.echo(f"{what}\n  {(settings.public_url or 'http://127.0.0.1:8000').rstrip('/')}{path}")


def _account(db: Database, session: Any, login: str) -> Account:
    account = accounts.by_login(session, login)
    if account is None:
        raise ValueError(f"There is no account {login!r}. See: spinecare account list")
    return account


@app.command("list")
def list_(data: Data = None, database: Url = None) -> None:
    """All accounts: login, role, state, last sign-in."""
    with _store(data, database) as (db, _), db.read() as session:
        for one in accounts.everybody(session):
            state = "active" if one.password_hash or one.oidc_subject else "invited"
            if one.disabled:
                state = "disabled"
            elif one.locked_until and one.locked_until > now():
                state = "rests"
            seen = f"{one.signed_in_at:%Y-%m-%d %H:%M} UTC" if one.signed_in_at else "never"
            typer.echo(f"{one.login:<32} {one.role:<14} {state:<9} {seen}")


@app.command()
def first(data: Data = None, database: Url = None) -> None:
    """Print a link that makes the first administrator; earlier ones work no more."""
    with _store(data, database) as (db, settings):
        path = invitations.first_link(db)
        if path is None:
            raise ValueError("There are accounts already. Use: spinecare account invite or link")
        _show(settings, path, "Open this within a day to make the first administrator. It works once:")


@app.command()
def invite(
    login: Login,
    name: Annotated[str, typer.Option(help="The person's name, as others see it.")],
    role: Annotated[Role, typer.Option(help="What the account is for.")] = Role.CLINICIAN,
    data: Data = None,
    database: Url = None,
) -> None:
    """Make an account, and print the link with which its owner chooses a password."""
    with _store(data, database) as (db, settings):
        with db.begin() as session:
            account = accounts.create(db, session, login, name, role, SYSTEM)
            path = invitations.link_for(db, session, account, SYSTEM)
        _show(settings, path, f"Hand this to {account.name}. It works once, for seven days:")


@app.command()
def link(login: Login, data: Data = None, database: Url = None) -> None:
    """Print a link that lets the owner of an account choose a new password."""
    with _store(data, database) as (db, settings):
        with db.begin() as session:
            account = _account(db, session, login)
            if account.disabled:
                raise ValueError(f"{account.login} is disabled. First: spinecare account enable {account.login}")
            path = invitations.link_for(db, session, account, SYSTEM)
        _show(settings, path, f"Hand this to {account.name}. It works once:")


@app.command()
def role(login: Login, role: Annotated[Role, typer.Argument()], data: Data = None, database: Url = None) -> None:
    """Change what an account may do."""
    with _store(data, database) as (db, _), db.begin() as session:
        accounts.set_role(db, session, _account(db, session, login), role, SYSTEM)
    typer.echo(f"{login} is {role.value} now.")


@app.command()
def disable(login: Login, data: Data = None, database: Url = None) -> None:
    """Let nobody in with this account: signs it out everywhere and ends its tokens."""
    with _store(data, database) as (db, _), db.begin() as session:
        accounts.disable(db, session, _account(db, session, login), SYSTEM)
    typer.echo(f"{login} is disabled.")


@app.command()
def enable(login: Login, data: Data = None, database: Url = None) -> None:
    """Let an account in again."""
    with _store(data, database) as (db, _), db.begin() as session:
        accounts.enable(db, session, _account(db, session, login), SYSTEM)
    typer.echo(f"{login} can sign in again.")
