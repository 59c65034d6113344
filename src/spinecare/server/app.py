"""The web application: pages for people, an interface for programs, around one open installation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module, resources
from pathlib import Path

import anyio
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from spinecare import __version__
from spinecare.server.api import TAGS
from spinecare.server.problems import handle_problems
from spinecare.server.security.check import check_settings
from spinecare.server.security.headers import SecurityHeaders
from spinecare.server.security.who import SignedIn
from spinecare.store.site import Site
from spinecare.store.specialists import load_sample

DESCRIPTION = (
    "Reads lumbar spine DXA scans and says, with its certainty and its reasons, whether they show "
    "osteoporosis. For research, not a diagnosis."
)

# Each module has a `router`. The order is that of the OpenAPI document.
ROUTERS = (
    "api.assessments",
    "api.patients",
    "api.specialists",
    "api.service",
    "pages.home",
    "pages.result",
    "pages.worklist",
    "pages.patients",
    "pages.export",
    "pages.content",
    "pages.specialists",
    "pages.account",
    "pages.admin",
    "pages.docs",
)


def create_app(site: Site) -> FastAPI:
    """The application, ready to serve. Its queue runs as long as the application does; `site` is closed with it."""

    check_settings(site.settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if site.settings.demo:
            with site.db.begin() as session:
                load_sample(session)
        if site.settings.consumers:
            site.queue.start()
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(site.close)

    app = FastAPI(
        title="SpineCare",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own page loads its scripts from a CDN; ours is in `pages.docs`
        redoc_url=None,
        openapi_url="/openapi.json",
        openapi_tags=TAGS,
        lifespan=lifespan,
    )
    app.state.site = site
    for name in ROUTERS:
        app.include_router(import_module(f"spinecare.server.{name}").router)
    app.mount("/static", StaticFiles(directory=_static()), name="static")
    # The last one added is the outermost.
    app.add_middleware(SignedIn, site=site)
    app.add_middleware(SecurityHeaders)
    handle_problems(app)
    return app


def _static() -> Path:
    return Path(str(resources.files("spinecare.server") / "static"))
