"""From a template to a page: what every page knows is put in here."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from spinecare import __version__
from spinecare.report import words

templates = Environment(
    loader=PackageLoader("spinecare.server"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(percent=words.percent, share=words.share, megabytes=words.megabytes)
templates.globals.update(version=__version__, disclaimer=words.DISCLAIMER, label_words=words.LABEL_WORDS)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. Templates also see `request`, `path`, `actor` (None: not signed in), `csrf`, `demo`."""
    common = {
        "request": request,
        "path": request.url.path,
        "actor": getattr(request.state, "actor", None),
        "csrf": getattr(request.state, "csrf", ""),
        "demo": request.app.state.site.settings.demo,
    }
    return HTMLResponse(templates.get_template(template).render({**common, **values}), status_code=status)
