"""A server around a store of its own; its pool's answers are written by hand (tests/stored.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from spinecare.server.app import create_app
from spinecare.settings import SiteSettings
from spinecare.store.site import Site, open_site
from stored import FakePool


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Opens a site with these settings; demo mode unless said otherwise."""
    opened: list[Site] = []

    def make(**settings: Any) -> Site:
        given = {"data": tmp_path / f"data{len(opened)}", "demo": True, **settings}
        opened.append(open_site(SiteSettings(**given), FakePool()))
        return opened[-1]

    yield make
    for site in opened:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in demo mode."""
    return make_site()


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """A program or browser in front of `site`, on loopback; redirects are not followed."""
    with TestClient(
        create_app(site), base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False
    ) as made:
        yield made
