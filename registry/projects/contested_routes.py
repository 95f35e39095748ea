"""Contested ground over HTTP: claims in outside registries, and cases of two that want the same ground."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from geo.polygon import from_wkb
from registry.accounts.service import NotFound
from registry.parcels.ground import Outlines
from registry.parcels.rules import mu_of_cm2
from registry.projects.disputes import DecideDispute, decision_of, seen_by
from registry.projects.models import DisputeCase, OutsideClaim
from registry.projects.outside import (
    DeclareOutsideClaim,
    WithdrawOutsideClaim,
    load_outside_claim,
    of_organisation,
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

router = APIRouter(tags=["projects"])

add_acts(
    router,
    ActRoute(
        "outside_claim.declare",
        DeclareOutsideClaim,
        "/outside-claims",
        "Declare ground that another registry credits",
    ),
    ActRoute(
        "outside_claim.withdraw",
        WithdrawOutsideClaim,
        "/outside-claims/{outside_claim}/withdrawal",
        "Withdraw an outside claim",
    ),
    ActRoute("dispute.decide", DecideDispute, "/disputes/{dispute}/decision", "Decide a dispute"),
)


@router.get(
    "/outside-claims", summary="Outside claims of mine, or all for officials", responses=READ_PROBLEMS
)
def outside_claims(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    return page_of(request, session, _outside(known), OutsideClaim.id, _outside_view, cursor, limit)


@router.get(
    "/outside-claims/{outside_claim}", summary="One outside claim with its outline", responses=READ_PROBLEMS
)
def outside_claim(outside_claim: str, known: Known, session: Reading) -> dict[str, Any]:
    if session.scalar(_outside(known).where(OutsideClaim.id == outside_claim)) is None:
        raise NotFound(kind="outside claim", id=outside_claim)
    row = load_outside_claim(session, outside_claim)
    ground = None if row.wkb is None else from_wkb(row.wkb)
    drawn = Outlines().facts(ground)
    return {**_outside_view(row), "outline": drawn["overlap"]}


@router.get(
    "/disputes", summary="Disputes that I am a party to, or all for the registry", responses=READ_PROBLEMS
)
def disputes(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    def view(row: DisputeCase) -> Mapping[str, Any]:
        return _dispute_view(session, row)

    return page_of(request, session, seen_by(known.mandate), DisputeCase.id, view, cursor, limit)


@router.get("/disputes/{dispute}", summary="One dispute with the ground it is about", responses=READ_PROBLEMS)
def dispute(dispute: str, known: Known, session: Reading) -> dict[str, Any]:
    row = session.scalar(seen_by(known.mandate).where(DisputeCase.id == dispute))
    if row is None:
        raise NotFound(kind="dispute", id=dispute)
    return {**_dispute_view(session, row), "overlap": row.overlap}


def _outside(known: Caller) -> sa.Select[Any]:
    return sa.select(OutsideClaim) if known.official else of_organisation(known.mandate.organisation)


def _outside_view(row: OutsideClaim) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "registry": row.registry_code,
        "foreign_id": row.foreign_id,
        "pools": row.pools.split(","),
        "from_on": row.from_on,
        "to_on": row.to_on,
        "parcel": row.parcel_id,
        "version": row.parcel_version,
        "area_cm2": row.area_cm2,
        "area_mu": mu_of_cm2(row.area_cm2),
        "evidence_sha256": row.evidence_sha256,
        "declared_by": row.organisation_id,
        "entry": row.entry_index,
    }


def _dispute_view(session: Reading, row: DisputeCase) -> Mapping[str, Any]:
    decision = decision_of(session, row.id)
    return {
        "id": row.id,
        "status": "open" if decision is None else decision.status,
        "programme": row.programme_id,
        "first": row.first,
        "outside": row.outside,
        "second": row.second,
        "first_holder": row.first_holder,
        "second_holder": row.second_holder,
        "overlap_cm2": row.overlap_cm2,
        "overlap_mu": mu_of_cm2(row.overlap_cm2),
        "rule": row.rule,
        "first_seen_at": row.first_seen_at.isoformat(),
        "last_seen_at": row.last_seen_at.isoformat(),
        "times_seen": row.times_seen,
        "reason": None if decision is None else decision.reason,
        "document_sha256": None if decision is None else decision.document_sha256,
        "entry": None if decision is None else decision.entry_index,
    }
