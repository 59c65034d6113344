"""What the objects of the interface look like: the examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any

ID = "5f0c9a1be2d34c77"
PATIENT_ID = "a31f77c0d2e94b58"
SPECIALIST_ID = "0c44d9e1b7a2f365"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_BASE = f"/api/v1/assessments/{ID}"

LINKS: dict[str, Any] = {
    "self": _BASE,
    "page": f"/assessments/{ID}",
    "readings": f"{_BASE}/readings",
    "pictures": {"scan": f"{_BASE}/pictures/scan.png", "map": f"{_BASE}/pictures/map.png"},
    "report": f"{_BASE}/report.pdf",
    "patient": f"/api/v1/patients/{PATIENT_ID}",
}

_HEAD: dict[str, Any] = {
    "schema": "spinecare.assessment/1",
    "file": "scan.dcm",
    "sha256": _SHA256,
    "id": ID,
    "state": "done",
    "created_at": "2026-11-22T09:30:00Z",
    "finished_at": "2026-11-22T09:30:01Z",
    "links": LINKS,
}
_NOT_SHOWN = {**LINKS, "pictures": {}, "report": None, "patient": None}

PENDING = {**_HEAD, "state": "queued", "finished_at": None, "links": _NOT_SHOWN}
UNREADABLE = {
    **_HEAD,
    "outcome": "unreadable",
    "code": "damaged",
    "reason": "The file is damaged: it breaks off.",
    "hint": "Copy or export the scan again and send the new file.",
    "links": _NOT_SHOWN,
}
REFUSED = {
    **_HEAD,
    "outcome": "refused",
    "code": "not_a_spine",
    "reason": "This is no AP lumbar spine.",
    "hint": "Send an AP scan of L1 to L4.",
}
ASSESSED: dict[str, Any] = {
    **_HEAD,
    "outcome": "assessed",
    "osteoporosis": "yes",
    "category": "osteoporosis",
    "prediction_set": ["osteoporosis"],
    "probabilities": {"normal": 0.02, "low_bone_mass": 0.27, "osteoporosis": 0.71},
    "interval": {"of": "osteoporosis", "level": 0.9, "low": 0.55, "high": 0.83, "method": "members' spread"},
    "abstained": False,
    "levels": [
        {
            "name": "L1",
            "polygon": [[6.0, 15.0], [6.0, 33.0], [19.0, 33.0], [19.0, 15.0]],
            "source": "network",
            "confidence": 0.93,
        }
    ],
    "members": {"cnn": {"normal": 0.04, "low_bone_mass": 0.30, "osteoporosis": 0.66}},
    "quality": [
        {
            "name": "contrast",
            "passed": True,
            "value": 0.4,
            "limit": 0.1,
            "unit": "",
            "sentence": "Bone stands out from its surroundings.",
        }
    ],
    "measurements": {"mean_density": 0.512},
    "model": {"name": "default", "version": "1.0.0", "sha256": _SHA256, "trained_on": "virtual patients"},
    "warnings": ["For research, not a diagnosis."],
    "acquired": "2026-11-20",
    "device": "GE Lunar iDXA",
    "uids": {"sop": "1.2.840.1.2", "study": "1.2.840.1.1"},
}
SEVERAL = {"schema": "spinecare.assessments/1", "assessments": [ASSESSED, UNREADABLE]}
SUMMARY = {
    "id": ID,
    "state": "done",
    "outcome": "assessed",
    "code": None,
    "osteoporosis": "yes",
    "category": "osteoporosis",
    "probability": 0.71,
    "file": "scan.dcm",
    "acquired": "2026-11-20",
    "created_at": "2026-11-22T09:30:00Z",
    "reading": "agree",
    "links": {name: LINKS[name] for name in ("self", "page", "patient")},
}
SUMMARIES = {"items": [SUMMARY], "next": None}
READING = {
    "verdict": "correct",
    "label": "low_bone_mass",
    "reason": "L4 holds an implant.",
    "by_name": "Dr Example",
    "at": "2026-11-22T10:00:00Z",
}
READINGS = {"items": [READING]}
PATIENT = {
    "id": PATIENT_ID,
    "sex": "F",
    "birth_year": 1950,
    "created_at": "2026-11-22T09:30:00Z",
    "scans": 2,
    "identity": {"clinic_id": "P-1", "name": "Testperson^Eins", "birth_date": "1950-02-03"},
    "links": {
        "self": f"/api/v1/patients/{PATIENT_ID}",
        "page": f"/patients/{PATIENT_ID}",
        "assessments": f"/api/v1/assessments?patient={PATIENT_ID}",
    },
}
PATIENTS = {"items": [PATIENT], "next": None}
SPECIALIST = {
    "id": SPECIALIST_ID,
    "name": "Sample Rheumatology Practice",
    "specialty": "Rheumatology",
    "organisation": None,
    "address": "1 Sample Street",
    "city": "Sampletown",
    "country": None,
    "phone": "+00 000 000",
    "email": None,
    "website": None,
    "hours": "Mon-Fri 9-12",
    "latitude_deg": None,
    "longitude_deg": None,
    "is_sample": True,
}
SPECIALISTS = {"items": [SPECIALIST], "next": None}


def problem(status: int, title: str, detail: str, hint: str, code: str) -> dict[str, Any]:
    """A problem, as RFC 9457 writes it."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "hint": hint, "code": code}


# One for each status; what is said of a file or a field differs.
PROBLEMS: dict[int, dict[str, Any]] = {
    400: problem(400, "Not an address", "This address can't be read.", "Start from the first page.", "address"),
    401: problem(
        401, "Sign in", "The request carries no valid token.", "Send the header Authorization: Bearer sc_…", "sign_in"
    ),
    403: problem(
        403, "Not allowed", "Your account may not do this.", "Ask an administrator for the permission.", "not_allowed"
    ),
    404: problem(404, "Not found", "There is no such assessment.", "It may have been deleted.", "not_found"),
    409: problem(409, "Not assessed yet", "There is no report yet.", "Ask again when `state` is `done`.", "not_done"),
    413: problem(
        413, "Upload too large", "The upload is larger than 512 MB in all.", "Send fewer files at a time.", "too_large"
    ),
    415: problem(
        415,
        "Not a file upload",
        "The request is not a multipart form, so there is no file in it.",
        "Send the scan as multipart/form-data.",
        "not_a_form",
    ),
    421: problem(
        421,
        "Not this address",
        "This service is at https://spine.clinic.example.",
        "Open it under that address.",
        "host",
    ),
    422: problem(
        422,
        "Not as expected",
        "limit: Input should be less than or equal to 200.",
        "The page /docs says what is taken.",
        "invalid",
    ),
    429: problem(
        429, "Too many requests", "There were too many requests in a short time.", "Wait a minute.", "too_many"
    ),
    500: problem(
        500,
        "Something went wrong on our side",
        "The request was not answered, because of a fault in SpineCare and not in what you sent.",
        "Try once more; if it happens again, tell who runs this service.",
        "internal",
    ),
    503: problem(
        503, "Not available", "The database does not answer.", "Check that it is running, and try again.", "store"
    ),
}
NO_FILE = problem(
    400, "No file", "No file was chosen.", "Choose a scan (DICOM, PNG, JPEG, TIFF or BMP) and send it.", "no_file"
)
