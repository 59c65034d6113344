"""`spinecare account`: where nobody can get in by the pages any more, or before anybody could."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from accounts import CheapHasher
from spinecare.cli.account import app
from spinecare.settings import SiteSettings
from spinecare.store import accounts, invitations
from spinecare.store.site import open_store


@pytest.fixture(autouse=True)
def hasher(monkeypatch: pytest.MonkeyPatch) -> None:
    made = CheapHasher()
    monkeypatch.setattr(accounts, "_hasher", lambda: made)


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data", str(data)])


def secret_in(result: Result) -> str:
    found = re.search(r"http://127.0.0.1:8000/welcome/([\w-]+)", result.output)
    assert found is not None
    return found[1]


def accept(data: Path, secret: str, login: str = "") -> None:
    db, _ = open_store(SiteSettings(data=data))
    assert invitations.accept(db, secret, "blue door seven herons", login, "Ada") is not None
    db.close()


def test_from_nothing_to_accounts_and_back_in_again(tmp_path: Path) -> None:
    accept(tmp_path, secret_in(run(tmp_path, "first")), "ada")
    assert run(tmp_path, "first").exit_code == 1

    secret = secret_in(run(tmp_path, "invite", "mia", "--name", "Mia Lang", "--role", "viewer"))
    assert re.search(r"mia +viewer +invited +never", run(tmp_path, "list").output)
    accept(tmp_path, secret)
    assert re.search(r"mia +viewer +active +20", run(tmp_path, "list").output)

    assert run(tmp_path, "disable", "mia").exit_code == 0
    assert run(tmp_path, "link", "mia").exit_code == 1
    assert "disabled" in run(tmp_path, "list").output
    assert run(tmp_path, "enable", "mia").exit_code == 0
    accept(tmp_path, secret_in(run(tmp_path, "link", "MIA")))
    assert run(tmp_path, "role", "mia", "administrator").exit_code == 0
    assert run(tmp_path, "disable", "ada").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("link", "nobody"), "There is no account"),
        (("disable", "ada"), "only administrator"),
        (("role", "ada", "viewer"), "only administrator"),
        (("invite", "ada", "--name", "A"), "already"),
        (("invite", "a b", "--name", "A"), "login"),
    ],
)
def test_what_is_not_possible_is_said_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    accept(tmp_path, secret_in(run(tmp_path, "first")), "ada")

    result = run(tmp_path, *arguments)

    assert result.exit_code == 1
    assert says in result.output
    assert "Traceback" not in result.output
