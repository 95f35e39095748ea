"""Parcels over HTTP: look through the drafts, submit and review. Files come in by `import_routes`."""

import json
from collections.abc import Mapping
from typing import Any

import shapely
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.parcels.models import Parcel, ParcelDraft
from registry.parcels.rules import mu_of_cm2
from registry.parcels.service import (
    AcceptParcel,
    FindEligible,
    RejectParcel,
    ReturnParcel,
    SubmitParcel,
    current_version,
    load_parcel,
)
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    ActRoute,
    Caller,
    Cursor,
    Known,
    Limit,
    Reading,
    add_acts,
    page_of,
)

router = APIRouter(tags=["parcels"])

add_acts(
    router,
    ActRoute(
        "parcel.submit", SubmitParcel, "/parcel-drafts/{draft}/submission", "Submit a draft as a parcel"
    ),
    ActRoute("parcel.accept", AcceptParcel, "/parcels/{parcel}/review", "Take a parcel's review on"),
    ActRoute("parcel.find_eligible", FindEligible, "/parcels/{parcel}/eligibility", "Find a parcel eligible"),
    ActRoute("parcel.return", ReturnParcel, "/parcels/{parcel}/return", "Return a parcel to its owner"),
    ActRoute("parcel.reject", RejectParcel, "/parcels/{parcel}/rejection", "Reject a parcel"),
)


@router.get("/parcel-drafts", summary="Drafts of my organisation", responses=READ_PROBLEMS)
def drafts(
    request: Request,
    known: Known,
    session: Reading,
    import_id: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    wanted = sa.select(ParcelDraft).where(ParcelDraft.organisation_id == known.mandate.organisation)
    if import_id is not None:
        wanted = wanted.where(ParcelDraft.import_id == import_id)
    return page_of(request, session, wanted, ParcelDraft.id, _draft_view, cursor, limit)


@router.get(
    "/parcels", summary="Parcels that I own, am entrusted with, review or oversee", responses=READ_PROBLEMS
)
def parcels(
    request: Request,
    known: Known,
    session: Reading,
    status: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    wanted = sa.select(Parcel)
    if not known.official:
        mine = known.mandate.organisation
        wanted = wanted.where(sa.or_(Parcel.organisation_id == mine, Parcel.operator_id == mine))
    if status is not None:
        wanted = wanted.where(Parcel.status == status)
    return page_of(request, session, wanted, Parcel.id, _parcel_view, cursor, limit)


@router.get("/parcels/{parcel}", summary="One parcel with its outline", responses=READ_PROBLEMS)
def parcel(parcel: str, known: Known, session: Reading) -> dict[str, Any]:
    row = load_parcel(session, parcel)
    if not _may_see(known, row):
        raise NotFound(kind="parcel", id=parcel)
    version = current_version(session, row)
    outline = None if version.wkb is None else json.loads(_geojson(version.wkb))
    return {
        **_parcel_view(row),
        "area_mu": mu_of_cm2(version.area_cm2),
        "area_cm2": version.area_cm2,
        "stand_type": version.stand_type,
        "village": version.village,
        "attributes": version.attributes,
        "outline": outline,
    }


def _geojson(wkb: bytes) -> str:
    text: str = shapely.to_geojson(shapely.from_wkb(wkb))
    return text


def _may_see(known: Caller, row: Parcel) -> bool:
    return known.official or known.mandate.organisation in (row.organisation_id, row.operator_id)


def _draft_view(row: ParcelDraft) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "import": row.import_id,
        "row": row.row_number,
        "code": row.code,
        "county": row.county,
        "village": row.village,
        "area_mu": mu_of_cm2(row.area_cm2),
        "stand_type": row.stand_type,
        "submitted": row.submitted,
    }


def _parcel_view(row: Parcel) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "code": row.code,
        "county": row.county,
        "organisation": row.organisation_id,
        "operator": row.operator_id,
        "reviewer": row.reviewer_id,
        "version": row.version,
        "entry": row.entry_index,
    }
