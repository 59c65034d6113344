"""Forms that only our own pages can send.

Two walls. `who.SignedIn` refuses what a browser says another site has sent (Origin, Sec-Fetch-Site). Here the form's
token is compared: a session has its own (in the database); while nobody is signed in, and in the demo, it is derived
from a secret in the browser's cookie, which no other site can read or set.
"""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.types import Message

from spinecare.server.problems import Problem

HEADER = "X-CSRF-Token"
MAX_FORM_BYTES = 1024 * 1024


def csrf_of(form_cookie: str) -> str:
    """The token for forms in the browser that holds this cookie."""
    return hashlib.sha256(b"spinecare form " + form_cookie.encode()).hexdigest()


def check_csrf(request: Request, token: str | None) -> None:
    """Raise `Problem` 403 unless `token` (a form's `csrf`, or the header X-CSRF-Token) is this session's.

    A program that shows an API token needs none: no browser sends that by itself.
    """
    actor = getattr(request.state, "actor", None)
    if actor is not None and actor.via == "token":
        return
    expected = getattr(request.state, "csrf", "")
    if not expected or not hmac.compare_digest((token or "").encode(), expected.encode()):
        raise Problem(
            403,
            "This form has expired",
            "The form was made before you signed in or out, or its cookie is gone, so nothing was changed.",
            "Go back, reload the page and send it again. Cookies must be allowed.",
            "csrf",
        )


async def checked_form(request: Request) -> FormData:
    """A dependency for every POST of an ordinary form: its fields, once its token was checked."""
    form = await limited_form(request)
    field = form.get("csrf")
    check_csrf(request, field if isinstance(field, str) else request.headers.get(HEADER))
    return form


async def limited_form(request: Request, max_bytes: int = MAX_FORM_BYTES) -> FormData:
    """A form of at most `max_bytes`; never more than that is read. For uploads of scans see server/upload.py."""
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > max_bytes:
            raise Problem(
                413,
                "Too long",
                f"The form holds more than {max_bytes // 1024} kB.",
                "Shorten what you typed, and send it again.",
                "too_many_bytes",
            )
        return message

    try:
        form = await Request(request.scope, receive).form(max_files=1, max_fields=200, max_part_size=max_bytes)
    except HTTPException as error:  # what Starlette makes of MultiPartException
        raise _no_form() from error
    # No keyboard types it, and PostgreSQL takes no text with it.
    if any("\0" in name or (isinstance(value, str) and "\0" in value) for name, value in form.multi_items()):
        raise _no_form()
    return form


def _no_form() -> Problem:
    return Problem(400, "Not a form", "The form could not be read.", "Reload the page and send it again.", "form")


def text(form: FormData, name: str) -> str:
    """A field of a form, as text; empty when there is none, or a file in its place."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""
