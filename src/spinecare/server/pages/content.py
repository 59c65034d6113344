"""Pages that say the same to everybody: questions, treatment options, and what is known of the model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markdown_it import MarkdownIt
from markupsafe import Markup

from spinecare.bundle.read import DEFAULT_FOLDER
from spinecare.bundle.schema import CARD_FILE
from spinecare.clinical.information import questions, treatment_options
from spinecare.server.render import page

router = APIRouter(include_in_schema=False)


@router.get("/faq")
def faq(request: Request) -> Response:
    """Questions and answers."""
    return page(request, "content/faq.html", information=questions())


@router.get("/treatment")
def treatment(request: Request) -> Response:
    """Treatment options: general information."""
    return page(request, "content/treatment.html", information=treatment_options())


@router.get("/about")
def about(request: Request) -> Response:
    """The model: its card, as it came with the bundle."""
    site = request.app.state.site
    return page(
        request, "content/about.html", model=site.pool.model, card=card_html(site.settings.bundle or DEFAULT_FOLDER)
    )


@cache
def card_html(bundle: Path) -> Markup:
    """The bundle's card as HTML: headings one step down, wide tables in a frame that scrolls; HTML in it is text."""
    text = (bundle / CARD_FILE).read_text("utf-8")
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    tables = 0
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    html = str(parser.renderer.render(tokens, parser.options, {}))
    while "<table>" in html:
        tables += 1
        frame = f'<div class="scroll" tabindex="0" role="region" aria-label="Table {tables} of the card"><table >'
        html = html.replace("<table>", frame, 1).replace("</table>\n", "</table ></div>\n", 1)
    # An empty corner of a table is no heading.
    return Markup(
        html.replace("<table >", "<table>").replace("</table >", "</table>").replace("<th></th>", "<td></td>")
    )
