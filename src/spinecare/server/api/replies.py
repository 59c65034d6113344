"""What an operation can answer, in the words of the OpenAPI document; and who may call it."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import BeforeValidator

from spinecare.server.api import examples
from spinecare.server.api.schema import KEY_PATTERN, Problem
from spinecare.server.problems import PROBLEM_JSON
from spinecare.server.security import cookies
from spinecare.server.security.who import allow
from spinecare.store.actor import Actor, May
from spinecare.store.site import Site

Replies = dict[int | str, dict[str, Any]]

# `allow` is what checks; these two only say in the document what can be sent.
SIGNED_IN = [
    Security(
        HTTPBearer(
            scheme_name="token",
            auto_error=False,
            description="An API token, made on the page /account: `Authorization: Bearer sc_…`. "
            "It may do what its scopes and its account's role allow.",
        )
    ),
    Security(
        APIKeyCookie(
            name=cookies.SESSION,
            scheme_name="session",
            auto_error=False,
            description="The cookie of a signed-in browser (its name begins with `__Host-` where SpineCare is reached "
            "by HTTPS). A request that changes something then also needs the header `X-CSRF-Token`.",
        )
    ),
]

WORDS: dict[int, str] = {
    304: "Not changed since the answer whose `ETag` was sent.",
    400: "The address or the body cannot be read.",
    401: "Not signed in: no token, or one that is unknown, revoked or over.",
    403: "Signed in, but the role or the token's scopes do not allow this.",
    404: "There is no such thing, or it was deleted.",
    409: "Not yet: the assessment is not done.",
    421: "SpineCare is not reached by this name (the header `Host`).",
    422: "A value is not as expected; `detail` names it.",
    429: "Too many requests: wait as many seconds as `Retry-After` says.",
    500: "A fault on our side.",
    503: "The store does not answer: try again later.",
}
HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`, with its realm.", "schema": {"type": "string"}}},
    403: {"WWW-Authenticate": {"description": "The scopes that the token lacks.", "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}},
}


def problem_content(status: int) -> dict[str, Any]:
    """The content of a problem, by media type."""
    return {
        PROBLEM_JSON: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": examples.PROBLEMS.get(status, examples.PROBLEMS[422]),
        }
    }


def problems(*statuses: int, **words: str) -> Replies:
    """What can go wrong. Every operation can also answer 400, 401, 403, 421, 422, 429, 500 and 503.

    `words` say it more exactly for one operation: `_404="There is no such patient."`.
    """
    replies: Replies = {}
    for status in sorted({400, 401, 403, 421, 422, 429, 500, 503, *statuses}):
        reply = {"description": words.get(f"_{status}", WORDS.get(status, "")), "content": problem_content(status)}
        if status in HEADERS:
            reply["headers"] = HEADERS[status]
        replies[status] = reply
    return replies


class OnlyProblems(JSONResponse):
    """The response class of operations whose every body is a problem."""

    media_type = PROBLEM_JSON


def gone(description: str, **words: str) -> Replies:
    """What a deletion answers. It also brings the object `Problem` into the document: FastAPI takes the models of
    `responses` for the operation's own media type, and only here that is the problems'."""
    replies = {status: {**reply, "model": Problem} for status, reply in problems(404, **words).items()}
    return {**replies, 204: {"description": description}}


def ok(example: dict[str, Any], description: str, status: int = 200) -> Replies:
    """A good answer with its example; its schema comes from the operation's return type."""
    return {status: {"description": description, "content": {"application/json": {"example": example}}}}


def binary(media_type: str, description: str) -> Replies:
    """A good answer that is a file."""
    return {
        200: {
            "description": description,
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
        }
    }


def known(what: str, example: str) -> Any:
    """The path parameter that names one thing."""
    return Path(pattern=KEY_PATTERN, description=f"The `id` of the {what}: 16 hex digits.", examples=[example])


def site_of(request: Request) -> Site:
    """The installation behind a request."""
    site: Site = request.app.state.site
    return site


def _day(text: str) -> date:
    # Left to itself, pydantic takes 0 for the first of January 1970.
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("write the day as 2026-11-22")
    return date.fromisoformat(text)


Day = Annotated[date, BeforeValidator(_day)]
ThisSite = Annotated[Site, Depends(site_of)]
Sees = Annotated[Actor, Depends(allow(May.SEE))]


def empty() -> Response:
    """Done, and nothing to say."""
    return Response(status_code=204)
