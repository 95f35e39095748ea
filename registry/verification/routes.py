"""Verification over HTTP."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.service import load_period, load_project
from registry.verification.models import Statement
from registry.verification.service import (
    AcceptPeriod,
    RejectPeriod,
    ReturnPeriod,
    VerifyPeriod,
    load_statement,
)
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

router = APIRouter(tags=["verification"])

add_acts(
    router,
    ActRoute("period.accept", AcceptPeriod, "/periods/{period}/verification", "Take a verification on"),
    ActRoute("period.verify", VerifyPeriod, "/periods/{period}/statement", "Sign the verified quantity"),
    ActRoute("period.return", ReturnPeriod, "/periods/{period}/return", "Return a period to its owner"),
    ActRoute("period.reject", RejectPeriod, "/periods/{period}/rejection", "Reject a period"),
)


@router.get("/statements", summary="Statements on my projects, or that I signed", responses=READ_PROBLEMS)
def statements(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = sa.select(Statement)
    if not known.official:
        mine = (
            sa.select(MonitoringPeriod.id)
            .join(Project, Project.id == MonitoringPeriod.project_id)
            .where(Project.owner_id == known.mandate.organisation)
        )
        wanted = wanted.where(Statement.period_id.in_(mine))
    return page_of(request, session, wanted, Statement.id, _view, cursor, limit)


@router.get("/statements/{statement}", summary="One statement with its findings", responses=READ_PROBLEMS)
def statement(statement: str, known: Known, session: Reading) -> dict[str, Any]:
    row = load_statement(session, statement)
    owner = load_project(session, load_period(session, row.period_id).project_id).owner_id
    if not (known.official or owner == known.mandate.organisation):
        raise NotFound(kind="statement", id=statement)
    return {**_view(row), "findings": row.findings}


def _view(row: Statement) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "period": row.period_id,
        "run": row.run_id,
        "verifier": row.verifier_id,
        "verified_kg": row.verified_kg,
        "deduction_kg": row.deduction_kg,
        "entry": row.entry_index,
    }
