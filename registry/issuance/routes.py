"""Issuance over HTTP."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.issuance.merging import MergeUnits
from registry.issuance.models import Batch, Issuance
from registry.issuance.service import (
    ApproveIssuance,
    LapseIssuance,
    ProposeIssuance,
    RejectIssuance,
    load_issuance,
)
from registry.projects.models import Project
from registry.projects.service import load_project
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    ActRoute,
    Cursor,
    Known,
    Limit,
    Reading,
    add_acts,
    page_of,
)

router = APIRouter(tags=["issuance"])

add_acts(
    router,
    ActRoute("issuance.propose", ProposeIssuance, "/issuances", "Propose the issuance of a verified period"),
    ActRoute(
        "issuance.approve",
        ApproveIssuance,
        "/issuances/{issuance}/approval",
        "Approve it: begun by the proposer's organisation, confirmed by an issuer of another",
    ),
    ActRoute("issuance.reject", RejectIssuance, "/issuances/{issuance}/rejection", "Reject a proposal"),
    ActRoute("block.merge", MergeUnits, "/blocks/merge", "Make one block of free blocks that adjoin"),
    ActRoute("issuance.lapse", LapseIssuance, "/issuances/{issuance}/lapse", "Let a late proposal lapse"),
)


@router.get(
    "/issuances", summary="Issuances; those not approved are shown to their sides", responses=READ_PROBLEMS
)
def issuances(
    request: Request,
    known: Known,
    session: Reading,
    status: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    wanted = sa.select(Issuance)
    if not known.official:
        mine = sa.select(Project.id).where(Project.owner_id == known.mandate.organisation)
        wanted = wanted.where(sa.or_(Issuance.status == "issued", Issuance.project_id.in_(mine)))
    if status is not None:
        wanted = wanted.where(Issuance.status == status)
    return page_of(request, session, wanted, Issuance.id, _view, cursor, limit)


@router.get("/issuances/{issuance}", summary="One issuance with its batches", responses=READ_PROBLEMS)
def issuance(issuance: str, known: Known, session: Reading) -> dict[str, Any]:
    row = load_issuance(session, issuance)
    owner = load_project(session, row.project_id).owner_id
    if not (known.official or row.status == "issued" or owner == known.mandate.organisation):
        raise NotFound(kind="issuance", id=issuance)
    batches = session.scalars(sa.select(Batch).where(Batch.issuance_id == row.id).order_by(Batch.number))
    return {
        **_view(row),
        "batches": [
            {
                "id": batch.id,
                "number": batch.number,
                "vintage": batch.vintage,
                "from": batch.start_number,
                "to": batch.end_number,
                "buffer_units": batch.buffer_units,
            }
            for batch in batches
        ],
    }


def _view(row: Issuance) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "project": row.project_id,
        "period": row.period_id,
        "statement": row.statement_id,
        "verified_kg": row.verified_kg,
        "units": row.units,
        "buffer_units": row.buffer_units,
        "residue_before_kg": row.residue_before_kg,
        "residue_after_kg": row.residue_after_kg,
        "entry": row.entry_index,
    }
