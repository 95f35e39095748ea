"""Parcel files over HTTP."""

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError

from registry.files import FileStore
from registry.parcels.imports import Declaration, import_file
from registry.web.api import Acting, PlainForm, Running, problem_responses, request_invalid
from registry.web.uploads import uploaded

router = APIRouter(tags=["parcels"])

OWNERS = TypeAdapter(dict[str, str])


@router.post(
    "/parcel-imports",
    summary="Import a parcel file: every row becomes a draft, or none does",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 409, 413, 422, 500, 503),
)
def import_parcels(
    running: Running,
    by: Acting,
    file: Annotated[UploadFile, File(description="zipped shapefile, GeoPackage or GeoJSON")],
    programme: Annotated[PlainForm, Form(description="whose tolerances hold, for example ZJ-PH.1")],
    owners: Annotated[
        str | None, Form(description="an operator's import: JSON object, village to its collective's id")
    ] = None,
    crs: Annotated[
        PlainForm | None, Form(description="declared coordinate system where the file has none")
    ] = None,
    encoding: Annotated[PlainForm | None, Form(description="declared encoding of the attributes")] = None,
    dry_run: Annotated[bool, Form(description="only say what would come of it")] = False,
) -> JSONResponse:
    """A file with faults is refused as a whole; `errors` then lists every bad row. With `dry_run` the report
    is answered either way, and nothing is kept.
    """
    with uploaded(file) as path:
        report = import_file(
            running.database,
            FileStore(running.home.files),
            by.mandate,
            path,
            Declaration(programme, crs=crs, encoding=encoding, owners=_owners(owners)),
            now=running.clock.now(),
            dry_run=dry_run,
        )
    if dry_run:
        return JSONResponse(report.to_json(), 200)
    return JSONResponse(report.require().to_json(), 201)


def _owners(given: str | None) -> dict[str, str] | None:
    if given is None:
        return None
    try:
        return OWNERS.validate_json(given, strict=True)
    except ValidationError as invalid:
        faults = invalid.errors(include_url=False, include_input=False)
        raise request_invalid([{**fault, "loc": ("owners", *fault["loc"])} for fault in faults]) from invalid
