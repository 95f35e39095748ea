"""Parcels over HTTP: look through the drafts, submit and review. Files come in by `import_routes`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import shapely
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.clock import from_milliseconds
from registry.parcels.life import (
    ParcelThen,
    ReinstateParcel,
    RenewTenure,
    SuspendParcel,
    ancestors,
    day_of,
    lineage_view,
    moment_ms,
    parcel_then,
    step_view,
    steps_of_parcel,
    successors,
    tenure_ending_before,
)
from registry.parcels.models import Parcel, ParcelDraft, ParcelVersion
from registry.parcels.rules import GONE, mu_of_cm2
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
    ActRoute("parcel.suspend", SuspendParcel, "/parcels/{parcel}/suspension", "Suspend a parcel"),
    ActRoute(
        "parcel.reinstate", ReinstateParcel, "/parcels/{parcel}/reinstatement", "End a parcel's suspension"
    ),
    ActRoute(
        "parcel.renew_tenure", RenewTenure, "/parcels/{parcel}/tenure", "Prove a longer right to a parcel"
    ),
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
    tenure_ends_before: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    """`tenure_ends_before` (a date) keeps parcels on the register whose right ends before that day, each with
    its `tenure_until`.
    """
    wanted = sa.select(Parcel)
    if not known.official:
        mine = known.mandate.organisation
        wanted = wanted.where(sa.or_(Parcel.organisation_id == mine, Parcel.operator_id == mine))
    if status is not None:
        wanted = wanted.where(Parcel.status == status)
    if tenure_ends_before is not None:
        wanted = wanted.where(tenure_ending_before(day_of(tenure_ends_before)), Parcel.status.not_in(GONE))
        return page_of(request, session, wanted, Parcel.id, partial(_ending_view, session), cursor, limit)
    return page_of(request, session, wanted, Parcel.id, _parcel_view, cursor, limit)


@router.get("/parcels/{parcel}", summary="One parcel with its outline", responses=READ_PROBLEMS)
def parcel(parcel: str, known: Known, session: Reading, as_of: str | None = None) -> dict[str, Any]:
    """`as_of` (a date in China, or an instant with its time zone) answers what was known then: state, version
    with its outline, tenure and claims; 404 before the parcel was.
    """
    row = _seen(session, known, parcel)
    if as_of is not None:
        return _then_view(row, parcel_then(session, row.id, moment_ms(as_of)), as_of)
    return {
        **_parcel_view(row),
        **_version_view(current_version(session, row)),
        "ancestors": [lineage_view(one) for one in ancestors(session, row.id)],
        "successors": [lineage_view(one) for one in successors(session, row.id)],
    }


@router.get(
    "/parcels/{parcel}/history", summary="Every step of a parcel and of its claims", responses=READ_PROBLEMS
)
def history(parcel: str, known: Known, session: Reading) -> dict[str, Any]:
    """Oldest first; each with the index of its entry in the log."""
    row = _seen(session, known, parcel)
    return {
        "parcel": row.id,
        "items": [step_view(step) for step in steps_of_parcel(session, row.id)],
        "ancestors": [lineage_view(one) for one in ancestors(session, row.id)],
        "successors": [lineage_view(one) for one in successors(session, row.id)],
        "next": None,
    }


def _seen(session: Reading, known: Caller, parcel: str) -> Parcel:
    row = load_parcel(session, parcel)
    if not may_see(known, row):
        raise NotFound(kind="parcel", id=parcel)
    return row


def _version_view(version: ParcelVersion) -> dict[str, Any]:
    return {
        "area_mu": mu_of_cm2(version.area_cm2),
        "area_cm2": version.area_cm2,
        "stand_type": version.stand_type,
        "village": version.village,
        "tenure": version.tenure,
        "attributes": version.attributes,
        "outline": None if version.wkb is None else json.loads(_geojson(version.wkb)),
    }


def _then_view(row: Parcel, then: ParcelThen, as_of: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "as_of": as_of,
        "organisation": row.organisation_id,
        "status": then.status,
        "version": then.version.version,
        "entry": then.entry,
        "since": from_milliseconds(then.at_ms).isoformat(),
        **_version_view(then.version),
        "claims": [asdict(claim) for claim in then.claims],
    }


def _geojson(wkb: bytes) -> str:
    text: str = shapely.to_geojson(shapely.from_wkb(wkb))
    return text


def may_see(known: Caller, row: Parcel) -> bool:
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


def _ending_view(session: Reading, row: Parcel) -> Mapping[str, Any]:
    tenure = current_version(session, row).tenure
    return {**_parcel_view(row), "tenure_until": tenure["until"] if tenure else None}


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
