"""Runs over HTTP."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.estimates.models import EstimateRun
from registry.estimates.rules import RunNotPrepared
from registry.estimates.service import EstimatePeriod, load_run, prepare_run, run_parcels
from registry.office import Command
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.service import load_period, load_project
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    ActRoute,
    Caller,
    Cursor,
    Known,
    Limit,
    Reading,
    Services,
    add_acts,
    page_of,
    perform,
)

router = APIRouter(tags=["estimates"])


def perform_estimate(
    running: Services, by: Caller, act: str, command: Command, request_id: str | None, prepare: bool = False
) -> Response:
    """Compute the run when nobody has yet, outside of every transaction, then record it."""
    assert isinstance(command, EstimatePeriod)
    try:
        return perform(running, by, act, command, request_id, prepare)
    except RunNotPrepared:
        prepare_run(running.database, running.home, by.mandate.organisation, command)
        return perform(running, by, act, command, request_id, prepare)


add_acts(
    router,
    ActRoute(
        "period.estimate",
        EstimatePeriod,
        "/periods/{period}/runs",
        "Compute and record the estimate of a period",
        perform_estimate,
    ),
)


@router.get("/runs", summary="Runs of my projects", responses=READ_PROBLEMS)
def runs(
    request: Request,
    known: Known,
    session: Reading,
    period: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    wanted = sa.select(EstimateRun)
    if not known.official:
        mine = (
            sa.select(MonitoringPeriod.id)
            .join(Project, Project.id == MonitoringPeriod.project_id)
            .where(Project.owner_id == known.mandate.organisation)
        )
        wanted = wanted.where(EstimateRun.period_id.in_(mine))
    if period is not None:
        wanted = wanted.where(EstimateRun.period_id == period)
    return page_of(request, session, wanted, EstimateRun.id, _run_view, cursor, limit)


@router.get("/runs/{run}", summary="One run with its shares by parcel", responses=READ_PROBLEMS)
def run(run: str, known: Known, session: Reading) -> dict[str, Any]:
    row = _seen_run(session, known, run)
    shares = [{"number": one.number, "estimate_kg": one.estimate_kg} for one in run_parcels(session, run)]
    return {**_run_view(row), "parcels": shares}


@router.get(
    "/runs/{run}/record",
    summary="The run's record: all it takes to compute it again",
    responses=READ_PROBLEMS,
)
def record(run: str, known: Known, session: Reading) -> Response:
    row = _seen_run(session, known, run)
    if row.record is None:
        raise NotFound(kind="run record", id=run)
    return Response(row.record, media_type="application/json")


def _seen_run(session: Reading, known: Caller, run: str) -> EstimateRun:
    row = load_run(session, run)
    owner = load_project(session, load_period(session, row.period_id).project_id).owner_id
    if not (known.official or owner == known.mandate.organisation):
        raise NotFound(kind="run", id=run)
    return row


def _run_view(row: EstimateRun) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "period": row.period_id,
        "method": row.method,
        "parameters_sha256": row.parameters_sha256,
        "inputs_sha256": row.inputs_sha256,
        "tier": row.tier,
        "estimate_kg": row.estimate_kg,
        "uncertainty_ppm": row.uncertainty_ppm,
        "entry": row.entry_index,
    }
