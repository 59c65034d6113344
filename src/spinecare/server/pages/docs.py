"""The page that tells programmers and hospital IT how to use the interface: from the OpenAPI document itself."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spinecare.server.api.reference import chapters, schemas
from spinecare.server.render import page

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs(request: Request) -> Response:
    """Open to everybody, as /openapi.json is: it says nothing about anybody."""
    document = request.app.openapi()
    base = request.app.state.site.settings.public_url or str(request.base_url)
    return page(
        request,
        "docs.html",
        info=document["info"],
        chapters=chapters(document),
        schemas=schemas(document),
        base=base.rstrip("/"),
    )
