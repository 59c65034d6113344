"""Whether the service lives, is ready, and what its numbers are: for programs that look after it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from spinecare import __version__
from spinecare.server.api.schema import Health, Model
from spinecare.server.metrics import is_stuck, metrics_of
from spinecare.server.security.who import is_loopback
from spinecare.store.actor import May
from spinecare.store.site import Site

log = logging.getLogger(__name__)

router = APIRouter(tags=["service"])


class Ready(BaseModel):
    """Whether requests can be answered, and which part says no."""

    ready: bool
    database: bool
    files: bool
    workers: bool
    queue: bool


@router.get(
    "/healthz",
    summary="Is the service up, and with which model?",
    response_description="The service is up and its model is loaded.",
)
def healthz(request: Request) -> Health:
    """Answers as soon as the model is loaded, and asks nothing else: a database that is away ends no process."""
    model = request.app.state.site.pool.model
    return Health(
        status="ok",
        version=__version__,
        model=Model(name=model.name, version=model.version, sha256=model.sha256, trained_on=model.trained_on),
    )


@router.get(
    "/readyz",
    summary="Can requests be answered now?",
    response_model=Ready,
    response_description="Everything that answers need is there.",
    responses={503: {"model": Ready, "description": "Something is missing; the object says what."}},
)
def readyz(request: Request) -> JSONResponse:
    """The database answers, files can be written, a worker lives, and the queue moves."""
    site: Site = request.app.state.site
    checks = {
        "database": _holds("database", site.db.ping),
        "files": _holds("files", lambda: _write(site)),
        "workers": not site.settings.consumers or getattr(site.pool, "alive", 1) > 0,
        "queue": _holds("queue", lambda: _moves(site)),
    }
    ready = all(checks.values())
    return JSONResponse(Ready(ready=ready, **checks).model_dump(), status_code=200 if ready else 503)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."},
        403: {"content": {"text/plain": {}}, "description": "Neither from this machine nor with such a token."},
    },
)
def metrics(request: Request) -> Response:
    """For a token with the scope `administer`, or for programs on this machine that come without a proxy."""
    actor = getattr(request.state, "actor", None)
    if not (actor is not None and May.ADMINISTER in actor.may) and not _is_local(request):
        text = "This needs an API token with the scope administer: Authorization: Bearer sc_…\n"
        return Response(text, 403, media_type="text/plain")
    return Response(metrics_of(request.app, request.app.state.site).text(), media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    """From this machine, and not through a proxy that runs on it."""
    if any(name in request.headers for name in ("x-forwarded-for", "forwarded", "via", "x-real-ip")):
        return False
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return address.is_loopback and is_loopback(request.headers.get("host", ""))


def _holds(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception as error:
        log.warning("not ready: %s (%s)", name, type(error).__name__)
        return False
    return True


def _write(site: Site) -> None:
    with site.files.incoming() as file:
        file.write(b"spinecare")


def _moves(site: Site) -> None:
    with site.db.read() as session:
        if is_stuck(session):
            raise RuntimeError("stuck")
