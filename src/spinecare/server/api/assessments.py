"""The HTTP interface for programs: `/api/v1/assessments` and `/healthz`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from spinecare import __version__
from spinecare.server.answers import answers, joint_status
from spinecare.server.schema import Answered, Health, Model, Problem, SeveralAnswers, Unreadable
from spinecare.server.upload import read_uploads

router = APIRouter()

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "One scan, or several under the same field name: "
                            "DICOM, PNG, JPEG, TIFF or BMP.",
                        }
                    },
                }
            }
        },
    }
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Assessed, or refused with its reason. One file gives an object, several a list.",
        "model": Answered | SeveralAnswers,
    },
    400: {"description": "No file, an empty file, or a broken upload.", "model": Unreadable | Problem},
    413: {"description": "A file or the whole upload is too large.", "model": Unreadable | Problem},
    415: {"description": "Not a picture, or not a multipart form.", "model": Unreadable | Problem},
    422: {
        "description": "A damaged file; or several files of which at least one could not be read.",
        "model": Unreadable | SeveralAnswers,
    },
    500: {"description": "A fault on our side. No answer was given.", "model": Problem},
}


@router.post(
    "/api/v1/assessments",
    summary="Assess scans",
    tags=["assessments"],
    responses=RESPONSES,
    openapi_extra=FORM,
    response_class=JSONResponse,
)
async def assess(request: Request) -> JSONResponse:
    """Send lumbar spine DXA scans and get, for each, an answer, a refusal or why it is unreadable.

    Nothing is stored. The answers are for research and not a diagnosis.
    """
    state = request.app.state
    uploads = await read_uploads(request, state.settings)
    given = await answers(state.assessor, uploads, state.settings, state.limiter)
    objects = [one.to_json() for one in given]
    body = objects[0] if len(objects) == 1 else {"schema": "spinecare.assessments/1", "assessments": objects}
    return JSONResponse(body, status_code=joint_status(given))


@router.get(
    "/healthz",
    summary="Is the service up, and with which model?",
    tags=["service"],
    response_description="The service is up and its model is loaded.",
)
async def healthz(request: Request) -> Health:
    """Answers as soon as the model is loaded; a server without a model does not start."""
    model = request.app.state.assessor.model
    return Health(
        status="ok",
        version=__version__,
        model=Model(name=model.name, version=model.version, sha256=model.sha256, trained_on=model.trained_on),
    )
