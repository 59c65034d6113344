"""The secret of an installation is made once, for its owner alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from spinecare.errors import StoreError
from spinecare.store.secret import site_secret


def test_it_is_made_once(tmp_path: Path) -> None:
    secret = site_secret(tmp_path)
    assert len(secret) == 32
    assert site_secret(tmp_path) == secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_another_installation_has_another(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert site_secret(one) != site_secret(two)


def test_who_starts_at_once_gets_the_same(tmp_path: Path) -> None:
    found: list[bytes] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append(site_secret(tmp_path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_changed_one_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(StoreError):
        site_secret(tmp_path)
    with pytest.raises(StoreError):
        site_secret(tmp_path / "nowhere")
