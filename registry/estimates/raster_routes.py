"""Rasters over HTTP."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import JSONResponse

from registry.estimates.models import Raster
from registry.estimates.rasters import RasterKind, list_rasters, record_raster, store_raster
from registry.estimates.rules import RasterOfTheFuture
from registry.estimates.uploads import UPLOAD_PROBLEMS, require_uploader
from registry.projects.rules import civil_date
from registry.web.api import READ_PROBLEMS, Acting, Known, Reading, Running
from registry.web.uploads import uploaded

router = APIRouter(tags=["estimates"])


@router.post("/rasters", summary="Register a raster", status_code=201, responses=UPLOAD_PROBLEMS)
def add_raster(
    running: Running,
    by: Acting,
    file: Annotated[UploadFile, File(description="a GeoTIFF")],
    kind: Annotated[RasterKind, Form()],
    product: Annotated[str, Form(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")],
    taken_on: Annotated[date, Form()],
) -> JSONResponse:
    """The same file again answers the row it has."""
    require_uploader(by, "raster")
    if taken_on > civil_date(running.clock.now()):
        raise RasterOfTheFuture(taken_on=taken_on.isoformat())
    with uploaded(file) as path:
        stored = store_raster(running.home, path, kind=kind, product=product, taken_on=taken_on)
    with running.database.write() as session:
        return JSONResponse(dict(_raster_view(record_raster(session, stored))), 201)


@router.get("/rasters", summary="Registered rasters", responses=READ_PROBLEMS)
def rasters(known: Known, session: Reading) -> dict[str, Any]:
    return {"items": [_raster_view(row) for row in list_rasters(session)], "next": None}


def _raster_view(row: Raster) -> Mapping[str, Any]:
    return {
        "sha256": row.sha256,
        "kind": row.kind,
        "unit": row.unit,
        "product": row.product,
        "taken_on": row.taken_on,
        "size_bytes": row.size_bytes,
    }
