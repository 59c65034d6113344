"""What can go wrong between a program and the service."""

from __future__ import annotations

from typing import Any

import httpx

from spinecare.errors import SpineCareError


class ApiError(SpineCareError):
    """A request that got no answer.

    Parameters
    ----------
    status
        Of HTTP; 0 when the service was not reached.
    title, detail, hint
        What it was, what was wrong, and what can be done, as the service says it.
    code
        A word for programs; empty where there is none.
    """

    def __init__(self, status: int, title: str, detail: str, hint: str = "", code: str = "") -> None:
        super().__init__(f"{title}: {detail} {hint}".strip())
        self.status = status
        self.title = title
        self.detail = detail
        self.hint = hint
        self.code = code


class NotSignedInError(ApiError):
    """401: there is no token, or it is not valid any more."""


class NotAllowedError(ApiError):
    """403: the token's scopes or its account's role do not allow this."""


class NotFoundError(ApiError):
    """404: there is no such thing, or it was deleted."""


class BadRequestError(ApiError):
    """400, 409, 413, 415, 422: the request cannot be answered as it is; sending it again does not help."""


class TooManyRequestsError(ApiError):
    """429, still after all retries."""


class UnavailableError(ApiError):
    """The service was not reached, or says 5xx, still after all retries."""


_KINDS: dict[int, type[ApiError]] = {
    401: NotSignedInError,
    403: NotAllowedError,
    404: NotFoundError,
    429: TooManyRequestsError,
}


def api_error(response: httpx.Response) -> ApiError:
    """The exception for an answer that is none: from problem+json, or from whatever a proxy has put in its place."""
    said: dict[str, Any] = {}
    if "json" in response.headers.get("content-type", ""):
        try:
            body = response.json()
        except ValueError:
            body = None
        said = body if isinstance(body, dict) else {}
    status = response.status_code
    kind = _KINDS.get(status, UnavailableError if status >= 500 else BadRequestError)
    return kind(
        status,
        str(said.get("title", response.reason_phrase or "No answer")),
        str(said.get("detail", f"The service answered with status {status}.")),
        str(said.get("hint", "")),
        str(said.get("code", "")),
    )
