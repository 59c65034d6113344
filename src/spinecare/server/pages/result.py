"""The pages for people: upload, result, refusal, problem, and the description of the interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from spinecare import __version__
from spinecare.errors import AssessmentError, ScanError
from spinecare.scan import LABELS, Assessment, Label, Refused
from spinecare.server import words
from spinecare.server.answers import Answer, answers, joint_status
from spinecare.server.picture import (
    Picture,
    Shape,
    label_place,
    prepared_picture,
    scan_picture,
    shapes_on_prepared,
    shapes_on_scan,
    stroke,
)
from spinecare.server.reference import operations, schemas
from spinecare.server.upload import megabytes, read_uploads

router = APIRouter(include_in_schema=False)

_templates = Environment(
    loader=PackageLoader("spinecare.server"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["percent"] = words.percent
_templates.filters["share"] = words.share
_templates.filters["megabytes"] = megabytes
_templates.globals.update(
    version=__version__,
    disclaimer=words.DISCLAIMER,
    label_words=words.LABEL_WORDS,
    stroke=stroke,
    label_place=label_place,
)


@dataclass(frozen=True)
class Row:
    """One class on the result page."""

    label: Label
    probability: float
    possible: bool
    assumed: float
    trained: float


@dataclass(frozen=True)
class Drawing:
    """A picture with the levels over it; `dashed` is what the picture alone says."""

    picture: Picture
    levels: tuple[Shape, ...] = ()
    dashed: tuple[Shape, ...] = ()


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(template).render(**values), status_code=status)


def problem(request: Request, status: int, title: str, reason: str, hint: str) -> Response:
    """The page of a request that could not be answered."""
    return _page("problem.html", status, code=status, title=title, reason=reason, hint=hint)


@router.get("/")
async def home(request: Request) -> Response:
    state = request.app.state
    return _page("home.html", settings=state.settings, model=state.assessor.model)


@router.get("/assess")
async def assess_again() -> Response:
    # Someone came back to the address of a result: nothing is stored, so there is nothing to show again.
    return RedirectResponse("/", status_code=303)


@router.post("/assess")
async def assess(request: Request) -> Response:
    state = request.app.state
    uploads = await read_uploads(request, state.settings)
    given = await answers(state.assessor, uploads, state.settings, state.limiter)
    results = [_result(one) for one in given]
    return _page("results.html", joint_status(given), results=results)


@router.get("/docs")
async def docs(request: Request) -> Response:
    document = request.app.openapi()
    return _page("docs.html", info=document["info"], operations=operations(document), schemas=schemas(document))


def _result(one: Answer) -> dict[str, Any]:
    common: dict[str, Any] = {
        "name": one.upload.name,
        "sha256": one.upload.sha256,
        "size": one.upload.size,
        "seconds": one.seconds,
        "scan": one.scan,
    }
    outcome = one.outcome
    if isinstance(outcome, ScanError):
        return {**common, "kind": "unreadable", "headline": "Not readable", "error": outcome}
    if isinstance(outcome, AssessmentError):
        return {**common, "kind": "failed", "headline": "Not assessed", "error": outcome}
    drawn = None if one.scan is None else Drawing(scan_picture(one.scan))
    if isinstance(outcome, Refused):
        return {**common, "kind": "refused", "headline": "Refused", "error": outcome, "drawn": drawn}
    return {**common, "kind": "assessed", "headline": words.verdict(outcome), **_assessed(one, outcome)}


def _assessed(one: Answer, answer: Assessment) -> dict[str, Any]:
    assert one.scan is not None
    rows = [
        Row(
            label,
            answer.probabilities[label],
            label in answer.prediction_set,
            answer.assumed_prevalence[label],
            answer.prevalence[label],
        )
        for label in LABELS
    ]
    prepared = answer.prepared
    trained = words.trained_sentence(answer.model)
    return {
        "answer": answer,
        "tone": {"Yes": "yes", "No": "no"}.get(words.verdict(answer), "none"),
        "sentence": words.sentence(answer),
        "set_sentence": words.set_sentence(answer),
        "trained_sentence": trained,
        # What stands in the answer's own box or under the picture is not said a second time.
        "warnings": [w for w in answer.warnings if w not in {words.DISCLAIMER, trained, *prepared.notes}],
        "level_sentence": words.level_sentence(answer),
        "rows": rows,
        "drawn": Drawing(
            scan_picture(one.scan),
            shapes_on_scan(answer.levels, one.scan),
            shapes_on_scan(prepared.levels_from_image, one.scan),
        ),
        "prepared": Drawing(prepared_picture(prepared), shapes_on_prepared(prepared)),
    }
