"""Projects and monitoring periods over HTTP."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from pydantic import Field

from registry.accounts.service import NotFound
from registry.office import Command
from registry.parcels.models import Parcel
from registry.projects.models import MonitoringPeriod, Objection, Project, ProjectParcel, Succession
from registry.projects.service import (
    AddParcel,
    CloseParcel,
    NamePeriod,
    NameProject,
    OpenPeriod,
    RejectProject,
    SubmitProject,
    answer_objection,
    list_objections,
    load_period,
    load_project,
    lodge_objection,
    project_claims,
    project_parcels,
)
from registry.projects.succession import (
    NameSuccession,
    ProposeSuccession,
    RefuseSuccession,
    load_succession,
)
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    Acting,
    ActRoute,
    Body,
    Caller,
    Cursor,
    IdempotencyKey,
    Known,
    Limit,
    Now,
    Reading,
    Running,
    add_acts,
    page_of,
    problem_responses,
    validated,
    working_request,
)

router = APIRouter(tags=["projects"])

add_acts(
    router,
    ActRoute("project.submit", SubmitProject, "/projects", "Submit a project of eligible parcels"),
    ActRoute("project.publish", NameProject, "/projects/{project}/publication", "Publish it for objections"),
    ActRoute("project.validate", NameProject, "/projects/{project}/validation", "Validate it as a verifier"),
    ActRoute("project.reject", RejectProject, "/projects/{project}/rejection", "Reject a project"),
    ActRoute("project.withdraw", NameProject, "/projects/{project}/withdrawal", "Withdraw a project"),
    ActRoute(
        "project.register",
        NameProject,
        "/projects/{project}/registration",
        "Register a project; its parcels claim their ground",
    ),
    ActRoute(
        "project.add_parcel",
        AddParcel,
        "/projects/{project}/parcels",
        "Let an eligible parcel join an active project",
    ),
    ActRoute(
        "succession.propose",
        ProposeSuccession,
        "/successions",
        "Propose to split, to merge or to survey parcels again",
    ),
    ActRoute(
        "succession.approve",
        NameSuccession,
        "/successions/{succession}/approval",
        "Approve a succession; the successors take their place",
    ),
    ActRoute("succession.refuse", RefuseSuccession, "/successions/{succession}/refusal", "Refuse it"),
    ActRoute(
        "succession.withdraw", NameSuccession, "/successions/{succession}/withdrawal", "Withdraw one's own"
    ),
    ActRoute("parcel.close", CloseParcel, "/parcels/{parcel}/closure", "Close a parcel and end its claim"),
    ActRoute("period.open", OpenPeriod, "/projects/{project}/periods", "Open a monitoring period"),
    ActRoute("period.submit", NamePeriod, "/periods/{period}/submission", "Submit a period for verification"),
)

UNPUBLISHED = ("submitted", "withdrawn")


@router.get("/projects", summary="Projects that I take part in, and published ones", responses=READ_PROBLEMS)
def projects(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = _visible(sa.select(Project), known)
    return page_of(request, session, wanted, Project.id, _project_view, cursor, limit)


@router.get("/projects/{project}", summary="One project with its parcels and claims", responses=READ_PROBLEMS)
def project(project: str, known: Known, session: Reading) -> dict[str, Any]:
    row = _seen_project(session, known, project)
    return {
        **_project_view(row),
        "parcels": [
            {"number": one.number, "parcel": one.parcel_id, "version": one.parcel_version}
            for one in project_parcels(session, row.id)
        ],
        "claims": [
            {
                "id": one.id,
                "parcel": one.parcel_id,
                "pool": one.pool,
                "status": one.status,
                "from_on": one.from_on,
                "to_on": one.to_on,
                "credited_cm2": one.credited_cm2,
            }
            for one in project_claims(session, row.id)
        ],
    }


@router.get("/successions", summary="Splits, merges and new boundaries", responses=READ_PROBLEMS)
def successions(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = sa.select(Succession)
    if not known.official:
        wanted = wanted.where(Succession.organisation_id == known.mandate.organisation)
    return page_of(request, session, wanted, Succession.id, _succession_view, cursor, limit)


@router.get("/successions/{succession}", summary="One succession with its parts", responses=READ_PROBLEMS)
def succession(succession: str, known: Known, session: Reading) -> dict[str, Any]:
    row = load_succession(session, succession)
    if not known.official and known.mandate.organisation != row.organisation_id:
        raise NotFound(kind="succession", id=succession)
    return dict(_succession_view(row))


@router.get("/periods", summary="Monitoring periods of projects that I may see", responses=READ_PROBLEMS)
def periods(
    request: Request,
    known: Known,
    session: Reading,
    project: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    seen = _visible(sa.select(Project.id), known)
    wanted = sa.select(MonitoringPeriod).where(MonitoringPeriod.project_id.in_(seen))
    if project is not None:
        wanted = wanted.where(MonitoringPeriod.project_id == project)
    return page_of(request, session, wanted, MonitoringPeriod.id, _period_view, cursor, limit)


@router.get("/periods/{period}", summary="One monitoring period", responses=READ_PROBLEMS)
def period(period: str, known: Known, session: Reading) -> dict[str, Any]:
    row = load_period(session, period)
    if not sees_project(session, known, row.project_id):
        raise NotFound(kind="monitoring period", id=period)
    return dict(_period_view(row))


# ---- objections: anybody may lodge one; working rows, not logged -------------------------------------------


class LodgeObjection(Command):
    """What somebody objects to a published project."""

    text: str = Field(min_length=1, max_length=5000)
    contact: str = Field(min_length=1, max_length=200)


class AnswerObjection(Command):
    answer: str = Field(min_length=1, max_length=5000)


@router.post(
    "/projects/{project}/objections",
    summary="Object to a published project (no key needed)",
    status_code=201,
    responses=problem_responses(400, 404, 409, 413, 415, 422, 500),
)
def object_to(
    project: str, running: Running, now: Now, content: Body, request_id: IdempotencyKey = None
) -> dict[str, Any]:
    """The Idempotency-Key becomes the objection's id."""
    asked = validated(LodgeObjection, content)
    with running.database.write() as session:
        row = load_project(session, project)
        if row.status in UNPUBLISHED:
            raise NotFound(kind="project", id=project)
        id_ = working_request(request_id)
        known = session.get(Objection, id_)
        if known is None:
            known = lodge_objection(session, project, id_, asked.text, asked.contact, now)
        return {"objection": known.id}


