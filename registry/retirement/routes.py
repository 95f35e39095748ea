"""Retirement over HTTP. A certificate's files are public: whoever has its number may check it."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.retirement.models import Certificate, RetiredRange, Retirement
from registry.retirement.service import OneRetirement, RequestRetirement, load_retirement
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

router = APIRouter(tags=["retirement"])

add_acts(
    router,
    ActRoute("retirement.request", RequestRetirement, "/retirements", "Ask to retire units; they are locked"),
    ActRoute(
        "retirement.withdraw", OneRetirement, "/retirements/{retirement}/withdrawal", "Withdraw the request"
    ),
    ActRoute(
        "retirement.confirm",
        OneRetirement,
        "/retirements/{retirement}/confirmation",
        "Confirm it with two persons: the units retire for good",
    ),
)


@router.get("/retirements", summary="Retirements of my organisation", responses=READ_PROBLEMS)
def retirements(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = sa.select(Retirement)
    if not known.official:
        wanted = wanted.where(Retirement.organisation_id == known.mandate.organisation)
    return page_of(request, session, wanted, Retirement.id, _view, cursor, limit)


@router.get("/retirements/{retirement}", summary="One retirement with its ranges", responses=READ_PROBLEMS)
def retirement(retirement: str, known: Known, session: Reading) -> dict[str, Any]:
    row = load_retirement(session, retirement)
    if not (known.official or row.organisation_id == known.mandate.organisation):
        raise NotFound(kind="retirement", id=retirement)
    ranges = session.scalars(
        sa.select(RetiredRange)
        .where(RetiredRange.retirement_id == row.id)
        .order_by(RetiredRange.start_number)
    )
    numbers = session.scalars(
        sa.select(Certificate.number).where(Certificate.retirement_id == row.id).order_by(Certificate.version)
    )
    return {
        **_view(row),
        "ranges": [
            {"project": one.project_id, "batch": one.batch_id, "from": one.start_number, "to": one.end_number}
            for one in ranges
        ],
        "certificates": [
            {"number": number, "pdf": f"/api/v1/public/certificates/{number}.pdf"} for number in numbers
        ],
    }


def _view(row: Retirement) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "project": row.project_id,
        "organisation": row.organisation_id,
        "units": row.units,
        "beneficiary": row.beneficiary,
        "purpose": row.purpose,
        "claim_from": row.claim_from,
        "claim_to": row.claim_to,
        "retired_index": row.retired_index,
        "entry": row.entry_index,
    }
