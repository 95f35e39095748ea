"""Runs over HTTP."""

import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask

from registry.accounts.service import NotFound
from registry.estimates.bundles.writing import gather, write_bundle
from registry.estimates.estimate_jobs import EstimateJob, EstimateJobs
from registry.estimates.models import EstimateRun
from registry.estimates.rules import RunNotPrepared
from registry.estimates.service import EstimatePeriod, load_run, run_parcels
from registry.machine import NotAuthorised, Role
from registry.office import Command
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.service import load_period, load_project
from registry.turns import Turns
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    ActRoute,
    Caller,
    Cursor,
    Known,
    Limit,
    Reading,
    Running,
    Services,
    add_acts,
    page_of,
    perform,
    problem_responses,
)

router = APIRouter(tags=["estimates"])


NAMESPACE: Final = uuid.UUID("6a1f6c43-6a0e-4f57-9d7f-8f1b6c1d2e90")
BUNDLES_AT_ONCE: Final = Turns(2, 6)
BUNDLE_READERS: Final = (Role.REGISTRY_ADMIN, Role.AUDITOR)
"""Besides the project's owner and its verifier."""


@dataclass(frozen=True, slots=True)
class Computing:
    """The estimates of this process, and whether the caller would rather not wait for one."""

    jobs: EstimateJobs
    behind: bool


def jobs_of(request: Request) -> EstimateJobs:
    found: EstimateJobs = request.app.state.estimate_jobs
    return found


def computing(
    request: Request,
    prefer: Annotated[
        str | None,
        Header(description="`respond-async`: 202 with a job where the run has to be computed first"),
    ] = None,
) -> Computing:
    return Computing(jobs_of(request), prefer is not None and "respond-async" in prefer)


@dataclass(frozen=True, slots=True)
class Estimating:
    """Compute the run when nobody has yet, outside of every transaction, then record it.

    Who would rather not wait is answered with a job, and sends the same request again when it is done.
    """

    computing: Computing

    def __call__(
        self,
        running: Services,
        by: Caller,
        act: str,
        command: Command,
        request_id: str | None,
        prepare: bool = False,
    ) -> Response:
        assert isinstance(command, EstimatePeriod)
        try:
            return perform(running, by, act, command, request_id, prepare)
        except RunNotPrepared as missing:
            inputs = str(missing.facts["inputs_sha256"])
        jobs = self.computing.jobs
        if self.computing.behind:
            id_ = str(uuid.uuid5(NAMESPACE, f"{by.mandate.organisation}/{inputs}"))
            return _job_answer(jobs.begin(id_, by.mandate, command))
        with jobs.turn():
            jobs.compute(by.mandate.organisation, command)
        return perform(running, by, act, command, request_id, prepare)


def _job_answer(job: EstimateJob) -> Response:
    headers = {"Location": f"/api/v1/estimate-jobs/{job.id}", "Retry-After": "2"}
    return JSONResponse(job.view(), 202, headers=headers)


add_acts(
    router,
    ActRoute(
        "period.estimate",
        EstimatePeriod,
        "/periods/{period}/runs",
        "Compute and record the estimate of a period",
        context=Annotated[Computing, Depends(computing)],
        performing=Estimating,
    ),
)


@router.get(
    "/estimate-jobs/{job}",
    summary="How far an estimate is that is computed behind the answer",
    responses=READ_PROBLEMS,
)
def estimate_job(job: str, request: Request, known: Known) -> dict[str, Any]:
    """Gone after a restart, and when many came after it: the run's own request says what became of it."""
    found = jobs_of(request).find(job)
    if found is None or found.by.organisation != known.mandate.organisation:
        raise NotFound(kind="estimate job", id=job)
    return found.view()


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


@router.get(
    "/runs/{run}/bundle",
    summary="Everything that a run was made from, as one file that a stranger can check",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/zip": {}}},
        **problem_responses(400, 401, 403, 404, 409, 500, 503),
    },
)
def bundle(run: str, running: Running, known: Known, rasters: bool = True) -> Response:
    """For the owner, the project's verifier, the registry and auditors: it holds outlines of people's land.
    `rasters=false` names the rasters with their licences and sources and leaves them out.
    """
    with BUNDLES_AT_ONCE.turn():
        with running.database.read() as session:
            _require_bundle_reader(session, known, run)
            contents = gather(session, running.home, run, running.tiles, rasters=rasters)
        folder = tempfile.TemporaryDirectory(prefix="tanhui-bundle-")
        path = write_bundle(contents, Path(folder.name) / contents.file_name)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=contents.file_name,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(folder.cleanup),
    )


def _require_bundle_reader(session: Reading, known: Caller, run: str) -> None:
    """`NotFound` for strangers, `NotAuthorised` for officials whom this run does not concern."""
    row = _seen_run(session, known, run)
    period = load_period(session, row.period_id)
    project = load_project(session, period.project_id)
    by = known.mandate
    mine = by.organisation in (project.owner_id, period.verifier_id, project.validator_id)
    if not mine and by.role not in BUNDLE_READERS:
        needed = " / ".join(sorted(BUNDLE_READERS))
        raise NotAuthorised(machine="run", action="bundle", needed=needed)


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
