"""What the upload takes and answers, in the words of the OpenAPI document."""

from __future__ import annotations

from typing import Any

from spinecare.server.api import examples
from spinecare.server.api.replies import problems

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
                            "description": "One scan, or several under the same field name: DICOM, PNG, JPEG, "
                            "TIFF, BMP, or a ZIP of these.",
                        },
                        "clinic_id": {
                            "type": "string",
                            "maxLength": 128,
                            "description": "The clinic's own number of the patient; the scan is filed under it.",
                        },
                        "name": {
                            "type": "string",
                            "maxLength": 256,
                            "description": "The patient's name; only together with `clinic_id`.",
                        },
                        "birth_date": {
                            "type": "string",
                            "format": "date",
                            "description": "As 1950-02-03; only together with `clinic_id`.",
                        },
                        "sex": {"type": "string", "enum": ["F", "M"], "description": "As DICOM writes it."},
                        "age_years": {
                            "type": "number",
                            "minimum": 0,
                            "maximum": 130,
                            "description": "At the time of the scan. Where the file says itself, the file counts.",
                        },
                        "height_cm": {"type": "number", "minimum": 30, "maximum": 250},
                        "weight_kg": {"type": "number", "minimum": 1, "maximum": 500},
                        "acquired": {"type": "string", "format": "date", "description": "The day of the scan."},
                    },
                },
                "encoding": {"file": {"contentType": "application/dicom, image/*, application/zip"}},
            }
        },
    }
}


def _either(*models: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": f"#/components/schemas/{model}"} for model in models]}


def _unreadable_or_problem(status: int, words: str, *models: str) -> dict[str, Any]:
    content = problems(status)[status]["content"]
    if status == 400:
        content = {kind: {**media, "example": examples.NO_FILE} for kind, media in content.items()}
    return {
        "description": words,
        "content": {
            "application/json": {
                "schema": _either("Unreadable", *models),
                "examples": {"unreadable": {"value": examples.UNREADABLE}},
            },
            **content,
        },
    }


_LOCATION = {
    "Location": {"description": "Where the answer will be.", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "`respond-async`, when it was asked for.", "schema": {"type": "string"}},
}
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true`: this upload came before with the same Idempotency-Key; nothing was done again.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
POST_REPLIES: dict[int | str, dict[str, Any]] = {
    **problems(409, _409="The scan is filed under another patient than the one in the form."),
    200: {
        "description": "Assessed, or refused with its reason. One scan gives an object, several a list.",
        "headers": _REPLAYED,
        "content": {
            "application/json": {
                "examples": {
                    "assessed": {"value": examples.ASSESSED},
                    "refused": {"value": examples.REFUSED},
                    "several": {"value": {**examples.SEVERAL, "assessments": [examples.ASSESSED, examples.REFUSED]}},
                }
            }
        },
    },
    202: {
        "description": "Kept and queued: because `Prefer: respond-async` asked for that, or because the answer takes "
        "longer than the time to wait, or too many wait. Where `outcome` is there, the answer is there already.",
        "headers": {**_LOCATION, **_REPLAYED},
        "content": {
            "application/json": {
                "schema": _either("Pending", "Assessed", "Refused", "Unreadable", "SeveralAnswers"),
                "examples": {"queued": {"value": examples.PENDING}},
            }
        },
    },
    400: _unreadable_or_problem(400, "No file, an empty file, or a broken upload."),
    413: _unreadable_or_problem(413, "A file or the whole upload is too large."),
    415: _unreadable_or_problem(415, "Not a picture, or not a multipart form."),
    422: _unreadable_or_problem(
        422,
        "A damaged file; several files of which at least one could not be read; a field that makes no sense; or an "
        "Idempotency-Key that came before with another upload.",
        "SeveralAnswers",
    ),
    500: _unreadable_or_problem(500, "A fault on our side. No answer was given.", "SeveralAnswers"),
}
