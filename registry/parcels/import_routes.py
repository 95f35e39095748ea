"""Parcel files over HTTP: import and dry run, what came of it, field mappings, and what was uploaded.

Every import answers one report (`registry.parcels.report`). With `Prefer: respond-async` the answer is 202
at once, and `Location` says where the progress and then the report are.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import shapely
import sqlalchemy as sa
from fastapi import APIRouter, Depends, File, Header, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from sqlalchemy.orm import Session

from geo.errors import GeoRefusal
from registry.accounts.service import NotFound
from registry.files import FileStore
from registry.machine import NotAuthorised
from registry.parcels.examining import Declaration, Upload
from registry.parcels.import_form import ImportForm, import_form
from registry.parcels.import_jobs import UNDER_WAY, ImportJobs, ImportUnderWay, Job, row_view
from registry.parcels.import_models import ParcelImport, ParcelSource, SavedMapping
from registry.parcels.imports import IMPORTERS, answered_before, check_importer, discard_import, import_file
from registry.parcels.mapping import FieldMap, load_mapping
from registry.parcels.mappings import (
    BUILT_IN,
    delete_mapping,
    find_mapping,
    list_saved,
    load_saved,
    save_mapping,
)
from registry.parcels.models import ParcelVersion
from registry.parcels.report import ImportReport, RowProblem
from registry.parcels.routes import may_see
from registry.parcels.service import load_parcel
from registry.parcels.sources import forgotten_files
from registry.programmes.service import published_programme
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    Acting,
    Body,
    Caller,
    Cursor,
    Known,
    Limit,
    Now,
    Reading,
    Running,
    Services,
    page_of,
    problem_responses,
)
from registry.web.uploads import received, uploaded

router = APIRouter(tags=["parcels"])

CSV: Final = "text/csv"
PRIVATE: Final = {"Cache-Control": "no-store"}


Filled = Annotated[ImportForm, Depends(import_form)]
Outlines = Annotated[bool, Query(description="overlaps and proposals as GeoJSON, too")]


def jobs_of(request: Request) -> ImportJobs:
    found: ImportJobs = request.app.state.import_jobs
    return found


Jobs = Annotated[ImportJobs, Depends(jobs_of)]

# ---- imports -----------------------------------------------------------------------------------------------


@router.post(
    "/parcel-imports",
    summary="Import a parcel file: every row becomes a draft, or none does",
    status_code=201,
    responses={
        200: {"description": "the report of a dry run, or of a file that was taken in before"},
        202: {"description": "asked for by `Prefer: respond-async`: the import goes on; see Location"},
        **problem_responses(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
def import_parcels(
    running: Running,
    jobs: Jobs,
    by: Acting,
    form: Filled,
    file: Annotated[
        UploadFile,
        File(description="zipped shapefile, GeoPackage, GeoJSON, KML, KMZ, GPX, GeoParquet, CSV with WKT"),
    ],
    prefer: Annotated[str | None, Header(description="`respond-async`: answer before it is done")] = None,
    accept: Annotated[str | None, Header(description="`text/csv`: a dry run's report as a table")] = None,
) -> Response:
    """A file with faults is refused as a whole; `errors` then lists every bad row with what to do. With
    `dry_run` the report is answered either way, and nothing is kept. The same file from the same organisation
    is imported once, and again answers the same report.
    """
    declared = form.declaration()
    with running.database.read() as session:
        check_importer(session, by.mandate, declared)
        published_programme(session, declared.programme)
        mapping = find_mapping(session, by.mandate.organisation, form.mapping or None)
    if prefer is not None and "respond-async" in prefer:
        return begin_import(running, jobs, by, form, declared, mapping, file)
    with jobs.turn(), uploaded(file) as path:
        try:
            report = import_file(
                running.database,
                FileStore(running.home.files),
                by.mandate,
                path,
                declared,
                now=running.clock.now(),
                mapping=mapping,
                dry_run=form.dry_run,
            )
        except GeoRefusal as refusal:
            refusal.facts["rows"] = [RowProblem.of(0, refusal, "file").to_json(path.name)]
            raise
    if form.dry_run and accept is not None and CSV in accept:
        return _csv(report)
    if form.dry_run:
        return JSONResponse(report.to_json(form.outlines), 200, PRIVATE)
    return JSONResponse(report.require().to_json(form.outlines), 200 if report.repeated else 201, PRIVATE)


def begin_import(
    running: Services,
    jobs: ImportJobs,
    by: Caller,
    form: ImportForm,
    declared: Declaration,
    mapping: FieldMap,
    file: UploadFile,
) -> Response:
    """Queue an import; one that was taken in before is answered at once."""
    folder, path = received(file)
    if not form.dry_run:
        with running.database.read() as session:
            known = answered_before(session, by.mandate, Upload.of(path))
        if known is not None:
            folder.cleanup()
            return JSONResponse(known.to_json(), 200, PRIVATE)
    job = jobs.begin(by.mandate, folder, path, declared, mapping, form.dry_run)
    headers = {"Location": f"/api/v1/parcel-imports/{job.id}", "Preference-Applied": "respond-async"}
    return JSONResponse(job.view(), 202, PRIVATE | headers)


@router.get("/parcel-imports", summary="Imports of my organisation", responses=READ_PROBLEMS)
def imports(
    request: Request,
    known: Known,
    session: Reading,
    jobs: Jobs,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    """Without their reports. Refused imports that were not asked for with `respond-async` leave no trace."""
    wanted = sa.select(ParcelImport).where(ParcelImport.organisation_id == known.mandate.organisation)

    def view(row: ParcelImport) -> Mapping[str, Any]:
        job = jobs.find(row.id) if row.status in UNDER_WAY else None
        return (row_view(row, None) if job is None else job.view()) | {"report": None}

    return page_of(request, session, wanted, ParcelImport.id, view, cursor, limit)


@router.get(
    "/parcel-imports/{import_id}", summary="An import: how far it is, its report", responses=READ_PROBLEMS
)
def one_import(
    import_id: str, known: Known, session: Reading, jobs: Jobs, outlines: Outlines = False
) -> Response:
    """`status` is queued, running, taken, checked (a dry run without faults), refused, failed (a fault of
    ours: `reference` names it), interrupted (by a restart: send the file again) or discarded. `outlines`
    works as long as this process remembers the import.
    """
    job, row = _import_of(session, jobs, known, import_id)
    if job is not None:
        return JSONResponse(job.view(outlines), headers=PRIVATE)
    assert row is not None
    return JSONResponse(row_view(row, row.report), headers=PRIVATE)


@router.get(
    "/parcel-imports/{import_id}/report.csv",
    summary="An import's report as a table (CSV, UTF-8 with byte order mark)",
    response_class=Response,
    responses={200: {"content": {CSV: {}}}, **problem_responses(400, 401, 404, 409, 500)},
)
def report_table(import_id: str, known: Known, session: Reading, jobs: Jobs) -> Response:
    return _csv(report_of_import(session, jobs, known, import_id))


def report_of_import(session: Session, jobs: ImportJobs, known: Caller, import_id: str) -> ImportReport:
    """The report of an import that is done (`NotFound`, `ImportUnderWay`)."""
    job, row = _import_of(session, jobs, known, import_id)
    if job is not None and job.report is not None:
        return job.report
    if job is not None and job.status in UNDER_WAY:
        raise ImportUnderWay(import_id=job.id)
    if row is None or row.report is None:
        raise NotFound(kind="report", id=import_id[:80])
    return ImportReport.from_json(row.report)


@router.get(
    "/parcel-imports/{import_id}/file",
    summary="The file that was imported, byte for byte",
    response_class=FileResponse,
    responses=READ_PROBLEMS,
)
def imported_file(import_id: str, running: Running, known: Known, session: Reading) -> Response:
    """For whoever imported it, and for officials; not once a parcel of it was erased."""
    row = session.get(ParcelImport, import_id)
    if row is None or not row.kept or not _concerns(known, row.organisation_id):
        raise NotFound(kind="file", id=import_id[:80])
    path = FileStore(running.home.files).path(row.sha256)
    return FileResponse(path, media_type="application/octet-stream", filename=row.file_name, headers=PRIVATE)


@router.delete(
    "/parcel-imports/{import_id}",
    summary="Discard an import: its drafts that were not submitted",
    responses=problem_responses(400, 401, 403, 404, 409, 500),
)
def discard(import_id: str, running: Running, by: Acting, jobs: Jobs) -> dict[str, Any]:
    """The file goes too, unless a draft of it was submitted."""
    job = jobs.find(import_id)
    with running.database.write() as session:
        row = session.get(ParcelImport, import_id)
        if row is None or row.organisation_id != by.mandate.organisation:
            raise NotFound(kind="import", id=import_id[:80])
        if job is not None and job.status in UNDER_WAY:
            raise ImportUnderWay(import_id=import_id)
        dropped = discard_import(session, by.mandate, import_id)
        gone = forgotten_files(session) & {row.sha256}
    for sha256 in gone:
        FileStore(running.home.files).remove(sha256)
    jobs.forget(import_id)
    return {"import": import_id, "discarded": dropped}


def _import_of(
    session: Session, jobs: ImportJobs, known: Caller, import_id: str
) -> tuple[Job | None, ParcelImport | None]:
    """The job or the row of an import that the caller may see (`NotFound`)."""
    job, row = jobs.find(import_id), session.get(ParcelImport, import_id)
    if job is not None and _concerns(known, job.importer.organisation):
        return job, row
    if job is None and row is not None and _concerns(known, row.organisation_id):
        return None, row
    raise NotFound(kind="import", id=import_id[:80])


def _concerns(known: Caller, organisation: str) -> bool:
    return known.official or known.mandate.organisation == organisation


def _csv(report: ImportReport) -> Response:
    headers = PRIVATE | {"Content-Disposition": 'attachment; filename="report.csv"'}
    return Response(report.to_csv(), media_type=f"{CSV}; charset=utf-8", headers=headers)


# ---- what was uploaded -------------------------------------------------------------------------------------


@router.get(
    "/parcels/{parcel}/source", summary="A parcel's outline as it was uploaded", responses=READ_PROBLEMS
)
def parcel_source(
    parcel: str, known: Known, session: Reading, version: Annotated[int | None, Query(ge=1, le=2**31)] = None
) -> dict[str, Any]:
    """A GeoJSON feature whose coordinates are in the file's own system, `crs`, and what was done to them on
    the way. `geometry_sha256` is the digest of `wkb` (hexadecimal); it is in the version's commitment.
    """
    row = load_parcel(session, parcel)
    found = session.get(ParcelSource, (parcel, version or row.version))
    if found is None or not may_see(known, row):
        raise NotFound(kind="uploaded outline", id=parcel[:80])
    kept = session.get_one(ParcelVersion, (parcel, found.version))
    return {
        "type": "Feature",
        "id": f"{parcel}/{found.version}",
        "geometry": json.loads(shapely.to_geojson(shapely.from_wkb(found.wkb))),
        "crs": found.crs,
        "wkb": found.wkb.hex(),
        "properties": {
            "parcel": parcel,
            "version": found.version,
            "import": found.import_id,
            "row": found.row_number,
            "file_sha256": kept.source_sha256,
            **(kept.attributes or {}).get("source", {}),
        },
    }


# ---- field mappings ----------------------------------------------------------------------------------------

_REVISION: Final = re.compile(r'"r(\d{1,9})"')
IfMatch = Annotated[str | None, Header(alias="If-Match", description="ETag of the revision that is changed")]


@router.get("/field-mappings", summary="Field mappings that I can use", responses=READ_PROBLEMS)
def mappings(known: Known, session: Reading) -> dict[str, Any]:
    """Those of the registry, then those that my organisation saved."""
    own = [_mapping_view(row) for row in list_saved(session, known.mandate.organisation)]
    return {"items": [*(_built_in(name) for name in BUILT_IN), *own], "next": None}


@router.get("/field-mappings/{name}", summary="One field mapping", responses=READ_PROBLEMS)
def mapping(name: str, known: Known, session: Reading) -> Response:
    if name in BUILT_IN:
        return JSONResponse(_built_in(name))
    row = load_saved(session, known.mandate.organisation, name)
    return JSONResponse(_mapping_view(row), headers={"ETag": f'"r{row.revision}"'})


@router.put(
    "/field-mappings/{name}",
    summary="Save a field mapping",
    responses={
        201: {"description": "new"},
        **problem_responses(400, 401, 403, 409, 412, 413, 415, 422, 428, 500),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    },
)
def put_mapping(
    name: str, running: Running, now: Now, by: Acting, content: Body, if_match: IfMatch = None
) -> Response:
    """The body is the mapping: `fields`, each with `headings`, `kind` and what its kind needs, and `codes`.
    To change one that exists, If-Match names the revision that was looked at.
    """
    _require_importer(by)
    with running.database.write() as session:
        row = save_mapping(session, by.mandate.organisation, name, content, _revision(if_match), now)
        view, status = _mapping_view(row), 201 if row.revision == 1 else 200
    return JSONResponse(view, status, {"ETag": f'"r{view["revision"]}"'})


@router.delete(
    "/field-mappings/{name}",
    summary="Delete a field mapping",
    status_code=204,
    responses=problem_responses(400, 401, 403, 404, 412, 428, 500),
)
def remove_mapping(name: str, running: Running, by: Acting, if_match: IfMatch = None) -> Response:
    _require_importer(by)
    with running.database.write() as session:
        delete_mapping(session, by.mandate.organisation, name, _revision(if_match))
    return Response(status_code=204)


def _require_importer(by: Caller) -> None:
    if by.mandate.role not in IMPORTERS:
        raise NotAuthorised(machine="field mapping", action="save", needed=" / ".join(IMPORTERS))


def _revision(if_match: str | None) -> int | None:
    """The revision an If-Match names; -1, which none is, for one that is spelled otherwise."""
    if if_match is None:
        return None
    found = _REVISION.fullmatch(if_match.strip())
    return int(found[1]) if found else -1


def _built_in(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "revision": None,
        "built_in": True,
        "body": load_mapping(name).model_dump(mode="json"),
    }


def _mapping_view(row: SavedMapping) -> dict[str, Any]:
    return {
        "name": row.name,
        "revision": row.revision,
        "built_in": False,
        "updated_at": row.updated_at.isoformat(),
        "body": row.body,
    }
