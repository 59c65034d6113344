"""What belongs to an assessment: its readings, its pictures, its report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path
from fastapi.responses import JSONResponse, Response

from spinecare.server.api import examples
from spinecare.server.api.objects import BASE, has_report, one, pictures, when
from spinecare.server.api.replies import SIGNED_IN, Sees, ThisSite, binary, known, ok, problems
from spinecare.server.api.schema import NewReading, ReadingOut, Readings
from spinecare.server.problems import Problem, not_found
from spinecare.server.security.who import allow
from spinecare.store import audit, readings
from spinecare.store.actor import Actor, May
from spinecare.store.models import Reading

router = APIRouter(tags=["assessments"], dependencies=SIGNED_IN)

AssessmentId = Annotated[str, known("assessment", examples.ID)]
_PATH = f"{BASE}/assessments/{{id}}"
_NO_ASSESSMENT = "There is no such assessment, or it was deleted."


@router.get(
    f"{_PATH}/readings",
    operation_id="listReadings",
    summary="List the readings",
    response_model=Readings,
    response_class=JSONResponse,
    responses={**problems(404, _404=_NO_ASSESSMENT), **ok(examples.READINGS, "Every reading, oldest first.")},
)
def list_readings(site: ThisSite, actor: Sees, id: AssessmentId) -> Response:
    """What readers said of an assessment."""
    with site.db.begin() as session:
        items = [_reading_object(reading) for reading in one(session, id).readings]
        audit.note(site.db, session, actor, audit.Action.SEE, "assessment", id, part="readings")
    return JSONResponse({"items": items})


@router.post(
    f"{_PATH}/readings",
    operation_id="addReading",
    summary="Add a reading",
    status_code=201,
    response_model=ReadingOut,
    response_class=JSONResponse,
    responses={
        **problems(
            404,
            409,
            _404=_NO_ASSESSMENT,
            _409="Not possible: the assessment is not done, was unreadable, or has no category to agree with.",
        ),
        **ok(examples.READING, "Kept, as a label with who and when.", 201),
    },
)
def add_reading(
    site: ThisSite,
    actor: Annotated[Actor, Depends(allow(May.READ))],
    id: AssessmentId,
    said: Annotated[
        NewReading,
        Body(
            openapi_examples={
                "agree": {"value": {"verdict": "agree"}},
                "correct": {
                    "value": {"verdict": "correct", "label": "low_bone_mass", "reason": "L4 holds an implant."}
                },
                "not_usable": {"value": {"verdict": "not_usable", "reason": "The patient has moved."}},
            }
        ),
    ],
) -> Response:
    """Say that you agree, what it is instead, or that the scan is not usable. The last reading counts."""
    label = said.label if said.verdict == "correct" else None
    try:
        reading = readings.add(site, id, said.verdict, label, said.reason, actor=actor)
    except LookupError as error:
        raise not_found("assessment") from error
    except ValueError as error:
        raise Problem(
            409, "Not possible here", str(error), "Look at the assessment again.", "reading_not_possible"
        ) from error
    return JSONResponse(_reading_object(reading), 201)


@router.get(
    f"{_PATH}/pictures/{{name}}.png",
    operation_id="getPicture",
    summary="Get a picture",
    response_class=Response,
    responses={
        **problems(404, _404="There is no such assessment, or it has no such picture."),
        **binary("image/png", "The picture. Maps are transparent where nothing speaks, and lie over `scan`."),
    },
)
def get_picture(
    site: ThisSite,
    actor: Sees,
    id: AssessmentId,
    name: Annotated[
        str, Path(pattern=r"^[a-z0-9_]{1,64}$", description="As in `links.pictures`: `scan`, `prepared`, `map` …")
    ],
) -> Response:
    """One picture: the scan as it was read, what the models saw, or what spoke for osteoporosis."""
    with site.db.begin() as session:
        kept = pictures(one(session, id)).get(name)
        if kept is None:
            raise not_found("picture")
        audit.note(site.db, session, actor, audit.Action.SEE, "assessment", id, picture=name)
    return Response(site.files.get(kept["sha256"]), media_type="image/png")


@router.get(
    f"{_PATH}/report.pdf",
    operation_id="getReport",
    summary="Get the report",
    response_class=Response,
    responses={
        **problems(404, 409, _404=_NO_ASSESSMENT, _409="There is no report: not done yet, or unreadable."),
        **binary("application/pdf", "The report, A4."),
    },
)
def get_report(
    site: ThisSite, actor: Annotated[Actor, Depends(allow(May.SEE, May.EXPORT))], id: AssessmentId
) -> Response:
    """The answer with its pictures, reasons and readings, to print or to keep."""
    # The page's report and this one are the same; both modules are only needed here.
    from spinecare.server.pages.result import report_header
    from spinecare.server.pages.shown import moment

    with site.db.begin() as session:
        row = one(session, id)
        if not has_report(row):
            raise Problem(
                409,
                "No report",
                "There is no report of this assessment.",
                "Only what was assessed or refused has one; look at `state` and `outcome`.",
                "no_report",
            )
        audit.note(site.db, session, actor, audit.Action.EXPORT, "assessment", id, format="pdf")
        header = report_header(row, actor)
        said = [
            {**_reading_object(reading), "by": reading.by_name, "at": moment(reading.at)} for reading in row.readings
        ]
    from spinecare.report.pdf import report_pdf  # reportlab is slow to import

    drawn = {name: site.files.get(kept["sha256"]) for name, kept in pictures(row).items()}
    return Response(report_pdf(row.record or {}, drawn, header, said), media_type="application/pdf")


def _reading_object(reading: Reading) -> dict[str, str | None]:
    return {
        "verdict": reading.verdict,
        "label": reading.label,
        "reason": reading.reason,
        "by_name": reading.by_name,
        "at": when(reading.at),
    }
