"""What could not be done, said the same way everywhere: a page for people, problem+json (RFC 9457) for programs."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from spinecare.errors import ConflictError, ScanError, StoreError
from spinecare.server.render import page
from spinecare.server.security.headers import HEADERS

log = logging.getLogger(__name__)

OUR_FAULT = "The request was not answered, because of a fault in SpineCare and not in what you sent."
OUR_FAULT_HINT = "Try once more; if it happens again, tell who runs this service."
PROBLEM_JSON = "application/problem+json"


class Problem(Exception):  # noqa: N818 (what RFC 9457 calls it)
    """A request that gets no answer. `code` is a word for programs; `headers` go with the answer."""

    def __init__(
        self,
        status: int,
        title: str,
        reason: str,
        hint: str,
        code: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.title = title
        self.reason = reason
        self.hint = hint
        self.code = code
        self.headers = headers or {}


def not_found(what: str = "page") -> Problem:
    """There is no such thing, or it is not for this person: the two look the same."""
    return Problem(404, "Not found", f"There is no such {what}.", "It may have been deleted.", "not_found")


def is_api(request: Request) -> bool:
    """Whether the answer is for a program."""
    return request.url.path.startswith("/api/") or request.url.path in {"/healthz", "/readyz", "/openapi.json"}


def answer(request: Request, problem: Problem) -> Response:
    """The page or the object that says a problem."""
    response: Response
    if is_api(request):
        body = {
            "type": "about:blank",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.reason,
            "hint": problem.hint,
        }
        if problem.code:
            body["code"] = problem.code
        response = JSONResponse(body, status_code=problem.status, media_type=PROBLEM_JSON)
    else:
        response = page(request, "problem.html", problem.status, problem=problem)
    response.headers.update(problem.headers)
    return response


def handle_problems(app: FastAPI) -> None:
    """Have every exception of the application answered."""
    app.exception_handler(Problem)(_problem)
    app.exception_handler(StoreError)(_store)
    app.exception_handler(ScanError)(_scan)
    app.exception_handler(RequestValidationError)(_validation)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_our_fault)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(request, error)


async def _store(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    if isinstance(error, ConflictError):
        return answer(request, Problem(409, "Contradicts what is kept", error.reason, error.hint, "conflict"))
    log.error("store: %s", error.reason)
    return answer(request, Problem(503, "Not available", error.reason, error.hint, "store"))


async def _scan(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScanError)
    return answer(request, Problem(422, "Not readable", error.reason, error.hint, error.code.value))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    reason = f"{where or 'The request'}: {first['msg']}."
    return answer(request, Problem(422, "Not as expected", reason, "The page /docs says what is taken.", "invalid"))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: ("Not found", "There is nothing at this address.", "Start again from the first page."),
        405: (
            "Not possible here",
            f"This address does not take {request.method} requests.",
            "The page /docs lists what each address takes.",
        ),
    }
    title, reason, hint = words.get(
        error.status_code, ("Not possible", str(error.detail), "Start again from the first page.")
    )
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return answer(request, Problem(error.status_code, title, reason, hint, headers=headers))


def _methods(request: Request) -> list[str]:
    """What this address takes (RFC 9110, 10.2.1): Starlette names the methods of the first route that fits alone."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


async def _our_fault(request: Request, error: Exception) -> Response:
    # Starlette answers this outside of every middleware, so the headers are put on here.
    log.error("no answer to %s %s: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
    response = answer(request, Problem(500, "Something went wrong on our side", OUR_FAULT, OUR_FAULT_HINT, "internal"))
    response.headers.update({**HEADERS, "Cache-Control": "no-store"})
    return response
