"""The web application: one loaded assessor, pages for people, JSON for programs, and no storage."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path
from typing import cast

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from spinecare import __version__
from spinecare.server import api, pages
from spinecare.server.answers import OUR_FAULT, OUR_FAULT_HINT, AssessesScans
from spinecare.server.security import HEADERS, SecurityHeaders
from spinecare.server.upload import UploadError
from spinecare.settings import ServeSettings

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Reads a lumbar spine DXA scan and says, with its certainty and its reasons, whether it shows "
    "osteoporosis. For research, not a diagnosis. Nothing that is sent is stored."
)


def create_app(assessor: AssessesScans | None = None, settings: ServeSettings | None = None) -> FastAPI:
    """The application, ready to serve.

    Parameters
    ----------
    assessor
        A loaded assessor; None loads the bundle that comes with the package.
    settings
        Limits of a request; None takes the defaults.

    Raises
    ------
    BundleError
        When the bundle is missing or damaged: a server that cannot answer does not start.
    """
    if assessor is None:
        from spinecare.assessor import load

        assessor = cast(AssessesScans, load())
    settings = settings or ServeSettings()
    app = FastAPI(
        title="SpineCare",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own page loads its scripts from a CDN; ours is in `pages`
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.assessor = assessor
    app.state.settings = settings
    app.state.limiter = anyio.CapacityLimiter(settings.workers)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=_static()), name="static")
    app.add_middleware(SecurityHeaders)
    app.exception_handler(UploadError)(_upload_error)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_our_fault)
    return app


def _static() -> Path:
    return Path(str(resources.files("spinecare.server") / "static"))


def _problem(request: Request, status: int, title: str, reason: str, hint: str) -> Response:
    path = request.url.path
    if path.startswith("/api/") or path in {"/healthz", "/openapi.json"}:
        body = {"type": "about:blank", "title": title, "status": status, "detail": reason, "hint": hint}
        return JSONResponse(body, status_code=status, media_type="application/problem+json")
    return pages.problem(request, status, title, reason, hint)


async def _upload_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, UploadError)
    return _problem(request, error.status, error.title, error.reason, error.hint)


async def _http_error(request: Request, error: Exception) -> Response:
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
    response = _problem(request, error.status_code, title, reason, hint)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _our_fault(request: Request, error: Exception) -> Response:
    # Starlette answers this outside of every middleware, so the headers are put on here.
    log.error("no answer to %s %s: %s", request.method, request.url.path, type(error).__name__)
    response = _problem(
        request,
        500,
        "Something went wrong on our side",
        OUR_FAULT,
        OUR_FAULT_HINT,
    )
    for name, value in {**HEADERS, "Cache-Control": "no-store"}.items():
        response.headers[name] = value
    return response
