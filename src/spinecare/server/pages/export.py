"""What may leave: a scan as it was sent, a scan without its person, a patient's history without the patient."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from spinecare.errors import ScanError
from spinecare.io.deidentify import LookFirstError
from spinecare.server.problems import Problem, not_found
from spinecare.server.render import page
from spinecare.server.security.who import allow
from spinecare.store import export
from spinecare.store.actor import Actor, May
from spinecare.store.site import Site

router = APIRouter(include_in_schema=False)

_IN_MEMORY = 16 * 1024 * 1024
_CHUNK = 256 * 1024

MayExport = Annotated[Actor, Depends(allow(May.EXPORT))]


@router.get("/assessments/{key}/scan")
def scan(request: Request, key: str, actor: MayExport) -> Response:
    """The file as it was sent, but for a DICOM preamble."""
    site: Site = request.app.state.site
    file = export.original(site, key, actor)
    if file is None:
        raise not_found("assessment")
    return _attached(file)


@router.get("/assessments/{key}/deidentified.dcm")
def deidentified(request: Request, key: str, actor: MayExport, looked: str = "") -> Response:
    """The scan without its person; where a name may stand in the picture, a page that asks to look first."""
    site: Site = request.app.state.site
    try:
        file = export.without_person(site, key, actor, looked=looked == "yes")
    except LookFirstError as error:
        return page(request, "export/look.html", 409, key=key, reason=error.reason)
    except (export.NoExportError, ScanError) as error:
        raise Problem(409, "Not given out", error.reason, error.hint, "not_exportable") from error
    if file is None:
        raise not_found("assessment")
    return _attached(file)


@router.get("/patients/{key}/export.zip")
def archive(request: Request, key: str, actor: MayExport) -> Response:
    """Everything known of a patient, de-identified."""
    site: Site = request.app.state.site
    out: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed by `_sent`)
    try:
        if not export.patient_archive(site, key, actor, out):
            raise not_found("patient")
    except BaseException:
        out.close()
        raise
    return StreamingResponse(_sent(out), media_type="application/zip", headers=_attachment(f"spinecare-{key}.zip"))


def _sent(out: IO[bytes]) -> Iterator[bytes]:
    with out:
        out.seek(0)
        while chunk := out.read(_CHUNK):
            yield chunk


def _attached(file: export.ScanFile) -> Response:
    return Response(file.data, media_type=file.media_type, headers=_attachment(file.file_name))


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
