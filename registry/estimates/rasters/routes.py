"""Rasters over HTTP: registered, listed, corrected."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, File, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from sqlalchemy.orm import Session

from registry.estimates.file_store import raster_path
from registry.estimates.models import RasterStatement
from registry.estimates.rasters.form import RasterCorrection, raster_form
from registry.estimates.rasters.rules import LICENCES, RasterClaim
from registry.estimates.rasters.store import (
    correct_raster,
    list_rasters,
    load_raster,
    prepare_correction,
    raster_versions,
    record_raster,
    require_author,
    store_raster,
    unbound,
)
from registry.estimates.rules import StoredFileChanged
from registry.estimates.uploads import UPLOAD_PROBLEMS, require_uploader
from registry.machine import NotAuthorised, Role
from registry.projects.rules import civil_date
from registry.turns import Turns
from registry.web.api import READ_PROBLEMS, Acting, Caller, Known, Reading, Running, problem_responses
from registry.web.uploads import uploaded

router = APIRouter(tags=["estimates"])

AT_ONCE, STANDING = 2, 6
_turns: Final = Turns(AT_ONCE, STANDING)
"""Reading every cell of a raster takes a processor for as long as it lasts."""


@router.post("/rasters", summary="Register a raster", status_code=201, responses=UPLOAD_PROBLEMS)
def add_raster(
    running: Running,
    by: Acting,
    claim: Annotated[RasterClaim, Depends(raster_form)],
    file: Annotated[UploadFile, File(description="a GeoTIFF or COG")],
) -> JSONResponse:
    """Every cell is read once before it is kept. The same file again answers the row it has."""
    require_uploader(by, "raster")
    now = running.clock.now()
    with _turns.turn(), uploaded(file) as path:
        stored = store_raster(running.home, path, claim, today=civil_date(now))
    with running.database.write() as session:
        row = record_raster(session, stored, by.mandate, now)
        return JSONResponse(dict(raster_view(row)), 201)


@router.get("/rasters", summary="Registered rasters", responses=READ_PROBLEMS)
def rasters(known: Known, session: Reading) -> dict[str, Any]:
    """What is said of each now."""
    return {"items": [raster_view(row) for row in list_rasters(session)], "next": None}


@router.get("/rasters/{sha256}", summary="A raster and all that was ever said of it", responses=READ_PROBLEMS)
def raster(sha256: str, known: Known, session: Reading) -> dict[str, Any]:
    versions = raster_versions(session, sha256)
    return {**raster_view(versions[-1]), "versions": [raster_view(row) for row in versions]}


@router.get("/rasters/{sha256}/stac", summary="A raster as a STAC item", responses=READ_PROBLEMS)
def stac_item(sha256: str, known: Known, session: Reading) -> JSONResponse:
    from registry.estimates.rasters.stac import item_json  # brings pystac

    row = load_raster(session, sha256)
    item = item_json(row, f"/api/v1/rasters/{row.sha256}/file", "/api/v1/rasters/{sha256}/stac")
    return JSONResponse(item, media_type="application/geo+json")


@router.get(
    "/rasters/{sha256}/file",
    summary="The file itself, under its own licence",
    response_class=FileResponse,
    responses=READ_PROBLEMS | problem_responses(403),
)
def raster_bytes(sha256: str, running: Running, known: Known, session: Reading) -> FileResponse:
    """Under a licence that lets anybody pass it on it is for all members; else for who brought it, verifiers
    and officials, who need it to check.
    """
    row = load_raster(session, sha256)
    _require_reader(session, known, row)
    path = raster_path(running.home, row.sha256)
    if not path.exists():
        raise StoredFileChanged(sha256=row.sha256)
    return FileResponse(path, media_type="image/tiff; application=geotiff", filename=f"{row.sha256}.tif")


@router.post(
    "/rasters/{sha256}/corrections",
    summary="Say something else of a raster",
    status_code=201,
    responses=UPLOAD_PROBLEMS,
)
def correct(sha256: str, running: Running, by: Acting, correction: RasterCorrection) -> JSONResponse:
    """Nothing is edited: it becomes the next version, and runs name the version that they used."""
    now = running.clock.now()
    with running.database.read() as session:
        require_author(session, sha256, by.mandate)
        known = unbound(session, load_raster(session, sha256))
    with _turns.turn():
        ready = prepare_correction(
            running.home, known, correction.changes(), correction.reason, today=civil_date(now)
        )
    with running.database.write() as session:
        return JSONResponse(dict(raster_view(correct_raster(session, ready, by.mandate, now))), 201)


def _require_reader(session: Session, known: Caller, row: RasterStatement) -> None:
    """Refuse what is not ours to hand on (`NotAuthorised`); bundles leave it out likewise."""
    mine = load_raster(session, row.sha256, 1).organisation_id == known.mandate.organisation
    if row.licence not in LICENCES and not (known.official or mine):
        raise NotAuthorised(machine="raster", action="file", needed=Role.VERIFIER)


def raster_view(row: RasterStatement) -> Mapping[str, Any]:
    """One statement, with the file that it is about."""
    return {
        "sha256": row.sha256,
        "version": row.version,
        "kind": row.kind,
        "unit": row.unit,
        "band": row.band,
        "product": row.product,
        "taken_on": row.taken_on,
        "licence": row.licence,
        "licence_note": row.licence_note,
        "attribution": row.attribution,
        "source": row.source,
        "error_model": row.error_model,
        "forest_classes": row.forest_classes,
        "lineage": row.lineage,
        "facts": row.facts,
        "values_sha256": row.values_sha256,
        "stated_at": None if row.stated_at is None else row.stated_at.isoformat(),
        "organisation": row.organisation_id,
        "reason": row.reason,
        "file_name": row.file.file_name,
        "size_bytes": row.file.size_bytes,
        "grid": row.file.grid,
    }
