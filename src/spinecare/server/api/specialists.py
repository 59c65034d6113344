"""`/api/v1/specialists`: the clinic's directory."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select, tuple_

from spinecare.server.api import examples
from spinecare.server.api.listing import Cursor, Limit, lost_cursor, next_page, page_of
from spinecare.server.api.objects import BASE
from spinecare.server.api.replies import SIGNED_IN, Sees, ThisSite, known, ok, problems
from spinecare.server.api.schema import SpecialistOut, SpecialistPage
from spinecare.server.problems import not_found
from spinecare.store.models import Specialist

router = APIRouter(tags=["specialists"], dependencies=SIGNED_IN)

SpecialistId = Annotated[str, known("specialist", examples.SPECIALIST_ID)]
FIELDS = tuple(name for name in SpecialistOut.model_fields if name != "id")


@router.get(
    f"{BASE}/specialists",
    operation_id="listSpecialists",
    summary="List specialists",
    response_model=SpecialistPage,
    response_class=JSONResponse,
    responses={**problems(404, _404="`cursor` names no entry any more."), **ok(examples.SPECIALISTS, "By name.")},
)
def list_specialists(
    site: ThisSite,
    actor: Sees,
    city: Annotated[
        str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="Only those in this city.")
    ] = None,
    specialty: Annotated[
        str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="Only those of this specialty.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The clinic's directory of specialists, by name. Follow `next` until it is null."""
    query = select(Specialist.key)
    for column, value in ((Specialist.city, city), (Specialist.specialty, specialty)):
        if value:
            query = query.where(func.lower(column) == func.lower(value.strip()))
    with site.db.read() as session:
        if cursor is not None:
            last = session.scalar(select(Specialist).where(Specialist.key == cursor))
            if last is None:
                raise lost_cursor()
            query = query.where(tuple_(Specialist.name, Specialist.id) > (last.name, last.id))
        keys, following = page_of(session, query.order_by(Specialist.name, Specialist.id), limit)
        rows = {row.key: row for row in session.scalars(select(Specialist).where(Specialist.key.in_(keys)))}
    items = [_specialist_object(rows[key]) for key in keys]
    return JSONResponse(
        {"items": items, "next": next_page("specialists", following, limit, city=city, specialty=specialty)}
    )


@router.get(
    f"{BASE}/specialists/{{id}}",
    operation_id="getSpecialist",
    summary="Get one specialist",
    response_model=SpecialistOut,
    response_class=JSONResponse,
    responses={
        **problems(404, _404="There is no such entry."),
        **ok(examples.SPECIALIST, "The entry."),
    },
)
def get_specialist(site: ThisSite, actor: Sees, id: SpecialistId) -> Response:
    """One entry of the directory."""
    with site.db.read() as session:
        row = session.scalar(select(Specialist).where(Specialist.key == id))
    if row is None:
        raise not_found("entry")
    return JSONResponse(_specialist_object(row))


def _specialist_object(row: Specialist) -> dict[str, object]:
    return {"id": row.key, **{name: getattr(row, name) for name in FIELDS}}
