"""Lists by pages: each begins behind the last row of the one before."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query
from sqlalchemy import Select
from sqlalchemy.orm import Session

from spinecare.server.api.objects import BASE
from spinecare.server.problems import Problem

Limit = Annotated[int, Query(ge=1, le=200, description="How many on a page.")]
Cursor = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,100}$", description="From `next`: where the last page ended.")
]


def next_page(what: str, cursor: str | None, limit: int, **filters: Any) -> str | None:
    """The address of the next page of a list; None when there is none."""
    if cursor is None:
        return None
    given = {name: str(value) for name, value in filters.items() if value is not None}
    return f"{BASE}/{what}?{urlencode({**given, 'limit': limit, 'cursor': cursor})}"


def lost_cursor() -> Problem:
    """There is no such place in the list, or not any more."""
    return Problem(
        404, "Page not found", "The list has changed here since.", "Start the list again, without `cursor`.", "cursor"
    )


def page_of(session: Session, query: Select[str], limit: int) -> tuple[list[str], str | None]:
    """The keys on a page, and its last key when there are more behind it."""
    keys = list(session.scalars(query.limit(limit + 1)))
    return keys[:limit], keys[limit - 1] if len(keys) > limit else None