@router.get("/projects/{project}/objections", summary="Objections and answers", responses=READ_PROBLEMS)
def objections(project: str, known: Known, session: Reading) -> dict[str, Any]:
    """Contacts are shown to the registry only."""
    _seen_project(session, known, project)
    return {
        "items": [_objection_view(row, known.official) for row in list_objections(session, project)],
        "next": None,
    }


@router.post(
    "/objections/{objection}/answer",
    summary="Answer an objection",
    responses=problem_responses(400, 401, 403, 404, 413, 415, 422, 500),
)
def answer(objection: str, running: Running, now: Now, by: Acting, content: Body) -> dict[str, Any]:
    asked = validated(AnswerObjection, content)
    with running.database.write() as session:
        row = answer_objection(session, by.mandate, objection, asked.answer, now)
        return {"objection": row.id}


# ---- who sees what -----------------------------------------------------------------------------------------


def _visible(wanted: sa.Select[Any], known: Caller) -> sa.Select[Any]:
    """Published projects are everybody's; before that the owner's, its collectives' and the officials'."""
    if known.official:
        return wanted
    mine = known.mandate.organisation
    of_my_land = (
        sa.select(ProjectParcel.project_id)
        .join(Parcel, Parcel.id == ProjectParcel.parcel_id)
        .where(Parcel.organisation_id == mine)
    )
    public = Project.status.not_in(UNPUBLISHED)
    return wanted.where(sa.or_(public, Project.owner_id == mine, Project.id.in_(of_my_land)))


def sees_project(session: Reading, known: Caller, project: str) -> bool:
    wanted = _visible(sa.select(Project.id).where(Project.id == project), known)
    return session.execute(wanted).first() is not None


def _seen_project(session: Reading, known: Caller, project: str) -> Project:
    if not sees_project(session, known, project):
        raise NotFound(kind="project", id=project)
    return load_project(session, project)


def _project_view(row: Project) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "name": row.name,
        "number": row.number,
        "programme": row.programme_id,
        "owner": row.owner_id,
        "county": row.county,
        "method": row.method,
        "crediting_from": row.crediting_from,
        "crediting_to": row.crediting_to,
        "published_on": row.published_on,
        "validator": row.validator_id,
        "entry": row.entry_index,
    }


def _succession_view(row: Succession) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "organisation": row.organisation_id,
        "kind": row.kind,
        "programme": row.programme_id,
        "project": row.project_id,
        "from_on": row.from_on,
        "predecessors": [{"parcel": one, "version": n, "area_cm2": cm2} for one, n, cm2 in row.predecessors],
        "successors": [{"parcel": one, "area_cm2": cm2} for one, cm2 in row.successors],
        "parts": [
            {"predecessor": old, "successor": new, "shared_cm2": cm2, "share_ppm": ppm}
            for old, new, cm2, ppm in row.parts
        ],
        "entry": row.entry_index,
    }


def _period_view(row: MonitoringPeriod) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "project": row.project_id,
        "pools": row.pools,
        "from_on": row.from_on,
        "to_on": row.to_on,
        "run": row.run_id,
        "verifier": row.verifier_id,
        "entry": row.entry_index,
    }


def _objection_view(row: Objection, official: bool) -> Mapping[str, Any]:
    view: dict[str, Any] = {
        "id": row.id,
        "text": row.text,
        "lodged_at": row.lodged_at.isoformat(),
        "answer": row.answer,
        "answered_at": None if row.answered_at is None else row.answered_at.isoformat(),
    }
    return view | ({"contact": row.contact} if official else {})
